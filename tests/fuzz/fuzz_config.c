/* Fuzzer of the configuration: a JSON file, and its beginning as a --set. What is accepted must
 * echo to a text that reads back to the same configuration. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void want(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_echo(const mbt_config *config)
{
    char *text = NULL, difference[256];
    mbt_config again;
    mbt_error err = {0};
    mbt_config_defaults(&again);
    want(mbt_config_echo(config, &text, &err) == MBT_OK);
    want(mbt_config_parse(text, "echo", &again, &err) == MBT_OK);
    mbt_config_difference(config, &again, difference, sizeof difference);
    want(difference[0] == '\0');
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static mbt_config config;
    char assignment[256];
    mbt_error err = {0};
    char *text = malloc(bytes + 1);
    want(text != NULL);
    memcpy(text, data, bytes);
    text[bytes] = '\0';

    mbt_config_defaults(&config);
    mbt_status status = mbt_config_parse(text, "fuzz", &config, &err);
    want(status == MBT_OK || status == MBT_CONFIG);
    if (status == MBT_OK) {
        (void)!mbt_config_check(&config, &err);
        check_echo(&config);
    }
    const size_t length = strnlen(text, sizeof assignment - 1);
    memcpy(assignment, text, length);
    assignment[length] = '\0';
    status = mbt_config_set(assignment, &config, &err);
    want(status == MBT_OK || status == MBT_USAGE);
    if (status == MBT_OK) {
        check_echo(&config);
    }
    free(text);
    return 0;
}
