/* A folder for the files of one test, and small files whole. Failures are cmocka assertions. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stddef.h>

enum { SCRATCH_PATH = 512 };

struct scratch {
    char folder[SCRATCH_PATH];
};

void scratch_begin(struct scratch *scratch);
void scratch_end(struct scratch *scratch); /* removes the folder and all in it */

/* For cmocka: a folder for each test, which *state then is. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* The path of `name` in the folder; out has 2 * SCRATCH_PATH bytes. Returns out. */
char *scratch_path(const struct scratch *scratch, const char *name, char *out);

/* Entries of the folder, hidden ones too. */
int scratch_count(const struct scratch *scratch);

/* A whole file; the caller frees. */
unsigned char *scratch_read(const char *path, size_t *bytes);
void scratch_write(const char *path, const void *data, size_t bytes);

#endif
