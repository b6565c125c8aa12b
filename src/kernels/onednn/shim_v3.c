/* oneDNN 3.x: memory descriptors by handle, and primitives described in one call. */
#include "shim_version.h"

static const_dnnl_memory_desc_t handle(const mbt_shim_md *md)
{
    return (const_dnnl_memory_desc_t)md;
}

static const dnnl_dims_t no_dilation = {0};

dnnl_status_t mbt_shim_md_create(mbt_shim_md **md, int rank, const dnnl_dims_t dims,
                                 dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t own = NULL;
    const dnnl_status_t status = dnnl_memory_desc_create_with_tag(&own, rank, dims, type, tag);
    *md = (mbt_shim_md *)own;
    return status;
}

void mbt_shim_md_destroy(mbt_shim_md *md)
{
    (void)dnnl_memory_desc_destroy((dnnl_memory_desc_t)md);
}

const mbt_shim_md *mbt_shim_md_of(const_dnnl_primitive_desc_t desc, dnnl_query_t which)
{
    return (const mbt_shim_md *)dnnl_primitive_desc_query_md(desc, which, 0);
}

size_t mbt_shim_md_bytes(const mbt_shim_md *md)
{
    return dnnl_memory_desc_get_size(handle(md));
}

bool mbt_shim_md_equal(const mbt_shim_md *a, const mbt_shim_md *b)
{
    return dnnl_memory_desc_equal(handle(a), handle(b)) != 0;
}

dnnl_status_t mbt_shim_memory(dnnl_memory_t *memory, const mbt_shim_md *md, dnnl_engine_t engine)
{
    return dnnl_memory_create(memory, handle(md), engine, DNNL_MEMORY_NONE);
}

dnnl_status_t mbt_shim_forward(const mbt_shim_convolution *c, dnnl_primitive_desc_t *desc)
{
    return dnnl_convolution_forward_primitive_desc_create(
        desc, c->engine, dnnl_forward_training, dnnl_convolution_direct, handle(c->in),
        handle(c->weights), handle(c->bias), handle(c->out), c->stride, no_dilation, c->pad,
        c->pad_right, c->attr);
}

dnnl_status_t mbt_shim_backward_data(const mbt_shim_convolution *c,
                                     const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *desc)
{
    return dnnl_convolution_backward_data_primitive_desc_create(
        desc, c->engine, dnnl_convolution_direct, handle(c->in), handle(c->weights), handle(c->out),
        c->stride, no_dilation, c->pad, c->pad_right, hint, c->attr);
}

dnnl_status_t mbt_shim_backward_weights(const mbt_shim_convolution *c,
                                        const_dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *desc)
{
    return dnnl_convolution_backward_weights_primitive_desc_create(
        desc, c->engine, dnnl_convolution_direct, handle(c->in), handle(c->weights), NULL,
        handle(c->out), c->stride, no_dilation, c->pad, c->pad_right, hint, c->attr);
}

dnnl_status_t mbt_shim_reorder(const mbt_shim_md *from, const mbt_shim_md *to, dnnl_engine_t engine,
                               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *desc)
{
    return dnnl_reorder_primitive_desc_create(desc, handle(from), engine, handle(to), engine, attr);
}

dnnl_status_t mbt_shim_append_clip(dnnl_post_ops_t ops, float high)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_clip, 0.0f, high);
}
