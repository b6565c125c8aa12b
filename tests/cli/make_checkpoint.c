/* Writes checkpoints of the state in tests/train/checkpoint_state.c, for the script tests:
 * make_checkpoint FOLDER STEP... ; the first is the best. */
#include <stdio.h>
#include <stdlib.h>

#include "mbt/file.h"
#include "train/checkpoint_state.h"

int main(int argc, char **argv)
{
    fixture f;
    mbt_error err = {0};
    mbt_status status = MBT_OK;
    fixture_make(&f, FIXTURE_PLAIN, 16, true);
    status = mbt_file_make_folder(argv[1], &err);
    for (int i = 2; !status && i < argc; i++) {
        char digest[MBT_DIGEST_TEXT];
        fixture_at_step(&f, atoll(argv[i]));
        status = mbt_checkpoint_save(&f.state, argv[1], i == 2, NULL, digest, &err);
        if (!status)
            (void)printf("%s\n", digest);
    }
    if (status)
        (void)fprintf(stderr, "make_checkpoint: %s\n", err.message);
    fixture_clear(&f);
    return (int)status;
}
