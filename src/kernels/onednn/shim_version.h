/* What oneDNN's versions 2 and 3 say differently: a memory descriptor is a value in one and a
 * handle in the other, and a primitive is described in two calls or in one. shim.c asks for it in
 * these terms; shim_v2.c and shim_v3.c translate, and decide nothing. */
#ifndef MBT_KERNELS_ONEDNN_SHIM_VERSION_H
#define MBT_KERNELS_ONEDNN_SHIM_VERSION_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct mbt_shim_md mbt_shim_md; /* a memory descriptor; defined nowhere */

/* In the layout that the tag names. */
dnnl_status_t mbt_shim_md_create(mbt_shim_md **md, int rank, const dnnl_dims_t dims,
                                 dnnl_data_type_t type, dnnl_format_tag_t tag);
void mbt_shim_md_destroy(mbt_shim_md *md); /* NULL is allowed */
/* One of a primitive's, borrowed from its descriptor. */
const mbt_shim_md *mbt_shim_md_of(const_dnnl_primitive_desc_t desc, dnnl_query_t which);
size_t mbt_shim_md_bytes(const mbt_shim_md *md);
bool mbt_shim_md_equal(const mbt_shim_md *a, const mbt_shim_md *b);

/* A memory object that has no data yet. */
dnnl_status_t mbt_shim_memory(dnnl_memory_t *memory, const mbt_shim_md *md, dnnl_engine_t engine);

typedef struct mbt_shim_convolution {
    const mbt_shim_md *in, *weights, *bias, *out; /* bias: NULL for none */
    dnnl_dims_t stride, pad, pad_right;
    dnnl_engine_t engine;
    const_dnnl_primitive_attr_t attr;
} mbt_shim_convolution;

dnnl_status_t mbt_shim_forward(const mbt_shim_convolution *c, dnnl_primitive_desc_t *desc);
/* Backward passes want a forward primitive's descriptor as a hint, and have no bias. */
dnnl_status_t mbt_shim_backward_data(const mbt_shim_convolution *c,
                                     const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *desc);
dnnl_status_t mbt_shim_backward_weights(const mbt_shim_convolution *c,
                                        const_dnnl_primitive_desc_t hint,
                                        dnnl_primitive_desc_t *desc);
dnnl_status_t mbt_shim_reorder(const mbt_shim_md *from, const mbt_shim_md *to, dnnl_engine_t engine,
                               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *desc);

/* A post-op: min(max(v, 0), high). */
dnnl_status_t mbt_shim_append_clip(dnnl_post_ops_t ops, float high);

#endif
