/* oneDNN 2.x: memory descriptors by value, and an operation's descriptor before a primitive's. */
#include <stdlib.h>

#include "shim_version.h"

static const dnnl_memory_desc_t *value(const mbt_shim_md *md)
{
    return (const dnnl_memory_desc_t *)md;
}

dnnl_status_t mbt_shim_md_create(mbt_shim_md **md, int rank, const dnnl_dims_t dims,
                                 dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t *own = malloc(sizeof *own);
    *md = (mbt_shim_md *)own;
    return own == NULL ? dnnl_out_of_memory
                       : dnnl_memory_desc_init_by_tag(own, rank, dims, type, tag);
}

void mbt_shim_md_destroy(mbt_shim_md *md)
{
    free(md);
}

const mbt_shim_md *mbt_shim_md_of(const_dnnl_primitive_desc_t desc, dnnl_query_t which)
{
    return (const mbt_shim_md *)dnnl_primitive_desc_query_md(desc, which, 0);
}

size_t mbt_shim_md_bytes(const mbt_shim_md *md)
{
    return dnnl_memory_desc_get_size(value(md));
}

bool mbt_shim_md_equal(const mbt_shim_md *a, const mbt_shim_md *b)
{
    return dnnl_memory_desc_equal(value(a), value(b)) != 0;
}

dnnl_status_t mbt_shim_memory(dnnl_memory_t *memory, const mbt_shim_md *md, dnnl_engine_t engine)
{
    return dnnl_memory_create(memory, value(md), engine, DNNL_MEMORY_NONE);
}

dnnl_status_t mbt_shim_forward(const mbt_shim_convolution *c, dnnl_primitive_desc_t *desc)
{
    dnnl_convolution_desc_t op;
    const dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &op, dnnl_forward_training, dnnl_convolution_direct, value(c->in), value(c->weights),
        value(c->bias), value(c->out), c->stride, c->pad, c->pad_right);
    return status != dnnl_success ? status
                                  : dnnl_primitive_desc_create(desc, &op, c->attr, c->engine, NULL);
}

dnnl_status_t mbt_shim_backward_data(const mbt_shim_convolution *c,
                                     const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *desc)
{
    dnnl_convolution_desc_t op;
    const dnnl_status_t status = dnnl_convolution_backward_data_desc_init(
        &op, dnnl_convolution_direct, value(c->in), value(c->weights), value(c->out), c->stride,
        c->pad, c->pad_right);
    return status != dnnl_success ? status
                                  : dnnl_primitive_desc_create(desc, &op, c->attr, c->engine, hint);
}

dnnl_status_t mbt_shim_backward_weights(const mbt_shim_convolution *c,
                                        const_dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *desc)
{
    dnnl_convolution_desc_t op;
    const dnnl_status_t status = dnnl_convolution_backward_weights_desc_init(
        &op, dnnl_convolution_direct, value(c->in), value(c->weights), NULL, value(c->out),
        c->stride, c->pad, c->pad_right);
    return status != dnnl_success ? status
                                  : dnnl_primitive_desc_create(desc, &op, c->attr, c->engine, hint);
}

dnnl_status_t mbt_shim_reorder(const mbt_shim_md *from, const mbt_shim_md *to, dnnl_engine_t engine,
                               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *desc)
{
    return dnnl_reorder_primitive_desc_create(desc, value(from), engine, value(to), engine, attr);
}

dnnl_status_t mbt_shim_append_clip(dnnl_post_ops_t ops, float high)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_clip, 0.0f, high);
}
