/* The page's grid of mistaken images, read from the data set one by one. */
#include <inttypes.h>

#include "html.h"
#include "page.h"
#include "picture.h"
#include "test_images.h"

enum { SHOWN = 24 };

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

static mbt_status put_mistake(test_images *images, const page_predictions *p, int64_t i, FILE *out,
                              mbt_error *err)
{
    const char *is = p->names[p->all.labels[i]], *said = p->names[p->all.predicted[i]];
    mbt_status status = test_images_read(images, i, err);
    if (status != MBT_OK) {
        return status;
    }
    (void)fputs("<figure><img alt=\"", out);
    html_text(out, is);
    (void)fputs(" taken for ", out);
    html_text(out, said);
    (void)fprintf(out, "\" title=\"test image %" PRId64 "\" src=\"", i);
    status =
        picture_put_data(images->pixels, images->height, images->width, images->channels, out, err);
    (void)fputs("\"><figcaption>", out);
    html_text(out, said);
    (void)fprintf(out, " %.0f %%<br><span class=\"is\">is ", 100 * (double)p->all.probability[i]);
    html_text(out, is);
    (void)fputs("</span></figcaption></figure>\n", out);
    return status;
}

static void put_note(const char *what, const char *why, FILE *out)
{
    (void)fprintf(out, "<p class=\"note\">%s: ", what);
    html_text(out, why);
    (void)fputs("</p>\n", out);
}

mbt_status page_mistakes(const mbt_outcome *run, const page_predictions *p, FILE *out,
                         mbt_error *err)
{
    test_images images = {0};
    mbt_error why = {0};
    int64_t chosen[SHOWN];
    const int n = choose(&p->all, chosen);
    (void)fputs("<div class=\"card wide\"><h3>Most confident mistakes</h3>\n", out);
    mbt_status status = test_images_open(run, p->all.n, &images, &why);
    if (status == MBT_OK) {
        (void)fputs("<div class=\"mistakes\">\n", out);
        for (int i = 0; i < n && status == MBT_OK; i++) {
            status = put_mistake(&images, p, chosen[i], out, &why);
            if (status == MBT_DATA) { /* in its place */
                put_note("Without this one", why.message, out);
                status = MBT_OK;
            }
        }
        if (status != MBT_OK) {
            *err = why;
        }
        (void)fputs(n > 0 ? "</div>\n" : "</div><p class=\"note\">There are none.</p>\n", out);
    } else {
        put_note("Without images", why.message, out);
        status = MBT_OK;
    }
    test_images_close(&images);
    (void)fputs("</div>\n", out);
    return status;
}
