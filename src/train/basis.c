/* What a prediction starts from, as a file. */
#include <math.h>
#include <string.h>

#include "mbt/scaling.h"

enum { PATH_BYTES = 64 };

static const char *const integers[] = {"c",      "h",     "w",       "classes", "parameters",
                                       "batch",  "group", "threads", "storage", "bf16",
                                       "reduce", "ranks", "nodes"};
enum { N_INTEGERS = sizeof integers / sizeof integers[0] };

static int *integer_of(mbt_basis *b, int i)
{
    int *const fields[N_INTEGERS] = {
        &b->c,       &b->h,       &b->w,    &b->classes, &b->parameters, &b->batch, &b->group,
        &b->threads, &b->storage, &b->bf16, &b->reduce,  &b->ranks,      &b->nodes};
    return fields[i];
}

static const char *const numbers[] = {"step_s",    "group_s",         "backward_s",
                                      "prepare_s", "convert_s",       "update_s",
                                      "alpha_s",   "beta_s_per_byte", "memory_bytes"};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

static double *number_of(mbt_basis *b, int i)
{
    double *const fields[N_NUMBERS] = {&b->step_s,       &b->group_s,     &b->backward_s,
                                       &b->prepare_s,    &b->convert_s,   &b->update_s,
                                       &b->node.alpha_s, &b->node.beta_s, &b->memory_bytes};
    return fields[i];
}

void mbt_basis_write(const mbt_basis *basis, mbt_json *j)
{
    mbt_basis b = *basis;
    mbt_json_object(j, "basis");
    mbt_json_text(j, "network", b.network);
    for (int i = 0; i < N_INTEGERS; i++) {
        mbt_json_integer(j, integers[i], *integer_of(&b, i));
    }
    for (int i = 0; i < N_NUMBERS; i++) {
        mbt_json_number(j, numbers[i], *number_of(&b, i));
    }
    mbt_json_array(j, "buckets");
    for (int i = 0; i < b.n_buckets; i++) {
        mbt_json_object(j, NULL);
        mbt_json_number(j, "bytes", b.buckets[i].bytes);
        mbt_json_number(j, "ready_s", b.buckets[i].ready_s);
        mbt_json_end(j);
    }
    mbt_json_end(j);
    mbt_json_end(j);
}

/* The figure at `path`, not below `least`. */
static mbt_status read_number(const mbt_json_file *file, const char *name, const char *path,
                              double least, double *value, mbt_error *err)
{
    const mbt_status status = mbt_json_get(file, path, value, err);
    if (status == MBT_OK && (!isfinite(*value) || *value < least || *value > 1e15)) {
        return mbt_fail(err, MBT_DATA, "%s: %s: got %g, wanted at least %g", name, path, *value,
                        least);
    }
    return status;
}

static mbt_status read_buckets(const mbt_json_file *file, const char *name, mbt_basis *b,
                               mbt_error *err)
{
    mbt_status status = MBT_OK;
    b->n_buckets = mbt_json_count(file, "basis.buckets");
    if (b->n_buckets < 1 || b->n_buckets > MBT_BASIS_BUCKETS) {
        return mbt_fail(err, MBT_DATA, "%s: basis.buckets: got %d, wanted 1 to %d", name,
                        b->n_buckets, MBT_BASIS_BUCKETS);
    }
    for (int i = 0; i < b->n_buckets && status == MBT_OK; i++) {
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof path, "basis.buckets.%d.bytes", i);
        status = read_number(file, name, path, 0, &b->buckets[i].bytes, err);
        (void)snprintf(path, sizeof path, "basis.buckets.%d.ready_s", i);
        if (status == MBT_OK) {
            status = read_number(file, name, path, 0, &b->buckets[i].ready_s, err);
        }
    }
    return status;
}

mbt_status mbt_basis_read(const char *path, mbt_basis *b, mbt_error *err)
{
    mbt_json_file *file = NULL;
    const char *network = NULL;
    char place[PATH_BYTES];
    *b = (mbt_basis){0};
    mbt_status status = mbt_json_read(path, &file, err);
    if (status == MBT_OK) {
        status = mbt_json_get_text(file, "basis.network", &network, err);
    }
    if (status == MBT_OK) {
        status =
            mbt_text_format(b->network, sizeof b->network, err, "basis.network", "%s", network);
    }
    for (int i = 0; i < N_INTEGERS && status == MBT_OK; i++) {
        const int *field = integer_of(b, i);
        const bool choice = field == &b->storage || field == &b->bf16 || field == &b->reduce;
        double value = 0;
        (void)snprintf(place, sizeof place, "basis.%s", integers[i]);
        status = read_number(file, path, place, choice ? 0 : 1, &value, err);
        if (status == MBT_OK && value > 1e9) {
            status = mbt_fail(err, MBT_DATA, "%s: %s: got %g, wanted less", path, place, value);
        }
        *integer_of(b, i) = status == MBT_OK ? (int)value : 0;
    }
    for (int i = 0; i < N_NUMBERS && status == MBT_OK; i++) {
        (void)snprintf(place, sizeof place, "basis.%s", numbers[i]);
        status = read_number(file, path, place, 0, number_of(b, i), err);
    }
    if (status == MBT_OK && (b->step_s <= 0 || b->group_s <= 0 || b->nodes > b->ranks)) {
        status = mbt_fail(err, MBT_DATA,
                          "%s: basis: got no time for a step or a group, or more nodes than ranks; "
                          "wanted what mbtrain bench --json wrote",
                          path);
    }
    if (status == MBT_OK) {
        status = read_buckets(file, path, b, err);
    }
    mbt_json_close(file);
    return status;
}

mbt_status mbt_basis_check(const mbt_basis *basis, const mbt_basis *wanted, mbt_error *err)
{
    mbt_basis a = *basis, b = *wanted;
    if (strcmp(a.network, b.network) != 0) {
        return mbt_fail(err, MBT_CONFIG, "the measurement is of %s, the configuration says %s",
                        a.network, b.network);
    }
    for (int i = 0; i < N_INTEGERS; i++) {
        const int *field = integer_of(&a, i);
        const bool free = field == &a.batch || field == &a.ranks || field == &a.nodes;
        if (!free && *field != *integer_of(&b, i)) {
            return mbt_fail(err, MBT_CONFIG,
                            "the measurement was made with %s %d, the configuration has %d",
                            integers[i], *field, *integer_of(&b, i));
        }
    }
    return MBT_OK;
}
