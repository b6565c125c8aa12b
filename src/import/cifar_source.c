/* Finds the official files in a folder or an archive. Of an archive only regular entries with a
 * wanted base name are kept, in memory: no path of an entry ever reaches the file system. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cifar_source.h"
#include "mbt/file.h"
#include "mbt/text.h"
#include "unpack.h"

enum { ENTRIES_MAX = 10000 };

#define UNPACKED_BYTES_MAX ((int64_t)1 << 32)

void cifar_unload(struct cifar_file *files, int n_files)
{
    for (int i = 0; i < n_files; i++) {
        free(files[i].data);
        files[i].data = NULL;
    }
}

static mbt_status check_complete(const char *source, const struct cifar_file *files, int n_files,
                                 mbt_error *err)
{
    for (int i = 0; i < n_files; i++) {
        if (files[i].needed && files[i].data == NULL) {
            return mbt_fail(err, MBT_DATA, "%s: %s is missing", source, files[i].name);
        }
    }
    return MBT_OK;
}

/* ---- folders ---- */

static bool holds_any(const char *folder, const struct cifar_file *files, int n_files)
{
    char path[MBT_PATH_BYTES];
    for (int i = 0; i < n_files; i++) {
        if (files[i].needed && mbt_text_path(folder, files[i].name, path, NULL) == MBT_OK &&
            access(path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

static mbt_status load_folder(const char *source, const char *official, struct cifar_file *files,
                              int n_files, mbt_error *err)
{
    char inner[MBT_PATH_BYTES], path[MBT_PATH_BYTES];
    const char *folder = source;
    mbt_status status = mbt_text_path(source, official, inner, err);
    if (!status && !holds_any(source, files, n_files)) {
        folder = inner;
        if (!holds_any(inner, files, n_files)) {
            status =
                mbt_fail(err, MBT_DATA, "%s: got a folder without %s, wanted it there or in %s",
                         source, files[0].name, official);
        }
    }
    for (int i = 0; i < n_files && !status; i++) {
        status = mbt_text_path(folder, files[i].name, path, err);
        if (!status && access(path, F_OK) == 0) {
            status = mbt_file_read(path, files[i].max_bytes, &files[i].data, &files[i].bytes, err);
        }
    }
    return status ? status : check_complete(folder, files, n_files, err);
}

/* ---- archives ---- */

static struct cifar_file *wanted_file(struct archive_entry *entry, struct cifar_file *files,
                                      int n_files)
{
    const char *path = archive_entry_pathname(entry);
    if (path == NULL || archive_entry_filetype(entry) != AE_IFREG ||
        archive_entry_hardlink(entry) != NULL) {
        return NULL;
    }
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    for (int i = 0; i < n_files; i++) {
        if (strcmp(base, files[i].name) == 0) {
            return &files[i];
        }
    }
    return NULL;
}

static mbt_status load_entry(struct archive *archive, const char *source,
                             struct archive_entry *entry, struct cifar_file *file, mbt_error *err)
{
    int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
    size_t have = 0;
    if (file->data != NULL) {
        return mbt_fail(err, MBT_DATA, "%s: %s is in it more than once", source, file->name);
    }
    if (size < 0 || (uint64_t)size > file->max_bytes) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %lld bytes, wanted at most %zu", source,
                        file->name, (long long)size, file->max_bytes);
    }
    file->bytes = (size_t)size;
    file->data = malloc(file->bytes + 1);
    if (file->data == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: %s: no memory for %zu bytes", source, file->name,
                        file->bytes);
    }
    while (have < file->bytes) {
        la_ssize_t n = archive_read_data(archive, file->data + have, file->bytes - have);
        if (n < 0) {
            return unpack_fail(archive, source, err);
        }
        if (n == 0) {
            return mbt_fail(err, MBT_DATA, "%s: %s: cut short: got %zu bytes, wanted %zu", source,
                            file->name, have, file->bytes);
        }
        have += (size_t)n;
    }
    file->data[have] = '\0';
    return MBT_OK;
}

static mbt_status load_entries(struct archive *tar, const char *source, struct cifar_file *files,
                               int n_files, mbt_error *err)
{
    struct archive_entry *entry = NULL;
    for (int n = 0;; n++) {
        int got = archive_read_next_header(tar, &entry);
        if (got == ARCHIVE_EOF) {
            return MBT_OK;
        }
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
            return unpack_fail(tar, source, err);
        }
        if (n >= ENTRIES_MAX || archive_filter_bytes(tar, 0) > UNPACKED_BYTES_MAX) {
            return mbt_fail(err, MBT_DATA, "%s: got more than %d entries or %lld bytes", source,
                            ENTRIES_MAX, (long long)UNPACKED_BYTES_MAX);
        }
        struct cifar_file *file = wanted_file(entry, files, n_files);
        mbt_status status = file != NULL ? load_entry(tar, source, entry, file, err) : MBT_OK;
        if (status) {
            return status;
        }
    }
}

static mbt_status load_archive(const char *source, struct cifar_file *files, int n_files,
                               mbt_error *err)
{
    struct unpack *unpack = NULL;
    struct archive *tar = NULL;
    mbt_status status = unpack_open(source, &unpack, &tar, err);
    if (!status) {
        status = load_entries(tar, source, files, n_files, err);
    }
    if (!status) {
        status = unpack_finish(unpack, err);
    }
    unpack_close(unpack);
    return status ? status : check_complete(source, files, n_files, err);
}

mbt_status cifar_load(const char *source, const char *official, struct cifar_file *files,
                      int n_files, mbt_error *err)
{
    struct stat info;
    if (stat(source, &info) != 0) {
        return mbt_fail(err, MBT_DATA, "%s: %s", source, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        return load_folder(source, official, files, n_files, err);
    }
    if (!S_ISREG(info.st_mode)) {
        return mbt_fail(err, MBT_DATA, "%s: got a special file, wanted a folder or a .tar.gz",
                        source);
    }
    if (info.st_size == 0) {
        return mbt_fail(err, MBT_DATA, "%s: empty file, wanted a .tar.gz", source);
    }
    return load_archive(source, files, n_files, err);
}
