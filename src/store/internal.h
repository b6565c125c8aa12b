/* What the files of this folder share: the open file, HDF5 failures as messages, the types, and
 * the opening of objects by paths that hold nothing but hard links. Private to src/store. */
#ifndef MBT_STORE_INTERNAL_H
#define MBT_STORE_INTERNAL_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/store.h"
#include "mbt/text.h"

enum {
    STORE_NAME_BYTES = 1024,    /* bound of a path within a file, with its zero */
    STORE_SHAPE_TEXT = 256,     /* bytes that store_typed_shape fills at most */
    STORE_DEFLATE_RATIO = 1032, /* no deflate stream expands further */
};

struct mbt_store {
    hid_t file;
    bool writing;
    uint64_t file_bytes;            /* reading: size of the file, a bound for what it can hold */
    char digest[MBT_DIGEST_TEXT];   /* "" when the file has none */
    char name[MBT_PATH_BYTES];      /* for messages */
    char temporary[MBT_PATH_BYTES]; /* writing on disk: the file that grows; "" otherwise */
};

/* ---- opening (image.c) ---- */

/* A store without a file yet; NULL: out of memory. */
mbt_store *store_new(const char *name, bool writing);

/* Starts its file, behind so many bytes for a user block; releases `access`. */
mbt_status store_start_file(mbt_store *store, const char *file, hid_t access, hsize_t user_block,
                            mbt_error *err) MBT_WARN_UNUSED;

/* The end of every way to open one: *store is it, or, after a failure, it is closed. */
mbt_status store_give(mbt_store *made, mbt_status status, mbt_store **store) MBT_WARN_UNUSED;

/* ---- errors (stack.c) ---- */

/* Stops HDF5 from printing its error stack; per thread, so every public function calls it. */
void store_quiet(void);

/* "<file>: <path>: <what>: HDF5 says: <innermost message>"; to be called right after the call that
 * failed, since the next HDF5 call clears the stack. path may be NULL. Evaluates to the code:
 * MBT_FAILURE for a file being written, MBT_DATA for one being read. */
#define store_fail(store, path, what, err)                                                         \
    store_error_set((store), (path), (what), (err), __FILE__, __LINE__)
mbt_status store_error_set(const mbt_store *store, const char *path, const char *what,
                           mbt_error *err, const char *file, int line);

/* The code that store_fail uses. */
mbt_status store_code(const mbt_store *store);

/* ---- types and shapes (type.c) ---- */

hid_t store_file_type(mbt_store_type type);   /* little-endian; borrowed */
hid_t store_memory_type(mbt_store_type type); /* native; borrowed */

/* Which of our types a file's type is, in either byte order; false when none. */
bool store_type_from(hid_t file_type, mbt_store_type *type);

const char *store_type_name(mbt_store_type type);
/* "f32 [3][4]"; out has STORE_SHAPE_TEXT bytes. Returns out. */
char *store_typed_shape(const mbt_store_shape *shape, char *out);
/* Elements of a shape; false when rank or size are beyond what can be held. */
bool store_shape_count(const mbt_store_shape *shape, uint64_t *count);

/* ---- objects (object.c) ---- */

void store_release(hid_t id); /* any kind of HDF5 identifier; a negative one is allowed */

/* The next component of a path: copies it and moves *path behind it. MBT_OK with an empty component
 * at the end. Relative paths, empty components, "." and ".." are refused. */
mbt_status store_next_name(const mbt_store *store, const char *whole, const char **path,
                           char name[STORE_NAME_BYTES], mbt_error *err) MBT_WARN_UNUSED;

/* Opens the group or data set at `path`, hard links only. */
mbt_status store_open_object(const mbt_store *store, const char *path, hid_t *object,
                             mbt_error *err) MBT_WARN_UNUSED;

/* The same for a data set, with everything about it checked that a reader relies on: type, rank,
 * layout, filters, and that the file can hold what the shape promises. */
mbt_status store_open_dataset(const mbt_store *store, const char *path, hid_t *dataset,
                              mbt_store_shape *shape, mbt_error *err) MBT_WARN_UNUSED;

/* MBT_DATA unless the link is a hard one. */
mbt_status store_check_link(const mbt_store *store, const char *path, H5L_type_t type,
                            mbt_error *err) MBT_WARN_UNUSED;

/* ---- the user block (userblock.c) ---- */

void store_block_make(const char *digest, uint64_t bytes, char block[MBT_USER_BLOCK_BYTES]);
/* False unless the block is exactly one that store_block_make makes. */
bool store_block_parse(const char block[MBT_USER_BLOCK_BYTES], char digest[MBT_DIGEST_TEXT],
                       uint64_t *bytes);

/* ---- files (superblock.c, replace.c, large.c) ---- */

/* Marks an image as closed, with the checksum that belongs to it; false when it is of another
 * version than ours. */
bool store_seal_superblock(unsigned char *image, size_t bytes) MBT_WARN_UNUSED;

/* Digest and length of what follows the user block. */
mbt_status store_digest_rest(int fd, const char *path, char digest[MBT_DIGEST_TEXT],
                             uint64_t *bytes, mbt_error *err) MBT_WARN_UNUSED;

/* Flushes the temporary file, reads it back, and puts it in place of `path`; closes fd. */
mbt_status store_place(int fd, const char *temporary, const char *path,
                       const char block[MBT_USER_BLOCK_BYTES], uint64_t bytes, const char *digest,
                       mbt_error *err) MBT_WARN_UNUSED;

/* mbt_store_commit of a store that grows on disk. */
mbt_status store_commit_large(mbt_store *store, const char *path, size_t *bytes,
                              mbt_error *err) MBT_WARN_UNUSED;

/* Access to a file on disk, without HDF5's locks: network file systems often have none, and what is
 * read here is only ever replaced as a whole. */
hid_t store_disk_access(void);

/* Puts block + image in place of `path`; see mbt_store_commit. */
mbt_status store_replace(const char *path, const char block[MBT_USER_BLOCK_BYTES],
                         const void *image, size_t bytes, const char *digest,
                         mbt_error *err) MBT_WARN_UNUSED;

#endif
