/* Reads golden files and compares with them. */
#include "golden/golden_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 128, MAX_NAMES = 4096, MAX_PROJECTIONS = 64 };

static mbt_status join(const char *group, const char *name, char path[PATH_BYTES], mbt_error *err)
{
    int length = snprintf(path, PATH_BYTES, "%s/%s", group, name);
    if (length < 0 || length >= PATH_BYTES) {
        return mbt_fail(err, MBT_DATA, "golden: path %s/%s is too long", group, name);
    }
    return MBT_OK;
}

/* A data set of a known shape into fresh memory. columns 0: one dimension. */
static mbt_status read_array(mbt_store *store, const char *group, const char *name,
                             mbt_store_type type, int rows, int columns, void *out, mbt_error *err)
{
    char path[PATH_BYTES];
    void **array = out;
    mbt_store_shape shape = {type, columns > 0 ? 2 : 1, {(uint64_t)rows, (uint64_t)columns}};
    mbt_status status = join(group, name, path, err);
    if (status) {
        return status;
    }
    *array = calloc((size_t)rows * (size_t)(columns > 0 ? columns : 1), mbt_store_type_bytes(type));
    if (*array == NULL) {
        return mbt_fail(err, MBT_FAILURE, "golden: %s: out of memory", path);
    }
    return mbt_store_read(store, path, &shape, *array, err);
}

static mbt_status read_names(mbt_store *store, const char *group, golden_names *names,
                             mbt_error *err)
{
    mbt_status status = MBT_OK;
    char(*name)[GOLDEN_NAME_BYTES] = calloc(MAX_NAMES, sizeof *name);
    if (name == NULL) {
        return mbt_fail(err, MBT_FAILURE, "golden: %s: out of memory", group);
    }
    status = mbt_store_get_texts(store, group, "names", MAX_NAMES, sizeof *name, name[0], &names->n,
                                 err);
    names->name = name;
    return status;
}

static mbt_status copy_names(const golden_names *from, golden_names *to, mbt_error *err)
{
    to->name = calloc((size_t)from->n + 1, sizeof *to->name);
    if (to->name == NULL) {
        return mbt_fail(err, MBT_FAILURE, "golden: out of memory");
    }
    memcpy(to->name, from->name, (size_t)from->n * sizeof *to->name);
    to->n = from->n;
    return MBT_OK;
}

static mbt_status read_parameters(mbt_store *store, const char *group, golden_parameters *out,
                                  mbt_error *err)
{
    mbt_status status = read_names(store, group, &out->names, err);
    int n = out->names.n;
    if (!status) {
        status = read_array(store, group, "count", MBT_STORE_I64, n, 0, &out->count, err);
    }
    if (!status) {
        status = read_array(store, group, "checksum", MBT_STORE_I64, n, 0, &out->checksum, err);
    }
    if (!status) {
        status = read_array(store, group, "rule", MBT_STORE_I32, n, 3, &out->rule, err);
    }
    return status;
}

static void clear_parameters(golden_parameters *p)
{
    free(p->names.name);
    free(p->count);
    free(p->checksum);
    free(p->rule);
    *p = (golden_parameters){0};
}

/* The names are there already. */
static mbt_status read_table(mbt_store *store, const char *group, int n_projections,
                             golden_table *out, mbt_error *err)
{
    int n = out->names.n;
    out->n_projections = n_projections;
    mbt_status status = MBT_OK;
    if (n_projections < 1 || n_projections > MAX_PROJECTIONS) {
        return mbt_fail(err, MBT_DATA, "golden: got %d projections, wanted 1 to %d", n_projections,
                        MAX_PROJECTIONS);
    }
    status = read_array(store, group, "count", MBT_STORE_I64, n, 0, &out->count, err);
    if (!status) {
        status = read_array(store, group, "checked", MBT_STORE_I32, n, 0, &out->checked, err);
    }
    if (!status) {
        status = read_array(store, group, "norm", MBT_STORE_F64, n, 0, &out->norm, err);
    }
    if (!status) {
        status = read_array(store, group, "fp32_deviation", MBT_STORE_F64, n, 0,
                            &out->fp32_deviation, err);
    }
    if (!status) {
        status = read_array(store, group, "bf16_deviation", MBT_STORE_F64, n, 0,
                            &out->bf16_deviation, err);
    }
    if (!status) {
        status = read_array(store, group, "projection", MBT_STORE_F64, n, n_projections,
                            &out->projection, err);
    }
    return status;
}

static void clear_table(golden_table *t)
{
    free(t->names.name);
    free(t->count);
    free(t->checked);
    free(t->norm);
    free(t->fp32_deviation);
    free(t->bf16_deviation);
    free(t->projection);
    *t = (golden_table){0};
}

static mbt_status get_int(mbt_store *store, const char *path, const char *name, int *value,
                          mbt_error *err)
{
    int64_t wide = 0;
    mbt_status status = mbt_store_get_i64(store, path, name, &wide, err);
    if (!status && (wide < 0 || wide > INT32_MAX)) {
        status = mbt_fail(err, MBT_DATA, "golden: %s: %s is out of range", path, name);
    }
    *value = (int)wide;
    return status;
}

static mbt_status get_seed(mbt_store *store, const char *path, uint64_t *seed, mbt_error *err)
{
    int64_t value = 0;
    mbt_status status = mbt_store_get_i64(store, path, "seed", &value, err);
    *seed = (uint64_t)value;
    return status;
}

/* ---- networks ---- */

static mbt_status read_numbers(mbt_store *store, golden_network *out, mbt_error *err)
{
    const struct {
        const char *name;
        int *value;
    } ints[] = {
        {"downsampling", &out->downsampling},
        {"classes", &out->n_classes},
        {"groups", &out->n_groups},
        {"group_size", &out->group_size},
        {"steps", &out->n_steps},
    };
    const struct {
        const char *name;
        double *value;
    } reals[] = {
        {"lr", &out->lr},
        {"momentum", &out->momentum},
        {"weight_decay", &out->weight_decay},
        {"label_smoothing", &out->label_smoothing},
        {"statistics_momentum", &out->statistics_momentum},
        {"bn_eps", &out->bn_eps},
    };
    mbt_status status = mbt_store_get_text(store, "/", "row", out->row, sizeof out->row, err);
    if (!status) {
        status = get_seed(store, "/", &out->seed, err);
    }
    for (size_t i = 0; !status && i < sizeof ints / sizeof *ints; i++) {
        status = get_int(store, "/", ints[i].name, ints[i].value, err);
    }
    for (size_t i = 0; !status && i < sizeof reals / sizeof *reals; i++) {
        status = mbt_store_get_f64(store, "/", reals[i].name, reals[i].value, err);
    }
    if (!status && (out->n_steps < 1 || out->n_steps > GOLDEN_MAX_STEPS)) {
        status = mbt_fail(err, MBT_DATA, "golden: got %d steps, wanted 1 to %d", out->n_steps,
                          GOLDEN_MAX_STEPS);
    }
    return status;
}

static mbt_status read_steps(mbt_store *store, golden_network *out, mbt_error *err)
{
    const uint64_t n = (uint64_t)out->n_steps;
    const mbt_store_shape reals = {MBT_STORE_F64, 1, {n}}, pairs = {MBT_STORE_I64, 2, {n, 2}};
    mbt_status status = mbt_store_read(store, "/loss/value", &reals, out->loss, err);
    if (!status) {
        status =
            mbt_store_read(store, "/loss/fp32_deviation", &reals, out->loss_fp32_deviation, err);
    }
    if (!status) {
        status =
            mbt_store_read(store, "/loss/bf16_deviation", &reals, out->loss_bf16_deviation, err);
    }
    if (!status) {
        status = mbt_store_read(store, "/inputs", &pairs, out->inputs, err);
    }
    return status;
}

static mbt_status read_results(mbt_store *store, golden_network *out, mbt_error *err)
{
    int n_projections = 0;
    mbt_status status = get_int(store, "/", "projections", &n_projections, err);
    if (!status) {
        status = copy_names(&out->parameters.names, &out->gradient.names, err);
    }
    if (!status) {
        status = read_table(store, "/gradient", n_projections, &out->gradient, err);
    }
    if (!status) {
        status = read_names(store, "/statistics", &out->statistics.names, err);
    }
    if (!status) {
        status = read_table(store, "/statistics", n_projections, &out->statistics, err);
    }
    if (!status && out->n_steps > 1) {
        status = copy_names(&out->parameters.names, &out->update.names, err);
        if (!status) {
            status = read_table(store, "/update", n_projections, &out->update, err);
        }
    }
    return status;
}

mbt_status golden_network_read(const char *path, golden_network *out, mbt_error *err)
{
    mbt_store *store = NULL;
    *out = (golden_network){0};
    mbt_status status = mbt_store_open_large(path, false, &store, err);
    if (!status) {
        status = read_numbers(store, out, err);
    }
    if (!status) {
        status = read_steps(store, out, err);
    }
    if (!status) {
        status = read_parameters(store, "/parameters", &out->parameters, err);
    }
    if (!status) {
        status = read_results(store, out, err);
    }
    mbt_store_close(store);
    return status;
}

void golden_network_clear(golden_network *network)
{
    clear_parameters(&network->parameters);
    clear_table(&network->gradient);
    clear_table(&network->statistics);
    clear_table(&network->update);
}

/* ---- blocks ---- */

static mbt_status read_kind(mbt_store *store, const char *group, golden_block_kind *kind,
                            mbt_error *err)
{
    static const char *const words[] = {"inverted", "stem",        "head",
                                        "loss",     "interleaved", "channelwise"};
    char word[16] = "";
    mbt_status status = mbt_store_get_text(store, group, "kind", word, sizeof word, err);
    if (status) {
        return status;
    }
    for (int k = 0; k < (int)(sizeof words / sizeof *words); k++) {
        if (strcmp(word, words[k]) == 0) {
            *kind = (golden_block_kind)k;
            return MBT_OK;
        }
    }
    return mbt_fail(err, MBT_DATA, "golden: %s: no kind of block is called \"%s\"", group, word);
}

static mbt_status read_block_numbers(mbt_store *store, const char *group, golden_block *out,
                                     mbt_error *err)
{
    const mbt_store_shape shape = {MBT_STORE_I32, 1, {GOLDEN_MAX_ARGUMENTS}};
    int32_t arguments[GOLDEN_MAX_ARGUMENTS] = {0};
    char path[PATH_BYTES];
    mbt_status status = read_kind(store, group, &out->kind, err);
    if (!status) {
        status = get_seed(store, group, &out->seed, err);
    }
    if (!status) {
        status = get_int(store, group, "images", &out->images, err);
    }
    if (!status) {
        status = get_int(store, group, "side", &out->side, err);
    }
    if (!status) {
        status = mbt_store_get_f64(store, "/", "bn_eps", &out->bn_eps, err);
    }
    if (!status) {
        status = mbt_store_get_f64(store, "/", "label_smoothing", &out->label_smoothing, err);
    }
    if (!status) {
        status = join(group, "arguments", path, err);
    }
    if (!status) {
        status = mbt_store_read(store, path, &shape, arguments, err);
    }
    for (int i = 0; i < GOLDEN_MAX_ARGUMENTS; i++) {
        out->arguments[i] = arguments[i];
    }
    return status;
}

mbt_status golden_block_read(mbt_store *store, const char *name, golden_block *out, mbt_error *err)
{
    char group[PATH_BYTES], path[PATH_BYTES];
    int n_projections = 0;
    *out = (golden_block){0};
    mbt_status status = join("", name, group, err);
    if (!status) {
        status = read_block_numbers(store, group, out, err);
    }
    if (!status && out->kind != GOLDEN_BLOCK_LOSS) {
        status = join(group, "parameters", path, err);
        if (!status) {
            status = read_parameters(store, path, &out->parameters, err);
        }
    }
    if (!status) {
        status = get_int(store, "/", "projections", &n_projections, err);
    }
    if (!status) {
        status = read_names(store, group, &out->values.names, err);
    }
    if (!status) {
        status = read_table(store, group, n_projections, &out->values, err);
    }
    return status;
}

void golden_block_clear(golden_block *block)
{
    clear_parameters(&block->parameters);
    clear_table(&block->values);
}

/* ---- use ---- */

int golden_find(const golden_names *names, const char *name)
{
    for (int i = 0; i < names->n; i++) {
        if (strcmp(names->name[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

void golden_parameter_fill(const golden_parameters *parameters, uint64_t seed, int i, float *out)
{
    golden_fill(seed, i, (golden_kind)parameters->rule[3 * i], parameters->rule[3 * i + 1],
                (size_t)parameters->count[i], out);
}

double golden_deviation(const golden_table *table, int i, const float *values, const float *minus)
{
    double got[MAX_PROJECTIONS], sum = 0.0;
    const double *wanted = table->projection + (size_t)i * (size_t)table->n_projections;
    golden_project(i, values, minus, (size_t)table->count[i], table->n_projections, got);
    for (int k = 0; k < table->n_projections; k++) {
        sum += (got[k] - wanted[k]) * (got[k] - wanted[k]);
    }
    return sqrt(sum / table->n_projections);
}

double golden_allowed(const golden_table *table, int i)
{
    return table->checked[i] ? 2.0 * table->fp32_deviation[i] : INFINITY;
}

double golden_loss_allowed(const golden_network *network, int step)
{
    const float loss = (float)network->loss[step];
    const double spacing = (double)nextafterf(loss, INFINITY) - (double)loss;
    return 2.0 * fmax(network->loss_fp32_deviation[step], spacing);
}

double golden_allowed_bf16(const golden_table *table, int i)
{
    const double deviation = table->bf16_deviation[i];
    return table->checked[i] && deviation < 0.25 * table->norm[i] ? 2.0 * deviation : INFINITY;
}

double golden_loss_allowed_bf16(const golden_network *network)
{
    double largest = 0;
    for (int step = 0; step < network->n_steps; step++) {
        largest = fmax(largest, network->loss_bf16_deviation[step]);
    }
    return 2.0 * largest;
}
