/* HDF5's error stack as one message. HDF5 prints nothing by itself, and of its stack only the
 * innermost entry is passed on: it names the cause, the others the way to it. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

void store_quiet(void)
{
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

struct message {
    char *out;
    size_t bytes;
};

static herr_t take_message(unsigned n, const H5E_error2_t *entry, void *context)
{
    struct message *message = context;
    (void)n;
    (void)snprintf(message->out, message->bytes, "%s", entry->desc != NULL ? entry->desc : "");
    return 1; /* the innermost entry comes first: enough */
}

/* The innermost message of the calling thread's error stack, bounded, printable. */
static void stack_text(char *out, size_t bytes)
{
    struct message message = {out, bytes};
    out[0] = '\0';
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_message, &message);
    if (out[0] == '\0') {
        (void)snprintf(out, bytes, "no reason");
    }
    for (char *c = out; *c != '\0'; c++) { /* names in a damaged file may hold anything */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
}

mbt_status store_code(const mbt_store *store)
{
    return store->writing ? MBT_FAILURE : MBT_DATA;
}

mbt_status store_error_set(const mbt_store *store, const char *path, const char *what,
                           mbt_error *err, const char *file, int line)
{
    char reason[256];
    stack_text(reason, sizeof reason);
    return mbt_error_set(err, file, line, store_code(store), "%s: %s%s%s: HDF5 says: %s",
                         store->name, path != NULL ? path : "", path != NULL ? ": " : "", what,
                         reason);
}
