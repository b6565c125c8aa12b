/* A tree with one folder for each class as a data set: files as they are, shrunk, or as squares.
 *
 * Samples are taken from the classes in turn, so that any number of first ones is balanced. Every
 * image is decoded once, so that what is stored can be decoded; one that is stored in another form
 * than it came (shrunk, or CMYK, which becomes RGB) is decoded again, for the moments. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder_list.h"
#include "mbt/dataset.h"
#include "mbt/file.h"
#include "mbt/import.h"
#include "mbt/stop.h"
#include "mbt/text.h"

enum { RGB = 3 };

/* An image on its way: what is stored, and its pixels. */
struct picture {
    char *file; /* as it was read */
    uint8_t *rgb, *other_rgb, *other_bytes;
    const uint8_t *bytes, *pixels;
    size_t n;
    mbt_image_info info;
};

struct import {
    const mbt_folder_options *options;
    mbt_decoder *decoder;
    mbt_dataset_writer *writer; /* of encoded samples */
    uint8_t *squares[2];        /* of images of one size, and their labels */
    int32_t *labels[2];
    int64_t n[2];
    int64_t n_left_out;
};

static void free_picture(struct picture *p)
{
    free(p->file);
    free(p->rgb);
    free(p->other_rgb);
    free(p->other_bytes);
    *p = (struct picture){0};
}

static mbt_status decode(mbt_decoder *decoder, const uint8_t *bytes, size_t n, mbt_image_info *info,
                         uint8_t **rgb, mbt_error *err)
{
    mbt_status status = mbt_decoder_probe(decoder, bytes, n, info, err);
    if (status != MBT_OK) {
        return status;
    }
    *rgb = malloc((size_t)info->height * (size_t)info->width * RGB);
    return *rgb != NULL ? mbt_decoder_run(decoder, bytes, n, info, *rgb, err)
                        : mbt_fail(err, MBT_FAILURE, "no memory for %d x %d pixels", info->width,
                                   info->height);
}

/* What is stored of a picture larger than wanted, or of one that training would not decode. */
static mbt_status encode_again(struct import *import, struct picture *p, mbt_error *err)
{
    const int side = import->options->resize;
    const int shorter = p->info.height < p->info.width ? p->info.height : p->info.width;
    const bool shrinks = side > 0 && shorter > side;
    const uint8_t *from = p->rgb;
    uint8_t *small = NULL;
    int height = p->info.height, width = p->info.width;
    mbt_status status = MBT_OK;
    if (!shrinks && !p->info.cmyk) {
        return MBT_OK;
    }
    if (shrinks) {
        status = mbt_image_fit(p->rgb, height, width, side, false, &small, &height, &width, err);
        from = small;
    }
    if (status == MBT_OK) {
        status = mbt_image_to_jpeg(from, height, width, import->options->quality, &p->other_bytes,
                                   &p->n, err);
    }
    free(small);
    if (status == MBT_OK && p->n > MBT_SAMPLE_BYTES_MAX) {
        status = mbt_fail(err, MBT_DATA, "got %zu bytes as JPEG, wanted at most %zu: see --resize",
                          p->n, (size_t)MBT_SAMPLE_BYTES_MAX);
    }
    if (status == MBT_OK) {
        p->bytes = p->other_bytes;
        status = decode(import->decoder, p->bytes, p->n, &p->info, &p->other_rgb, err);
        p->pixels = p->other_rgb;
    }
    return status;
}

static mbt_status take_picture(struct import *import, const char *path, struct picture *p,
                               mbt_error *err)
{
    mbt_status status = mbt_file_read(path, MBT_SAMPLE_BYTES_MAX, &p->file, &p->n, err);
    if (status != MBT_OK) {
        return status; /* it names the file */
    }
    p->bytes = (const uint8_t *)p->file;
    status = decode(import->decoder, p->bytes, p->n, &p->info, &p->rgb, err);
    p->pixels = p->rgb;
    if (status == MBT_OK && import->options->square == 0) {
        status = encode_again(import, p, err);
    }
    return status == MBT_OK ? status : mbt_error_prefix(err, "%s", path);
}

static mbt_status store_square(struct import *import, int split, const struct picture *p,
                               int32_t label, mbt_error *err)
{
    const int side = import->options->square;
    const size_t bytes = (size_t)side * (size_t)side * RGB;
    uint8_t *square = NULL;
    int height, width;
    mbt_status status = mbt_image_fit(p->rgb, p->info.height, p->info.width, side, true, &square,
                                      &height, &width, err);
    if (status == MBT_OK) {
        const size_t at = (size_t)import->n[split];
        memcpy(import->squares[split] + at * bytes, square, bytes);
        import->labels[split][at] = label;
        free(square);
    }
    return status;
}

/* One file. With options->left_out, one that is no whole image is reported and passed over. */
static mbt_status take_file(struct import *import, int split, const char *folder,
                            const char *class_name, const char *file, int32_t label, bool *taken,
                            mbt_error *err)
{
    char inner[MBT_PATH_BYTES], path[MBT_PATH_BYTES];
    struct picture p = {0};
    mbt_status status = mbt_text_path(folder, class_name, inner, err);
    *taken = false;
    if (status == MBT_OK) {
        status = mbt_text_path(inner, file, path, err);
    }
    if (status == MBT_OK) {
        status = take_picture(import, path, &p, err);
        if (status == MBT_DATA && import->options->left_out != NULL) {
            import->options->left_out(err->message);
            import->n_left_out++;
            free_picture(&p);
            return MBT_OK;
        }
    }
    if (status == MBT_OK) {
        status = import->options->square > 0
                     ? store_square(import, split, &p, label, err)
                     : mbt_dataset_writer_add(import->writer, split, p.bytes, p.n, &p.info,
                                              p.pixels, label, err);
        *taken = true;
        import->n[split]++;
    }
    free_picture(&p);
    return status;
}

static mbt_status take_tree(struct import *import, int split, const struct folder_tree *tree,
                            mbt_error *err)
{
    int64_t *n_taken = calloc((size_t)tree->n_classes, sizeof *n_taken);
    mbt_status status =
        n_taken != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "%s: out of memory", tree->path);
    bool more = true;
    for (int64_t k = 0; more && status == MBT_OK; k++) {
        more = false;
        for (int64_t c = 0; c < tree->n_classes && status == MBT_OK; c++) {
            const struct folder_class *class = &tree->classes[c];
            bool taken = false;
            status = mbt_stop_check(tree->path, err);
            if (status == MBT_OK && k < class->n_files) {
                status = take_file(import, split, tree->path, class->name, class->files[k],
                                   (int32_t)c, &taken, err);
                n_taken[c] += taken;
                more = true;
            }
        }
    }
    for (int64_t c = 0; c < tree->n_classes && status == MBT_OK; c++) {
        if (n_taken[c] == 0) {
            status = mbt_fail(err, MBT_DATA, "%s/%s: no image of the class could be read",
                              tree->path, tree->classes[c].name);
        }
    }
    free(n_taken);
    return status;
}

static int64_t count_files(const struct folder_tree *tree)
{
    int64_t n = 0;
    for (int64_t c = 0; c < tree->n_classes; c++) {
        n += tree->classes[c].n_files;
    }
    return n;
}

static mbt_status take_room(struct import *import, const struct folder_tree tree[2], mbt_error *err)
{
    const size_t side = (size_t)import->options->square;
    for (int s = 0; s < 2; s++) {
        const size_t n = (size_t)count_files(&tree[s]);
        import->squares[s] = malloc(n * side * side * RGB);
        import->labels[s] = malloc(n * sizeof *import->labels[s]);
        if (import->squares[s] == NULL || import->labels[s] == NULL) {
            return mbt_fail(err, MBT_FAILURE,
                            "%s: no memory for %zu squares of %zu x %zu: wanted fewer or smaller "
                            "ones, or encoded images",
                            tree[s].path, n, side, side);
        }
    }
    return MBT_OK;
}

/* What `info` will say of where the samples come from. */
static void say_source(const struct import *import, const struct folder_tree tree[2], char *text,
                       size_t bytes)
{
    const mbt_folder_options *o = import->options;
    char how[80] = "as they are";
    if (o->square > 0) {
        (void)snprintf(how, sizeof how, "short side %d, centre", o->square);
    } else if (o->resize > 0) {
        (void)snprintf(how, sizeof how, "short side at most %d, JPEG quality %d", o->resize,
                       o->quality);
    }
    (void)snprintf(text, bytes, "folders %.60s and %.60s, images %s, %" PRId64 " left out",
                   tree[0].path, tree[1].path, how, import->n_left_out);
}

static mbt_status take_all(struct import *import, const struct folder_tree tree[2],
                           const char *const *names, const char *out, mbt_error *err)
{
    const mbt_folder_options *o = import->options;
    char source[256] = "";
    mbt_dataset_source made = {.name = o->name,
                               .source = source,
                               .height = o->square,
                               .width = o->square,
                               .channels = RGB,
                               .n_classes = (int)tree[0].n_classes,
                               .class_names = names};
    mbt_status status = mbt_dataset_check_header(&made, err); /* before hours of decoding */
    if (status != MBT_OK) {
        status = mbt_error_prefix(err, "%s", tree[0].path);
    } else {
        status = o->square > 0 ? take_room(import, tree, err)
                               : mbt_dataset_writer_create(&made, out, &import->writer, err);
    }
    for (int s = 0; s < 2 && status == MBT_OK; s++) {
        status = take_tree(import, s, &tree[s], err);
    }
    say_source(import, tree, source, sizeof source);
    for (int s = 0; s < 2; s++) {
        made.split[s].n = import->n[s];
        made.split[s].images = import->squares[s];
        made.split[s].labels = import->labels[s];
    }
    if (status == MBT_OK) {
        status = o->square > 0 ? mbt_dataset_write(&made, out, err)
                               : mbt_dataset_writer_finish(import->writer, err);
    }
    return status;
}

mbt_status mbt_import_folder(const char *train, const char *test, const mbt_folder_options *options,
                             const char *out, mbt_error *err)
{
    struct folder_tree tree[2] = {{0}, {0}};
    struct import import = {.options = options};
    const char **names = NULL;
    mbt_status status = folder_list(train, &tree[0], err);
    if (status == MBT_OK) {
        status = folder_list(test, &tree[1], err);
    }
    if (status == MBT_OK) {
        status = folder_compare(&tree[0], &tree[1], err);
    }
    if (status == MBT_OK) {
        names = malloc((size_t)tree[0].n_classes * sizeof *names);
        status = names != NULL ? mbt_decoder_create(&import.decoder, err)
                               : mbt_fail(err, MBT_FAILURE, "class names: out of memory");
    }
    for (int64_t c = 0; c < tree[0].n_classes && status == MBT_OK; c++) {
        names[c] = tree[0].classes[c].name;
    }
    if (status == MBT_OK) {
        status = take_all(&import, tree, names, out, err);
    }
    mbt_dataset_writer_destroy(import.writer);
    mbt_decoder_destroy(import.decoder);
    for (int s = 0; s < 2; s++) {
        free(import.squares[s]);
        free(import.labels[s]);
        folder_clear(&tree[s]);
    }
    free(names);
    return status;
}
