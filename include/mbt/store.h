/* HDF5 files: typed reads and writes, digests, atomic replacement, no surprises.
 *
 * The only unit that knows HDF5. A written file is built in memory, gets a 512-byte user block
 * with an XXH3-128 digest of everything behind it, and replaces its target in one rename; so a
 * file on disk is old or new, never half, and damage is found before HDF5 parses a byte.
 * Layout of the user block (text, zero-padded): "MBTRAIN 1\nXXH3-128 <32 hex digits>\nBYTES <n>\n",
 * n = bytes behind the user block.
 * Refused on reading: soft, external and user-defined links, virtual data sets, external storage,
 * filters other than deflate, shuffle and Fletcher32, ranks above 8 and sizes above the limit the
 * caller gives. HDF5's error stack is captured into the message, never printed.
 * Paths are absolute within the file ("/train/images"). Depends on status, text. */
#ifndef MBT_STORE_H
#define MBT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/status.h"

enum {
    MBT_STORE_RANK_MAX = 8,
    MBT_STORE_SHAPE_TEXT = 192, /* bytes that mbt_store_shape_text fills at most */
    MBT_USER_BLOCK_BYTES = 512,
    MBT_DIGEST_TEXT = 33,
};

typedef struct mbt_store mbt_store;

typedef enum mbt_store_type {
    MBT_STORE_U8,
    MBT_STORE_I32,
    MBT_STORE_I64,
    MBT_STORE_F32,
    MBT_STORE_F64,
} mbt_store_type;

size_t mbt_store_type_bytes(mbt_store_type type);

/* What a data set looks like. */
typedef struct mbt_store_shape {
    mbt_store_type type;
    int rank; /* 0: a scalar */
    uint64_t dims[MBT_STORE_RANK_MAX];
} mbt_store_shape;

/* Of one type, rank and size. */
bool mbt_store_shape_equal(const mbt_store_shape *a, const mbt_store_shape *b);

/* "[3][4]", without the type; "scalar" of rank 0. out has MBT_STORE_SHAPE_TEXT bytes. Returns out.
 */
char *mbt_store_shape_text(const mbt_store_shape *shape, char *out);

/* ---- writing: in memory until commit ---- */

/* An empty file image. */
mbt_status mbt_store_create(mbt_store **store, mbt_error *err) MBT_WARN_UNUSED;

/* An empty file that grows on disk, under a temporary name beside `path`: for what no memory holds.
 * Its commit is for the same path; closing it without one removes it. */
mbt_status mbt_store_create_large(const char *path, mbt_store **store,
                                  mbt_error *err) MBT_WARN_UNUSED;

/* Adds the digest and puts the image in place of `path`: temporary name in the same folder, write,
 * fsync, read back and compare the digest, rename, fsync of the folder. The store stays open.
 * MBT_FAILURE names path, step and errno's text; the temporary file is gone then. bytes (may be
 * NULL): size of the file. */
mbt_status mbt_store_commit(mbt_store *store, const char *path, size_t *bytes,
                            mbt_error *err) MBT_WARN_UNUSED;

/* Writes a whole data set; missing groups on the way are made. chunk_rows > 0: chunked by so many
 * entries of the first dimension, with shuffle off and Fletcher32 on, deflate level `deflate` when
 * above 0. chunk_rows == 0: contiguous. */
mbt_status mbt_store_write(mbt_store *store, const char *path, const mbt_store_shape *shape,
                           const void *data, uint64_t chunk_rows, int deflate,
                           mbt_error *err) MBT_WARN_UNUSED;

/* Makes an empty group (and its parents). */
mbt_status mbt_store_make_group(mbt_store *store, const char *path, mbt_error *err) MBT_WARN_UNUSED;

/* Attributes of the object at `path` ("/" for the file). Existing ones are replaced. */
mbt_status mbt_store_set_i64(mbt_store *s, const char *path, const char *name, int64_t value,
                             mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_store_set_f64(mbt_store *s, const char *path, const char *name, double value,
                             mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_store_set_text(mbt_store *s, const char *path, const char *name, const char *value,
                              mbt_error *err) MBT_WARN_UNUSED;
/* count doubles / strings as a one-dimensional attribute */
mbt_status mbt_store_set_f64s(mbt_store *s, const char *path, const char *name, int count,
                              const double *values, mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_store_set_texts(mbt_store *s, const char *path, const char *name, int count,
                               const char *const *values, mbt_error *err) MBT_WARN_UNUSED;

/* ---- reading ---- */

/* Reads a whole file of ours into memory, checks its digest, then opens it. max_bytes bounds the
 * file. MBT_DATA: missing, empty, cut, damaged (digest got and wanted), not one of ours. */
mbt_status mbt_store_open(const char *path, size_t max_bytes, mbt_store **store,
                          mbt_error *err) MBT_WARN_UNUSED;

/* Opens a large file on disk for reading without reading it whole (data sets); the digest of the
 * user block is checked only when `verify`. Files of other makers (no user block) are accepted. */
mbt_status mbt_store_open_large(const char *path, bool verify, mbt_store **store,
                                mbt_error *err) MBT_WARN_UNUSED;

/* True for what may be HDF5 of another maker: a file that does not begin with a user block. HDF5 is
 * not asked. False too when it cannot be read: opening will say why. */
bool mbt_store_is_foreign(const char *path);

void mbt_store_close(mbt_store *store); /* both kinds; NULL is allowed */

/* The digest of the opened or last committed file as 32 hex digits; "" when it has none. Borrowed
 * from the store. */
const char *mbt_store_digest(const mbt_store *store);

bool mbt_store_has(mbt_store *store,
                   const char *path); /* a group or data set, reached by hard links */

/* MBT_DATA when absent, refused, or of a type that is none of ours. */
mbt_status mbt_store_shape_of(mbt_store *store, const char *path, mbt_store_shape *shape,
                              mbt_error *err) MBT_WARN_UNUSED;

/* Reads a whole data set whose shape must equal `want` (MBT_DATA, got and wanted, otherwise). */
mbt_status mbt_store_read(mbt_store *store, const char *path, const mbt_store_shape *want,
                          void *data, mbt_error *err) MBT_WARN_UNUSED;

/* Entries first .. first+count-1 of the first dimension. */
mbt_status mbt_store_read_rows(mbt_store *store, const char *path, const mbt_store_shape *want,
                               uint64_t first, uint64_t count, void *data,
                               mbt_error *err) MBT_WARN_UNUSED;

/* Where in its file a contiguous u8 [bytes] lies, for reads beside HDF5: it knows no threads. */
mbt_status mbt_store_locate(mbt_store *store, const char *path, uint64_t *bytes, uint64_t *offset,
                            mbt_error *err) MBT_WARN_UNUSED;

bool mbt_store_has_attribute(mbt_store *store, const char *path, const char *name);
mbt_status mbt_store_get_i64(mbt_store *s, const char *path, const char *name, int64_t *value,
                             mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_store_get_f64(mbt_store *s, const char *path, const char *name, double *value,
                             mbt_error *err) MBT_WARN_UNUSED;
/* bytes bounds the text with its zero; longer is MBT_DATA. */
mbt_status mbt_store_get_text(mbt_store *s, const char *path, const char *name, char *value,
                              size_t bytes, mbt_error *err) MBT_WARN_UNUSED;
/* A text attribute or nothing bounded but by max_bytes; caller frees. */
mbt_status mbt_store_get_long_text(mbt_store *s, const char *path, const char *name,
                                   size_t max_bytes, char **value, mbt_error *err) MBT_WARN_UNUSED;
mbt_status mbt_store_get_f64s(mbt_store *s, const char *path, const char *name, int count,
                              double *values, mbt_error *err) MBT_WARN_UNUSED;
/* At most max_count texts of at most each_bytes with their zero, back to back in `values`. */
mbt_status mbt_store_get_texts(mbt_store *s, const char *path, const char *name, int max_count,
                               size_t each_bytes, char *values, int *count,
                               mbt_error *err) MBT_WARN_UNUSED;

/* Calls visit for every data set below `path`, in name order, with its full path. A status other
 * than MBT_OK ends the walk and is returned. Refused links end it with MBT_DATA. */
typedef mbt_status mbt_store_visit(void *context, const char *path, const mbt_store_shape *shape,
                                   mbt_error *err);
mbt_status mbt_store_walk(mbt_store *store, const char *path, mbt_store_visit *visit, void *context,
                          mbt_error *err) MBT_WARN_UNUSED;

/* ---- digests ---- */

/* XXH3-128 over pieces, as 32 lower-case hex digits. */
typedef struct mbt_digest mbt_digest;
mbt_status mbt_digest_create(mbt_digest **digest, mbt_error *err) MBT_WARN_UNUSED;
void mbt_digest_add(mbt_digest *digest, const void *data, size_t bytes);
void mbt_digest_text(const mbt_digest *digest, char out[MBT_DIGEST_TEXT]);
void mbt_digest_destroy(mbt_digest *digest); /* NULL is allowed */

/* XXH3-64 of one piece: what a sample that is read alone is checked by. */
uint64_t mbt_digest_short(const void *data, size_t bytes);

const char *mbt_store_library(void); /* "HDF5 1.10.8", static storage */

#endif
