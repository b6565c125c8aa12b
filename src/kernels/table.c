/* The one ordered list of kernels. */
#include "mbt/kernel.h"
#include "onednn/conv.h"
#include "passes.h"

/* The passes on vectors take blocks of one. */
static bool blocks(const void *desc, int lanes)
{
    return ((const mbt_layout *)desc)->block == lanes;
}

static bool blocks_apply(const void *desc, int lanes)
{
    const mbt_apply_desc *apply = desc;
    return apply->source.block == lanes && apply->destination.block == lanes;
}

static bool blocks_depthwise(const void *desc, int lanes)
{
    const mbt_depthwise_desc *d = desc;
    const mbt_conv_desc *conv = &d->conv;
    return blocks_apply(&d->apply, lanes) && conv->depthwise && conv->kernel == 3 &&
           conv->pad == 1 && conv->in.sections == conv->out.sections &&
           (conv->stride == 1 || (conv->stride == 2 && conv->in.h % 2 == 0 && conv->in.w % 2 == 0));
}

static bool of_16(mbt_isa isa, const void *desc)
{
    (void)isa;
    return blocks(desc, 16);
}

static bool of_8(mbt_isa isa, const void *desc)
{
    (void)isa;
    return blocks(desc, 8);
}

static bool of_16_apply(mbt_isa isa, const void *desc)
{
    (void)isa;
    return blocks_apply(desc, 16);
}

static bool of_8_apply(mbt_isa isa, const void *desc)
{
    (void)isa;
    return blocks_apply(desc, 8);
}

static bool of_16_depthwise(mbt_isa isa, const void *desc)
{
    (void)isa;
    return blocks_depthwise(desc, 16);
}

static bool of_8_depthwise(mbt_isa isa, const void *desc)
{
    (void)isa;
    return blocks_depthwise(desc, 8);
}

/* Many narrow groups: oneDNN does them one call a group. */
static bool narrow(const mbt_conv_desc *conv)
{
    enum { NARROW = 32, FEW = 2 };
    return conv->in.sections > FEW && conv->in.c / conv->in.sections <= NARROW &&
           conv->out.c / conv->out.sections <= NARROW;
}

static bool pointwise(const mbt_conv_desc *conv, int lanes)
{
    return !conv->without_own && !conv->image && !conv->depthwise && !conv->bf16 &&
           conv->kernel == 1 && conv->stride == 1 && conv->pad == 0 && conv->in.block == lanes &&
           conv->out.block == lanes && conv->in.sections == conv->out.sections;
}

/* Blocks that are not full, of which oneDNN computes the padding too, and many narrow groups. */
static bool partial_or_narrow_pointwise(mbt_isa isa, const void *desc)
{
    const mbt_conv_desc *conv = desc;
    const int c = conv->in.c / conv->in.sections, o = conv->out.c / conv->out.sections;
    (void)isa;
    return pointwise(conv, 16) && (c % 16 != 0 || o % 16 != 0 || narrow(conv));
}

/* With AVX2 oneDNN is the slower one with any groups, and the faster one without. */
static bool grouped_pointwise(mbt_isa isa, const void *desc)
{
    const mbt_conv_desc *conv = desc;
    (void)isa;
    return pointwise(conv, 8) && conv->in.sections > 1;
}

/* Larger kernels have no backward passes in bf16: oneDNN 2.6.3 leaves the gradient of weights that
 * meet nothing but padding unwritten. Depthwise ones have their own in fp32. */
static bool wide_bf16(mbt_isa isa, const void *desc)
{
    const mbt_conv_desc *conv = desc;
    return conv->kernel == 1 && !conv->depthwise && !narrow(conv) &&
           mbt_onednn_conv_bf16_supports(isa, desc);
}

static bool forward_bf16(mbt_isa isa, const void *desc)
{
    const mbt_conv_desc *conv = desc;
    return (conv->depthwise || !narrow(conv)) && mbt_onednn_conv_bf16_supports(isa, desc);
}

static const mbt_kernel table[] = {
    {"onednn bf16",
     MBT_OP_CONV_FORWARD,
     MBT_ISA_AVX512_BF16,
     forward_bf16,
     {.conv = &mbt_onednn_conv}},
    {"onednn bf16",
     MBT_OP_CONV_BACKWARD_DATA,
     MBT_ISA_AVX512_BF16,
     wide_bf16,
     {.conv = &mbt_onednn_conv}},
    {"onednn bf16",
     MBT_OP_CONV_BACKWARD_WEIGHTS,
     MBT_ISA_AVX512_BF16,
     wide_bf16,
     {.conv = &mbt_onednn_conv}},
    {"avx512",
     MBT_OP_CONV_FORWARD,
     MBT_ISA_AVX512,
     partial_or_narrow_pointwise,
     {.conv = &mbt_pointwise_avx512}},
    {"avx2", MBT_OP_CONV_FORWARD, MBT_ISA_AVX2, grouped_pointwise, {.conv = &mbt_pointwise_avx2}},
    {"avx512",
     MBT_OP_CONV_BACKWARD_DATA,
     MBT_ISA_AVX512,
     partial_or_narrow_pointwise,
     {.conv = &mbt_pointwise_avx512}},
    {"avx2",
     MBT_OP_CONV_BACKWARD_DATA,
     MBT_ISA_AVX2,
     grouped_pointwise,
     {.conv = &mbt_pointwise_avx2}},
    {"avx512",
     MBT_OP_CONV_BACKWARD_WEIGHTS,
     MBT_ISA_AVX512,
     partial_or_narrow_pointwise,
     {.conv = &mbt_pointwise_avx512}},
    {"avx2",
     MBT_OP_CONV_BACKWARD_WEIGHTS,
     MBT_ISA_AVX2,
     grouped_pointwise,
     {.conv = &mbt_pointwise_avx2}},
    {"onednn",
     MBT_OP_CONV_FORWARD,
     MBT_ISA_X86_64,
     mbt_onednn_conv_supports,
     {.conv = &mbt_onednn_conv}},
    {"onednn",
     MBT_OP_CONV_BACKWARD_DATA,
     MBT_ISA_X86_64,
     mbt_onednn_conv_supports,
     {.conv = &mbt_onednn_conv}},
    {"onednn",
     MBT_OP_CONV_BACKWARD_WEIGHTS,
     MBT_ISA_X86_64,
     mbt_onednn_conv_supports,
     {.conv = &mbt_onednn_conv}},

    {"avx512", MBT_OP_STATS, MBT_ISA_AVX512, of_16, {.stats = mbt_stats_avx512}},
    {"avx2", MBT_OP_STATS, MBT_ISA_AVX2, of_8, {.stats = mbt_stats_avx2}},
    {"portable", MBT_OP_STATS, MBT_ISA_X86_64, NULL, {.stats = mbt_stats_portable}},
    {"avx512", MBT_OP_APPLY, MBT_ISA_AVX512, of_16_apply, {.apply = mbt_apply_avx512}},
    {"avx2", MBT_OP_APPLY, MBT_ISA_AVX2, of_8_apply, {.apply = mbt_apply_avx2}},
    {"portable", MBT_OP_APPLY, MBT_ISA_X86_64, NULL, {.apply = mbt_apply_portable}},
    {"avx512",
     MBT_OP_APPLY_BACKWARD,
     MBT_ISA_AVX512,
     of_16_apply,
     {.apply_backward = mbt_apply_backward_avx512}},
    {"avx2",
     MBT_OP_APPLY_BACKWARD,
     MBT_ISA_AVX2,
     of_8_apply,
     {.apply_backward = mbt_apply_backward_avx2}},
    {"portable",
     MBT_OP_APPLY_BACKWARD,
     MBT_ISA_X86_64,
     NULL,
     {.apply_backward = mbt_apply_backward_portable}},
    {"avx512",
     MBT_OP_NORM_BACKWARD,
     MBT_ISA_AVX512,
     of_16,
     {.norm_backward = mbt_norm_backward_avx512}},
    {"avx2", MBT_OP_NORM_BACKWARD, MBT_ISA_AVX2, of_8, {.norm_backward = mbt_norm_backward_avx2}},
    {"portable",
     MBT_OP_NORM_BACKWARD,
     MBT_ISA_X86_64,
     NULL,
     {.norm_backward = mbt_norm_backward_portable}},
    {"avx512",
     MBT_OP_DEPTHWISE_FORWARD,
     MBT_ISA_AVX512,
     of_16_depthwise,
     {.depthwise_forward = mbt_depthwise_forward_avx512}},
    {"avx2",
     MBT_OP_DEPTHWISE_FORWARD,
     MBT_ISA_AVX2,
     of_8_depthwise,
     {.depthwise_forward = mbt_depthwise_forward_avx2}},
    {"avx512",
     MBT_OP_DEPTHWISE_BACKWARD,
     MBT_ISA_AVX512,
     of_16_depthwise,
     {.depthwise_backward = mbt_depthwise_backward_avx512}},
    {"avx2",
     MBT_OP_DEPTHWISE_BACKWARD,
     MBT_ISA_AVX2,
     of_8_depthwise,
     {.depthwise_backward = mbt_depthwise_backward_avx2}},
    {"avx512", MBT_OP_POOL, MBT_ISA_AVX512, of_16, {.pool = mbt_pool_avx512}},
    {"avx2", MBT_OP_POOL, MBT_ISA_AVX2, of_8, {.pool = mbt_pool_avx2}},
    {"portable", MBT_OP_POOL, MBT_ISA_X86_64, NULL, {.pool = mbt_pool_portable}},
    {"avx512",
     MBT_OP_POOL_BACKWARD,
     MBT_ISA_AVX512,
     of_16,
     {.pool_backward = mbt_pool_backward_avx512}},
    {"avx2", MBT_OP_POOL_BACKWARD, MBT_ISA_AVX2, of_8, {.pool_backward = mbt_pool_backward_avx2}},
    {"portable",
     MBT_OP_POOL_BACKWARD,
     MBT_ISA_X86_64,
     NULL,
     {.pool_backward = mbt_pool_backward_portable}},
    {"avx512", MBT_OP_QUANTISE, MBT_ISA_AVX512, NULL, {.quantise = mbt_quantise_avx512}},
    {"avx2", MBT_OP_QUANTISE, MBT_ISA_AVX2, NULL, {.quantise = mbt_quantise_avx2}},
    {"portable", MBT_OP_QUANTISE, MBT_ISA_X86_64, NULL, {.quantise = mbt_quantise_portable}},
};

const mbt_kernel *mbt_kernel_table(int *n_rows)
{
    *n_rows = (int)(sizeof table / sizeof table[0]);
    return table;
}

const mbt_kernel *mbt_kernel_find(mbt_op op, mbt_isa isa, const void *desc)
{
    int n_rows;
    const mbt_kernel *row = mbt_kernel_table(&n_rows);
    for (const mbt_kernel *end = row + n_rows; row < end; row++) {
        if (row->op == op && row->isa <= isa &&
            (row->supports == NULL || row->supports(isa, desc))) {
            return row;
        }
    }
    return NULL;
}

const char *mbt_op_name(mbt_op op)
{
    static const char *const names[MBT_OP_COUNT] = {
        "conv forward",
        "conv backward data",
        "conv backward weights",
        "stats",
        "apply",
        "apply backward",
        "norm backward",
        "depthwise forward",
        "depthwise backward",
        "pool",
        "pool backward",
        "quantise",
    };
    return names[op];
}

mbt_param_form mbt_conv_form(const mbt_conv_desc *desc)
{
    return desc->image ? MBT_FORM_IMAGE : desc->depthwise ? MBT_FORM_DEPTHWISE : MBT_FORM_DENSE;
}

mbt_storage mbt_conv_reads(const mbt_conv_desc *desc)
{
    return desc->bf16 ? MBT_STORAGE_BF16 : MBT_STORAGE_FP32;
}

size_t mbt_depthwise_scratch(const mbt_depthwise_desc *desc)
{
    const size_t in = (size_t)desc->conv.in.w + 2, out = (size_t)desc->conv.out.w + 2;
    /* A row of zeros; rings of z, of y - mean, of dy. */
    return (in + DEPTHWISE_RING * (2 * in + out)) * (size_t)desc->conv.in.block;
}
