/* Convolutions through oneDNN, in what its versions 2 and 3 share. */
#include "shim.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "mbt/kernel.h"
#include "shim_version.h"

struct mbt_shim {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive, reorder;
    dnnl_memory_t in, weights, out, scratchpad, bias; /* bias: NULL when the case has none */
    dnnl_memory_t stored; /* weights in our form, when they must be laid out anew */
    dnnl_exec_arg_t args[5];
    int n_args;
    size_t scratch_bytes, prepared;
    char implementation[64];
};

static mbt_status check(dnnl_status_t status, const char *call, mbt_error *err)
{
    return status == dnnl_success
               ? MBT_OK
               : mbt_fail(err, MBT_FAILURE, "oneDNN: %s failed with status %d", call, (int)status);
}

/* The descriptors of a case; bias: NULL when it has none. weights: in our form, float. `read`: what
 * a forward pass on values of the type that this pass reads would have. */
struct memories {
    mbt_shim_md *in, *weights, *weights_any, *out, *bias;
    mbt_shim_md *in_read, *out_read;
};

static void release(struct memories *m)
{
    mbt_shim_md_destroy(m->in);
    mbt_shim_md_destroy(m->weights);
    mbt_shim_md_destroy(m->weights_any);
    mbt_shim_md_destroy(m->out);
    mbt_shim_md_destroy(m->bias);
    mbt_shim_md_destroy(m->in_read);
    mbt_shim_md_destroy(m->out_read);
}

static mbt_status describe(const mbt_shim_case *w, struct memories *m, mbt_error *err)
{
    const bool wide = w->block == 16;
    const dnnl_format_tag_t map = wide ? dnnl_nChw16c : dnnl_nChw8c;
    const dnnl_format_tag_t form = w->depthwise ? (wide ? dnnl_Goihw16g : dnnl_Goihw8g)
                                   : w->image   ? (wide ? dnnl_Ohwi16o : dnnl_Ohwi8o)
                                                : (wide ? dnnl_OIhw16i16o : dnnl_OIhw8i8o);
    const dnnl_dims_t in = {w->n, w->c_in, w->h_in, w->w_in};
    const dnnl_dims_t out = {w->n, w->c_out, w->h_out, w->w_out};
    const dnnl_dims_t dense = {w->c_out, w->c_in, w->kernel, w->kernel};
    const dnnl_dims_t depthwise = {w->c_out, 1, 1, w->kernel, w->kernel};
    const dnnl_dim_t *filter = w->depthwise ? depthwise : dense;
    const int rank = w->depthwise ? 5 : 4;
    const dnnl_dims_t channels = {w->c_out};
    const dnnl_data_type_t read = w->bf16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_data_type_t in_type = w->pass == MBT_SHIM_BACKWARD_DATA ? dnnl_f32 : read;
    const dnnl_data_type_t written = w->bf16_out ? dnnl_bf16 : dnnl_f32;
    const dnnl_data_type_t out_type = w->pass == MBT_SHIM_FORWARD ? written : read;
    const dnnl_format_tag_t in_tag = w->image ? dnnl_nchw : map;
    const struct {
        mbt_shim_md **md;
        int rank;
        const dnnl_dim_t *dims;
        dnnl_data_type_t type;
        dnnl_format_tag_t tag;
    } rows[] = {
        {&m->in, 4, in, in_type, in_tag},
        {&m->out, 4, out, out_type, map},
        {&m->in_read, 4, in, read, in_tag},
        {&m->out_read, 4, out, read, map},
        {&m->weights, rank, filter, dnnl_f32, form},
        {&m->weights_any, rank, filter, read, dnnl_format_tag_any},
        {&m->bias, 1, channels, dnnl_f32, dnnl_a},
    };
    const size_t n_rows = sizeof rows / sizeof rows[0] - (w->bias ? 0 : 1);
    mbt_status status = MBT_OK;
    for (size_t i = 0; i < n_rows && status == MBT_OK; i++) {
        status = check(
            mbt_shim_md_create(rows[i].md, rows[i].rank, rows[i].dims, rows[i].type, rows[i].tag),
            "a memory descriptor", err);
    }
    return status;
}

static mbt_status add_clip(dnnl_primitive_attr_t attr, float high, mbt_error *err)
{
    dnnl_post_ops_t ops = NULL;
    mbt_status status = check(dnnl_post_ops_create(&ops), "post_ops_create", err);
    if (status == MBT_OK) {
        status = check(mbt_shim_append_clip(ops, high), "post_ops_append_eltwise", err);
    }
    if (status == MBT_OK) {
        status = check(dnnl_primitive_attr_set_post_ops(attr, ops), "set_post_ops", err);
    }
    dnnl_post_ops_destroy(ops);
    return status;
}

/* Scratchpad of the caller; and float arithmetic, whatever the environment says of the library. */
static mbt_status make_attr(dnnl_primitive_attr_t *attr, mbt_error *err)
{
    mbt_status status = check(dnnl_primitive_attr_create(attr), "primitive_attr_create", err);
    if (status == MBT_OK) {
        status = check(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user),
                       "set_scratchpad_mode", err);
    }
    if (status == MBT_OK) {
        status = check(dnnl_primitive_attr_set_fpmath_mode(*attr, dnnl_fpmath_mode_strict),
                       "set_fpmath_mode", err);
    }
    return status;
}

/* The primitive's descriptor. Backward passes are hinted by the forward pass's; where weights may
 * be laid out anew, they may in the hint. */
static mbt_status choose(const mbt_shim_case *w, const struct memories *m, dnnl_engine_t engine,
                         dnnl_primitive_desc_t *chosen, mbt_error *err)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t hint = NULL;
    mbt_status status = make_attr(&attr, err);
    if (status == MBT_OK && w->clip > 0) {
        status = add_clip(attr, w->clip, err);
    }
    const bool forward = w->pass == MBT_SHIM_FORWARD;
    /* Right padding may be negative for a stride that does not divide: oneDNN infers the size. */
    mbt_shim_convolution c = {
        .in = forward ? m->in : m->in_read,
        .weights = w->bf16 || w->pass == MBT_SHIM_BACKWARD_DATA ? m->weights_any : m->weights,
        .bias = m->bias,
        .out = forward ? m->out : m->out_read,
        .stride = {w->stride, w->stride},
        .pad = {w->pad, w->pad},
        .pad_right = {(w->h_out - 1) * w->stride + w->kernel - w->h_in - w->pad,
                      (w->w_out - 1) * w->stride + w->kernel - w->w_in - w->pad},
        .engine = engine,
        .attr = attr,
    };
    if (status == MBT_OK) {
        status = check(mbt_shim_forward(&c, &hint), "a forward convolution", err);
    }
    c.in = m->in;
    c.out = m->out;
    if (status == MBT_OK && forward) {
        *chosen = hint;
        hint = NULL;
    } else if (status == MBT_OK && w->pass == MBT_SHIM_BACKWARD_DATA) {
        c.weights = w->depthwise ? m->weights : m->weights_any;
        status = check(mbt_shim_backward_data(&c, hint, chosen), "convolution backward data", err);
    } else if (status == MBT_OK) {
        c.weights = m->weights; /* their gradient goes where the slice is */
        status =
            check(mbt_shim_backward_weights(&c, hint, chosen), "convolution backward weights", err);
    }
    dnnl_primitive_desc_destroy(hint);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* The reorder from our form of the weights to the one the primitive wants, if they differ. */
static mbt_status make_reorder(mbt_shim *self, const mbt_shim_md *ours, const mbt_shim_md *wanted,
                               mbt_error *err)
{
    if (mbt_shim_md_equal(ours, wanted)) {
        return MBT_OK;
    }
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_attr_t attr = NULL;
    mbt_status status = make_attr(&attr, err);
    if (status == MBT_OK) {
        status = check(mbt_shim_reorder(ours, wanted, self->engine, attr, &desc),
                       "reorder_primitive_desc_create", err);
    }
    if (status == MBT_OK) {
        const size_t scratch = mbt_shim_md_bytes(mbt_shim_md_of(desc, dnnl_query_scratchpad_md));
        self->scratch_bytes = scratch > self->scratch_bytes ? scratch : self->scratch_bytes;
        self->prepared = mbt_shim_md_bytes(wanted) / sizeof(float);
        status =
            check(dnnl_primitive_create(&self->reorder, desc), "primitive_create (reorder)", err);
    }
    if (status == MBT_OK) {
        status = check(mbt_shim_memory(&self->stored, ours, self->engine), "memory_create", err);
    }
    dnnl_primitive_desc_destroy(desc);
    dnnl_primitive_attr_destroy(attr);
    return status;
}

static mbt_status bind(mbt_shim *self, const mbt_shim_case *w, const struct memories *m,
                       dnnl_primitive_desc_t desc, mbt_error *err)
{
    const bool backward_weights = w->pass == MBT_SHIM_BACKWARD_WEIGHTS;
    const mbt_shim_md *weights =
        mbt_shim_md_of(desc, backward_weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
    const mbt_shim_md *scratch = mbt_shim_md_of(desc, dnnl_query_scratchpad_md);
    self->scratch_bytes = mbt_shim_md_bytes(scratch);
    mbt_status status =
        check(dnnl_primitive_create(&self->primitive, desc), "primitive_create (convolution)", err);
    const mbt_shim_md *descs[] = {m->in, weights, m->out, scratch};
    dnnl_memory_t *memories[] = {&self->in, &self->weights, &self->out, &self->scratchpad};
    for (int i = 0; i < 4 && status == MBT_OK; i++) {
        status = check(mbt_shim_memory(memories[i], descs[i], self->engine), "memory_create", err);
    }
    if (status == MBT_OK) {
        status = make_reorder(self, m->weights, weights, err);
    }
    static const int names[3][3] = {
        [MBT_SHIM_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        [MBT_SHIM_BACKWARD_DATA] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        [MBT_SHIM_BACKWARD_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    for (int i = 0; i < 3; i++) {
        self->args[i] = (dnnl_exec_arg_t){names[w->pass][i], *memories[i]};
    }
    self->args[3] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, self->scratchpad};
    self->n_args = 4;
    if (status == MBT_OK && w->bias) {
        status = check(mbt_shim_memory(&self->bias, m->bias, self->engine), "memory_create", err);
        self->args[self->n_args++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, self->bias};
    }
    return status;
}

mbt_status mbt_shim_create(const mbt_shim_case *what, mbt_shim **shim, mbt_error *err)
{
    mbt_shim *self = calloc(1, sizeof *self);
    struct memories memories = {0};
    dnnl_primitive_desc_t desc = NULL;
    if (self == NULL) {
        return mbt_fail(err, MBT_FAILURE, "oneDNN: out of memory");
    }
    /* Primitives remember the number of threads they were made for. */
    omp_set_num_threads(1);
    mbt_status status = check(dnnl_engine_create(&self->engine, dnnl_cpu, 0), "engine_create", err);
    if (status == MBT_OK) {
        status = check(dnnl_stream_create(&self->stream, self->engine, dnnl_stream_default_flags),
                       "stream_create", err);
    }
    if (status == MBT_OK) {
        status = describe(what, &memories, err);
    }
    if (status == MBT_OK) {
        status = choose(what, &memories, self->engine, &desc, err);
    }
    if (status == MBT_OK) {
        status = bind(self, what, &memories, desc, err);
    }
    if (status == MBT_OK) {
        const char *name = "";
        status = check(dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name),
                       "primitive_desc_query", err);
        (void)snprintf(self->implementation, sizeof self->implementation, "%s", name);
    }
    dnnl_primitive_desc_destroy(desc);
    release(&memories);
    if (status != MBT_OK) {
        mbt_shim_destroy(self);
        return status;
    }
    *shim = self;
    return MBT_OK;
}

void mbt_shim_destroy(mbt_shim *self)
{
    if (self == NULL) {
        return;
    }
    dnnl_primitive_destroy(self->primitive);
    dnnl_primitive_destroy(self->reorder);
    dnnl_memory_destroy(self->in);
    dnnl_memory_destroy(self->weights);
    dnnl_memory_destroy(self->out);
    dnnl_memory_destroy(self->scratchpad);
    dnnl_memory_destroy(self->bias);
    dnnl_memory_destroy(self->stored);
    dnnl_stream_destroy(self->stream);
    dnnl_engine_destroy(self->engine);
    free(self);
}

size_t mbt_shim_scratch(const mbt_shim *self)
{
    return self->scratch_bytes;
}

size_t mbt_shim_prepared(const mbt_shim *self)
{
    return self->prepared;
}

const char *mbt_shim_implementation(const mbt_shim *self)
{
    return self->implementation;
}

/* After creation nothing that these calls check can change any more: a failure is a broken
 * invariant of ours or of the library. */
static void must(dnnl_status_t status)
{
    if (status != dnnl_success) {
        abort();
    }
}

void mbt_shim_prepare(mbt_shim *self, const float *stored, float *prepared, void *scratch)
{
    must(dnnl_memory_set_data_handle(self->stored, (void *)(size_t)stored));
    must(dnnl_memory_set_data_handle(self->weights, prepared));
    must(dnnl_memory_set_data_handle(self->scratchpad, scratch));
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, self->stored},
                                    {DNNL_ARG_TO, self->weights},
                                    {DNNL_ARG_SCRATCHPAD, self->scratchpad}};
    must(dnnl_primitive_execute(self->reorder, self->stream, 3, args));
}

void mbt_shim_run(mbt_shim *self, void *in, float *weights, float *bias, void *out, void *scratch)
{
    must(dnnl_memory_set_data_handle(self->in, in));
    must(dnnl_memory_set_data_handle(self->weights, weights));
    must(dnnl_memory_set_data_handle(self->out, out));
    must(dnnl_memory_set_data_handle(self->scratchpad, scratch));
    if (self->bias != NULL) {
        must(dnnl_memory_set_data_handle(self->bias, bias));
    }
    must(dnnl_primitive_execute(self->primitive, self->stream, self->n_args, self->args));
}

void mbt_kernel_library(char *out, size_t bytes)
{
    const dnnl_version_t *version = dnnl_version();
    (void)snprintf(out, bytes, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}
