/* A finished run among the recorded results. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/file.h"
#include "mbt/report.h"
#include "mbt/text.h"

enum { README_BYTES_MAX = 1 << 20, LINE_BYTES = 8192 };

/* The head of the table that README.md must have; lines behind it are entries. */
static const char head[] = "| run | network | data | params, M | MACs, M | epochs | seed | "
                           "test top-1, % | top-5, % | hours | processor | commit | command |\n"
                           "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/* "abc123" of the provenance's "commit: abc123"; "-" when there is none. */
static void commit_of(const mbt_outcome *run, char *out, size_t bytes)
{
    const char *at = strstr(run->facts.provenance, "commit: ");
    at = at != NULL ? at + strlen("commit: ") : "-";
    (void)snprintf(out, bytes, "%.*s", (int)strcspn(at, " \n,)"), at);
}

/* The sittings' commands in one cell: a line break between them, none that a table would end at. */
static void put_commands(const mbt_outcome *run, FILE *out)
{
    const char *text = run->facts.commands;
    const size_t length = strlen(text);
    if (length == 0) {
        (void)fputs("not recorded", out);
        return;
    }
    (void)fputc('`', out);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            (void)fputs(i + 1 < length ? "`, then `" : "", out);
        } else if (text[i] == '|' || text[i] == '`') {
            (void)fputc('\'', out);
        } else {
            (void)fputc(text[i], out);
        }
    }
    (void)fputc('`', out);
}

static void put_line(const mbt_outcome *run, FILE *out)
{
    const mbt_metrics_row *row = &run->metrics.rows[run->row];
    const char *name = mbt_outcome_name(run), *processor = run->facts.processor;
    char commit[64], network[2 * MBT_RECORD_NAME_BYTES];
    mbt_outcome_network(run, network, sizeof network);
    commit_of(run, commit, sizeof commit);
    (void)fprintf(out,
                  "| [%s](%s.svg) ([csv](%s.csv)) | %s | %s | %.2f | %.1f | "
                  "%" PRId64 " | %" PRId64 " | **%.2f** | %.2f | %.2f | %s | %s | ",
                  name, name, name, network, run->facts.data_set,
                  (double)run->facts.parameters / 1e6, (double)run->facts.macs / 1e6,
                  run->config.train.epochs, run->config.train.seed, row->test_top1, row->test_top5,
                  run->hours, processor[0] != '\0' ? processor : "not recorded", commit);
    put_commands(run, out);
    (void)fputs(" |\n", out);
}

/* README.md with the entry: in the place of an older one of that name, or at the table's end. */
static mbt_status merge(const mbt_outcome *run, const char *path, const char *before, FILE *out,
                        mbt_error *err)
{
    const char *table = strstr(before, head);
    char key[LINE_BYTES];
    bool put = false;
    if (table == NULL) {
        return mbt_fail(err, MBT_DATA, "%s: has no table of results, wanted the line \"%.60s...\"",
                        path, head);
    }
    (void)snprintf(key, sizeof key, "| [%s](", mbt_outcome_name(run));
    const char *at = table + strlen(head);
    (void)fwrite(before, 1, (size_t)(at - before), out);
    while (*at == '|') {
        const size_t length = strcspn(at, "\n");
        if (strncmp(at, key, strlen(key)) == 0) {
            put_line(run, out);
            put = true;
        } else {
            (void)fprintf(out, "%.*s\n", (int)length, at);
        }
        at += length + (at[length] == '\n');
    }
    if (!put) {
        put_line(run, out);
    }
    (void)fputs(at, out);
    return MBT_OK;
}

/* The README of the folder with the run's line in it; caller frees *text. */
static mbt_status make_readme(const mbt_outcome *run, const char *path, char **text, size_t *bytes,
                              mbt_error *err)
{
    char *before = NULL;
    mbt_status status = mbt_file_read(path, README_BYTES_MAX, &before, NULL, err);
    FILE *out = status == MBT_OK ? open_memstream(text, bytes) : NULL;
    if (status == MBT_OK && out == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", path);
    }
    if (status == MBT_OK) {
        status = merge(run, path, before, out, err);
    }
    if (out != NULL && fclose(out) != 0 && status == MBT_OK) {
        status = mbt_fail(err, MBT_FAILURE, "%s: %s", path, strerror(errno));
    }
    free(before);
    return status;
}

/* NAME.csv and NAME.svg. */
static mbt_status write_curve(const mbt_outcome *run, const char *folder, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_status status =
        mbt_text_format(path, sizeof path, err, "path", "%s/%s.csv", folder, mbt_outcome_name(run));
    if (status == MBT_OK) {
        status = mbt_metrics_write_csv(&run->metrics, path, err);
    }
    if (status == MBT_OK) {
        status = mbt_text_format(path, sizeof path, err, "path", "%s/%s.svg", folder,
                                 mbt_outcome_name(run));
    }
    return status == MBT_OK ? mbt_report_plot(run, 1, "accuracy", path, err) : status;
}

mbt_status mbt_report_enter(const mbt_outcome *run, const char *folder, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    char *text = NULL;
    size_t bytes = 0;
    if (!run->finished) {
        const mbt_metrics *m = &run->metrics;
        return mbt_fail(err, MBT_DATA,
                        "run %s: has done %" PRId64 " of %" PRId64 " epochs; only finished runs "
                        "are results",
                        run->folder, m->rows[m->n_rows - 1].epoch, run->config.train.epochs);
    }
    const char *name = mbt_outcome_name(run);
    if (name[strcspn(name, " \t\r\n|[]()<>`\\#?%")] != '\0') {
        return mbt_fail(err, MBT_DATA,
                        "run %s: got the name \"%s\", wanted one that can be a link: without "
                        "blanks and any of |[]()<>`\\#?%%",
                        run->folder, name);
    }
    mbt_status status = mbt_text_path(folder, "README.md", path, err);
    if (status == MBT_OK) {
        status = make_readme(run, path, &text, &bytes, err);
    }
    if (status == MBT_OK) {
        status = write_curve(run, folder, err);
    }
    if (status == MBT_OK) { /* last: what it names is there now */
        status = mbt_file_replace(path, text, bytes, err);
    }
    free(text);
    return status;
}
