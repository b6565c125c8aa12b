/* What a run is of and what it predicts, as HDF5. */
#include "mbt/record.h"

#include <stdlib.h>

#include "mbt/text.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)
static const char ABOUT[] = "about.h5";
static const char PREDICTIONS[] = "predictions.h5", SPLIT[] = "/test";

/* ---- facts ---- */

/* The facts as attributes: texts and counts, by where they stand in mbt_record_facts. */
static const struct fact {
    const char *name;
    size_t offset, bytes; /* bytes: of a text; 0: a count */
    bool lacking;         /* in files of older runs */
} facts_table[] = {
    {"network", offsetof(mbt_record_facts, network), MBT_RECORD_NAME_BYTES, false},
    {"data_set", offsetof(mbt_record_facts, data_set), MBT_RECORD_NAME_BYTES, false},
    {"data_digest", offsetof(mbt_record_facts, data_digest), MBT_DIGEST_TEXT, false},
    {"arithmetic", offsetof(mbt_record_facts, arithmetic), MBT_RECORD_NAME_BYTES, true},
    {"processor", offsetof(mbt_record_facts, processor), MBT_RECORD_PROCESSOR_BYTES, true},
    {"parameters", offsetof(mbt_record_facts, parameters), 0, false},
    {"macs", offsetof(mbt_record_facts, macs), 0, false},
    {"ranks", offsetof(mbt_record_facts, ranks), 0, false},
    {"provenance", offsetof(mbt_record_facts, provenance), MBT_RECORD_TEXT_BYTES, false},
    {"commands", offsetof(mbt_record_facts, commands), MBT_RECORD_TEXT_BYTES, false},
};
enum { N_FACTS = sizeof facts_table / sizeof *facts_table };

static mbt_status store_facts(const mbt_record_facts *facts, mbt_store *store, mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int i = 0; i < N_FACTS && status == MBT_OK; i++) {
        const struct fact *f = &facts_table[i];
        const void *at = (const char *)facts + f->offset;
        status = f->bytes > 0 ? mbt_store_set_text(store, "/", f->name, at, err)
                              : mbt_store_set_i64(store, "/", f->name, *(const int64_t *)at, err);
    }
    return status;
}

static mbt_status load_facts(mbt_record_facts *facts, mbt_store *store, mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int i = 0; i < N_FACTS && status == MBT_OK; i++) {
        const struct fact *f = &facts_table[i];
        void *at = (char *)facts + f->offset;
        if (f->lacking && !mbt_store_has_attribute(store, "/", f->name)) {
            continue;
        }
        status = f->bytes > 0 ? mbt_store_get_text(store, "/", f->name, at, f->bytes, err)
                              : mbt_store_get_i64(store, "/", f->name, at, err);
    }
    return status;
}

/* ---- writing ---- */

mbt_status mbt_record_write_facts(const char *folder, const mbt_record_facts *facts, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    mbt_status status = mbt_text_path(folder, ABOUT, path, err);
    if (status == MBT_OK) {
        status = mbt_store_create(&store, err);
    }
    if (status == MBT_OK) {
        status = store_facts(facts, store, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_commit(store, path, NULL, err);
    }
    mbt_store_close(store);
    return status;
}

static mbt_status store_names(const mbt_record *record, mbt_store *store, mbt_error *err)
{
    const int n = record->predictions->n_classes;
    const char **names = malloc((size_t)n * sizeof *names);
    if (names == NULL) {
        return mbt_fail(err, MBT_FAILURE, "predictions: no memory for %d class names", n);
    }
    for (int i = 0; i < n; i++) {
        names[i] = record->class_names[i];
    }
    const mbt_status status = mbt_store_set_texts(store, "/", "class_names", n, names, err);
    free(names);
    return status;
}

mbt_status mbt_record_write_predictions(const char *path, const mbt_record *record, mbt_error *err)
{
    mbt_store *store = NULL;
    mbt_status status = mbt_store_create(&store, err);
    if (status == MBT_OK) {
        status = mbt_predictions_store(record->predictions, store, SPLIT, err);
    }
    if (status == MBT_OK) {
        status = store_facts(record->facts, store, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_set_i64(store, "/", "epoch", record->epoch, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_set_i64(store, "/", "step", record->step, err);
    }
    if (status == MBT_OK) {
        status = store_names(record, store, err);
    }
    if (status == MBT_OK) {
        status = mbt_store_commit(store, path, NULL, err);
    }
    mbt_store_close(store);
    return status;
}

/* ---- reading ---- */

mbt_status mbt_record_read_facts(const char *folder, mbt_record_facts *facts, mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    *facts = (mbt_record_facts){0};
    mbt_status status = mbt_text_path(folder, ABOUT, path, err);
    if (status != MBT_OK) {
        return status;
    }
    status = mbt_store_open(path, FILE_BYTES_MAX, &store, err);
    if (status == MBT_OK) {
        status = load_facts(facts, store, err);
    }
    mbt_store_close(store);
    return status;
}

static mbt_status load_names(mbt_store *store, const mbt_predictions *predictions,
                             char (**class_names)[MBT_CLASS_NAME_BYTES], mbt_error *err)
{
    int n = 0;
    *class_names = calloc((size_t)predictions->n_classes, sizeof **class_names);
    if (*class_names == NULL) {
        return mbt_fail(err, MBT_FAILURE, "no memory for the class names");
    }
    mbt_status status = mbt_store_get_texts(store, "/", "class_names", predictions->n_classes,
                                            MBT_CLASS_NAME_BYTES, (*class_names)[0], &n, err);
    if (status == MBT_OK && n != predictions->n_classes) {
        status =
            mbt_fail(err, MBT_DATA, "class_names: got %d, wanted %d", n, predictions->n_classes);
    }
    return status;
}

mbt_status mbt_record_read_predictions(const char *folder, mbt_predictions *predictions,
                                       char (**class_names)[MBT_CLASS_NAME_BYTES], int64_t *epoch,
                                       mbt_error *err)
{
    char path[MBT_PATH_BYTES];
    mbt_store *store = NULL;
    *class_names = NULL;
    mbt_status status = mbt_text_path(folder, PREDICTIONS, path, err);
    if (status != MBT_OK) {
        return status;
    }
    status = mbt_store_open(path, FILE_BYTES_MAX, &store, err);
    if (status == MBT_OK) {
        status = mbt_predictions_load(predictions, store, SPLIT, err);
        if (status == MBT_OK) {
            status = load_names(store, predictions, class_names, err);
        }
        if (status == MBT_OK) {
            status = mbt_store_get_i64(store, "/", "epoch", epoch, err);
        }
        if (status != MBT_OK) {
            (void)mbt_error_prefix(err, "%s", path);
            mbt_predictions_clear(predictions);
            free(*class_names);
            *class_names = NULL;
        }
    }
    mbt_store_close(store);
    return status;
}
