/* Convolutions through oneDNN.
 *
 * A grouped 1x1 convolution is run as one dense convolution a section: oneDNN's grouped kernels
 * fall to a reference implementation for group widths that are no multiple of the block, and are
 * slower otherwise. Padded channels are given to oneDNN as real ones: they are zero on both sides,
 * and so are the weights between them. */
#include <float.h>
#include <stdlib.h>

#include "conv.h"
#include "shim.h"

struct instance {
    mbt_conv_desc desc;
    size_t weights_section; /* floats of a section's weights, stored */
    mbt_shim *shim;
};

static bool fits(mbt_isa isa, const mbt_conv_desc *conv)
{
    return conv->out.block == mbt_isa_block(isa) &&
           (conv->image
                ? conv->in.c <= 4 && conv->out.sections == 1
                : conv->in.block == conv->out.block && conv->in.sections == conv->out.sections);
}

bool mbt_onednn_conv_supports(mbt_isa isa, const void *desc)
{
    const mbt_conv_desc *conv = desc;
    return !conv->bf16 && fits(isa, conv);
}

bool mbt_onednn_conv_bf16_supports(mbt_isa isa, const void *desc)
{
    const mbt_conv_desc *conv = desc;
    return conv->bf16 && !conv->image && fits(isa, conv);
}

static void destroy(void *opaque)
{
    struct instance *self = opaque;
    if (self != NULL) {
        mbt_shim_destroy(self->shim);
        free(self);
    }
}

static mbt_status create(const mbt_conv_desc *desc, mbt_op op, int n_images, void **instance,
                         mbt_error *err)
{
    struct instance *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mbt_fail(err, MBT_FAILURE, "convolution: out of memory");
    }
    self->desc = *desc;
    static const float clip[] = {[MBT_ACT_NONE] = 0, [MBT_ACT_RELU6] = 6, [MBT_ACT_RELU] = FLT_MAX};
    const mbt_shim_case what = {
        .pass = op == MBT_OP_CONV_FORWARD         ? MBT_SHIM_FORWARD
                : op == MBT_OP_CONV_BACKWARD_DATA ? MBT_SHIM_BACKWARD_DATA
                                                  : MBT_SHIM_BACKWARD_WEIGHTS,
        .n = n_images,
        .c_in = desc->image ? desc->in.c : mbt_layout_section(&desc->in),
        .h_in = desc->in.h,
        .w_in = desc->in.w,
        .c_out = mbt_layout_section(&desc->out),
        .h_out = desc->out.h,
        .w_out = desc->out.w,
        .kernel = desc->kernel,
        .stride = desc->stride,
        .pad = desc->pad,
        .block = desc->out.block,
        .depthwise = desc->depthwise,
        .image = desc->image,
        .bf16 = desc->bf16,
        .bf16_out = desc->bf16_out,
        .bias = desc->bias && op == MBT_OP_CONV_FORWARD,
        .clip = op == MBT_OP_CONV_FORWARD ? clip[desc->act] : 0,
    };
    self->weights_section = (size_t)what.c_out * (size_t)(desc->depthwise ? 1 : what.c_in) *
                            (size_t)desc->kernel * (size_t)desc->kernel;
    const mbt_status status = mbt_shim_create(&what, &self->shim, err);
    if (status != MBT_OK) {
        destroy(self);
        return status;
    }
    *instance = self;
    return MBT_OK;
}

static const char *implementation(const void *opaque)
{
    return mbt_shim_implementation(((const struct instance *)opaque)->shim);
}

static size_t scratch_bytes(const void *opaque)
{
    return mbt_shim_scratch(((const struct instance *)opaque)->shim);
}

static size_t prepared(const void *opaque)
{
    const struct instance *self = opaque;
    return mbt_shim_prepared(self->shim) * (size_t)self->desc.out.sections;
}

static void prepare(void *opaque, const float *stored, float *to, void *scratch)
{
    struct instance *self = opaque;
    const size_t section = mbt_shim_prepared(self->shim);
    for (int s = 0; s < self->desc.out.sections; s++) {
        mbt_shim_prepare(self->shim, stored + (size_t)s * self->weights_section,
                         to + (size_t)s * section, scratch);
    }
}

static void *section_of(mbt_map map, int s)
{
    return (unsigned char *)map.data + (size_t)s * map.section * mbt_storage_bytes(map.storage);
}

static void run(void *opaque, const mbt_conv_args *args)
{
    struct instance *self = opaque;
    const size_t section =
        mbt_shim_prepared(self->shim) > 0 ? mbt_shim_prepared(self->shim) : self->weights_section;
    for (int s = 0; s < self->desc.out.sections; s++) {
        mbt_shim_run(self->shim, section_of(args->in, s), args->weights + (size_t)s * section,
                     args->bias != NULL ? args->bias + s * mbt_layout_section(&self->desc.out)
                                        : NULL,
                     section_of(args->out, s), args->scratch);
    }
}

const mbt_conv_ops mbt_onednn_conv = {
    .create = create,
    .destroy = destroy,
    .implementation = implementation,
    .scratch_bytes = scratch_bytes,
    .prepared = prepared,
    .prepare = prepare,
    .run = run,
};
