/* The page's grid of mistaken images, read from the data set one by one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "html.h"
#include "mbt/store.h"
#include "mbt/text.h"
#include "page.h"
#include "picture.h"

enum { SHOWN = 24, SIDE_MAX = 1024 };
static const char IMAGES[] = "/test/images";

struct pictures {
    mbt_store *store;
    mbt_store_shape shape; /* [n][height][width][channels] */
    uint8_t *pixels;       /* of one image */
};

/* The data set beside the run's working directory, or in the folder MBTRAIN_DATA, as in training.
 */
static mbt_status find_data(const mbt_outcome *run, char *path, mbt_error *err)
{
    const char *folder = getenv("MBTRAIN_DATA");
    const char *name = run->config.data.path;
    if (access(name, R_OK) == 0 || name[0] == '/' || folder == NULL || folder[0] == '\0') {
        return mbt_text_format(path, MBT_PATH_BYTES, err, "path", "%s", name);
    }
    return mbt_text_path(folder, name, path, err);
}

static mbt_status open_pictures(const mbt_outcome *run, int64_t n, struct pictures *p,
                                mbt_error *err)
{
    char path[MBT_PATH_BYTES], digest[MBT_DIGEST_TEXT];
    mbt_status status = find_data(run, path, err);
    if (status == MBT_OK) {
        status = mbt_store_open_large(path, false, &p->store, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_get_text(p->store, "/", "digest", digest, sizeof digest, err);
    }
    if (status == MBT_OK && strcmp(digest, run->facts.data_digest) != 0) {
        status = mbt_fail(err, MBT_DATA, "%s: is another data set than the run's", path);
    }
    if (status == MBT_OK) {
        status = mbt_store_shape_of(p->store, IMAGES, &p->shape, err);
    }
    const mbt_store_shape *s = &p->shape;
    if (status == MBT_OK && (s->type != MBT_STORE_U8 || s->rank != 4 || s->dims[0] != (uint64_t)n ||
                             s->dims[1] > SIDE_MAX || s->dims[2] > SIDE_MAX || s->dims[3] > 4)) {
        status = mbt_fail(err, MBT_DATA, "%s: %s does not hold %" PRId64 " images as pixels", path,
                          IMAGES, n);
    }
    if (status == MBT_OK) {
        p->pixels = malloc((size_t)(s->dims[1] * s->dims[2] * s->dims[3]) + 1);
        status = p->pixels != NULL ? MBT_OK : mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    return status;
}

static void close_pictures(struct pictures *p)
{
    free(p->pixels);
    mbt_store_close(p->store);
}

/* The SHOWN mistakes of the largest probability, first first; returns how many there are. */
static int choose(const mbt_predictions *p, int64_t *chosen)
{
    int n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->predicted[i] == p->labels[i]) {
            continue;
        }
        int at = n < SHOWN ? n++ : SHOWN;
        while (at > 0 && p->probability[i] > p->probability[chosen[at - 1]]) {
            if (at < SHOWN) {
                chosen[at] = chosen[at - 1];
            }
            at--;
        }
        if (at < SHOWN) {
            chosen[at] = i;
        }
    }
    return n;
}

static mbt_status put_mistake(struct pictures *pictures, const page_predictions *p, int64_t i,
                              FILE *out, mbt_error *err)
{
    const mbt_store_shape *s = &pictures->shape;
    const char *is = p->names[p->all.labels[i]], *said = p->names[p->all.predicted[i]];
    mbt_status status =
        mbt_store_read_rows(pictures->store, IMAGES, s, (uint64_t)i, 1, pictures->pixels, err);
    if (status != MBT_OK) {
        return status;
    }
    (void)fputs("<figure><img alt=\"", out);
    html_text(out, is);
    (void)fputs(" taken for ", out);
    html_text(out, said);
    (void)fprintf(out, "\" title=\"test image %" PRId64 "\" src=\"", i);
    status = picture_put_data(pictures->pixels, (int)s->dims[1], (int)s->dims[2], (int)s->dims[3],
                              out, err);
    (void)fputs("\"><figcaption>", out);
    html_text(out, said);
    (void)fprintf(out, " %.0f %%<br><span class=\"is\">is ", 100 * (double)p->all.probability[i]);
    html_text(out, is);
    (void)fputs("</span></figcaption></figure>\n", out);
    return status;
}

mbt_status page_mistakes(const mbt_outcome *run, const page_predictions *p, FILE *out,
                         mbt_error *err)
{
    struct pictures pictures = {0};
    mbt_error why = {0};
    int64_t chosen[SHOWN];
    const int n = choose(&p->all, chosen);
    (void)fputs("<div class=\"card wide\"><h3>Most confident mistakes</h3>\n", out);
    mbt_status status = open_pictures(run, p->all.n, &pictures, &why);
    if (status == MBT_OK) {
        (void)fputs("<div class=\"mistakes\">\n", out);
        for (int i = 0; i < n && status == MBT_OK; i++) {
            status = put_mistake(&pictures, p, chosen[i], out, err);
        }
        (void)fputs(n > 0 ? "</div>\n" : "</div><p class=\"note\">There are none.</p>\n", out);
    } else {
        (void)fputs("<p class=\"note\">Without images: ", out);
        html_text(out, why.message);
        (void)fputs("</p>\n", out);
        status = MBT_OK;
    }
    close_pictures(&pictures);
    (void)fputs("</div>\n", out);
    return status;
}
