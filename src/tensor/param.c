/* The table of contents of the flat parameter block, and the stored forms of its slices.
 *
 * Every form is one function that says where a canonical element lies; pack and unpack walk the
 * canonical order and ask it. Packing happens when a network is made or loaded and when it is
 * saved, never in a step, so clarity goes before speed. */
#include "mbt/param.h"

#include <stdlib.h>
#include <string.h>

enum { STORED_UNIT = 16 }; /* slices begin at whole cache lines and vectors */

/* The canonical element's coordinates; a rank below four reads as trailing ones. */
typedef struct place {
    size_t o, i, t; /* output channel, input channel, tap kh*KW + kw */
} place;

static size_t dim(const mbt_slice *slice, int axis)
{
    return axis < slice->rank ? (size_t)slice->dims[axis] : 1;
}

static size_t taps(const mbt_slice *slice)
{
    return dim(slice, 2) * dim(slice, 3);
}

/* [S][Po/B][Pi/B][kh][kw][B in][B out] */
static size_t dense_floats(const mbt_slice *slice)
{
    return (size_t)mbt_layout_stored(&slice->out) * (size_t)mbt_layout_section(&slice->in) *
           taps(slice);
}

/* Groups of the convolution that share a section. */
static size_t groups_in_section(const mbt_slice *slice)
{
    return (size_t)slice->in.c / dim(slice, 1) / (size_t)slice->in.sections;
}

static size_t dense_index(const mbt_slice *slice, place p)
{
    size_t block = (size_t)slice->out.block;
    size_t channels = (size_t)slice->out.c / (size_t)slice->out.sections;
    size_t out_blocks = (size_t)mbt_layout_section(&slice->out) / block;
    size_t in_blocks = (size_t)mbt_layout_section(&slice->in) / block;
    size_t local = p.o % channels;
    size_t in = local / (channels / groups_in_section(slice)) * dim(slice, 1) + p.i;
    size_t index = p.o / channels * out_blocks + local / block;
    index = index * in_blocks + in / block;
    index = index * taps(slice) + p.t;
    index = index * block + in % block;
    return index * block + local % block;
}

/* [S*P/B][kh][kw][B] */
static size_t depthwise_floats(const mbt_slice *slice)
{
    return (size_t)mbt_layout_stored(&slice->out) * taps(slice);
}

static size_t depthwise_index(const mbt_slice *slice, place p)
{
    size_t block = (size_t)slice->out.block;
    size_t position = (size_t)mbt_layout_position(&slice->out, (int)p.o);
    return (position / block * taps(slice) + p.t) * block + position % block;
}

/* [S*P/B][kh][kw][I][B]; the input has plain channels without padding */
static size_t image_floats(const mbt_slice *slice)
{
    return (size_t)mbt_layout_stored(&slice->out) * taps(slice) * dim(slice, 1);
}

static size_t image_index(const mbt_slice *slice, place p)
{
    size_t block = (size_t)slice->out.block;
    size_t position = (size_t)mbt_layout_position(&slice->out, (int)p.o);
    size_t index = position / block * taps(slice) + p.t;
    return (index * dim(slice, 1) + p.i) * block + position % block;
}

/* [S*P] */
static size_t channels_floats(const mbt_slice *slice)
{
    return (size_t)mbt_layout_stored(&slice->out);
}

static size_t channels_index(const mbt_slice *slice, place p)
{
    return (size_t)mbt_layout_position(&slice->out, (int)p.o);
}

static const struct {
    size_t (*floats)(const mbt_slice *slice);
    size_t (*index)(const mbt_slice *slice, place p);
} forms[] = {
    [MBT_FORM_DENSE] = {dense_floats, dense_index},
    [MBT_FORM_DEPTHWISE] = {depthwise_floats, depthwise_index},
    [MBT_FORM_IMAGE] = {image_floats, image_index},
    [MBT_FORM_CHANNELS] = {channels_floats, channels_index},
};

void mbt_params_clear(mbt_params *params)
{
    free(params->slices);
    *params = (mbt_params){0};
}

static int layout_is_sane(const mbt_layout *l)
{
    return l->c > 0 && l->sections > 0 && l->block > 0 && l->c % l->sections == 0;
}

/* What is wrong with a slice's shape and layouts, or NULL. */
static const char *fault_of(const mbt_slice *slice)
{
    if (!memchr(slice->name, 0, sizeof slice->name) || !slice->name[0])
        return "a name of 1 to 63 characters is wanted";
    if (slice->rank < 1 || slice->rank > 4)
        return "a rank of 1 to 4 is wanted";
    for (int i = 0; i < slice->rank; i++)
        if (slice->dims[i] < 1)
            return "every dimension must be positive";
    if (!layout_is_sane(&slice->out) || slice->dims[0] != slice->out.c)
        return "the output layout does not fit the shape";
    switch (slice->form) {
    case MBT_FORM_DENSE:
        if (!layout_is_sane(&slice->in) || slice->in.sections != slice->out.sections ||
            slice->in.block != slice->out.block || slice->rank < 2 ||
            slice->in.c / slice->in.sections % slice->dims[1] != 0 ||
            slice->out.c % (slice->in.c / slice->dims[1]) != 0)
            return "the input layout does not fit the shape";
        return NULL;
    case MBT_FORM_DEPTHWISE:
        return slice->rank == 4 && slice->dims[1] == 1 ? NULL : "shape [C][1][kh][kw] is wanted";
    case MBT_FORM_IMAGE:
        return slice->rank == 4 && slice->dims[1] == slice->in.c
                   ? NULL
                   : "shape [O][channels of the input][kh][kw] is wanted";
    case MBT_FORM_CHANNELS:
        return slice->rank == 1 ? NULL : "shape [C] is wanted";
    }
    return "unknown form";
}

mbt_status mbt_params_add(mbt_params *params, const mbt_slice *slice, mbt_error *err)
{
    const char *fault = fault_of(slice);
    if (fault)
        return mbt_fail(err, MBT_FAILURE, "parameter '%.63s': %s", slice->name, fault);
    if (mbt_params_find(params, slice->name))
        return mbt_fail(err, MBT_FAILURE, "parameter '%s' is there already", slice->name);
    size_t wanted = (size_t)params->n_slices + 1;
    mbt_slice *slices = realloc(params->slices, wanted * sizeof *slices);
    if (!slices)
        return mbt_fail(err, MBT_FAILURE, "parameter '%s': out of memory", slice->name);
    params->slices = slices;

    mbt_slice *added = &slices[params->n_slices++];
    *added = *slice;
    added->count = 1;
    for (int i = 0; i < slice->rank; i++)
        added->count *= (size_t)slice->dims[i];
    added->offset = params->n_floats;
    added->floats = forms[slice->form].floats(slice);
    added->stored = (added->floats + STORED_UNIT - 1) / STORED_UNIT * STORED_UNIT;
    params->n_floats += added->stored;
    if (slice->trained)
        params->n_trained += added->count;
    return MBT_OK;
}

void mbt_slice_pack(const mbt_slice *slice, const float *canonical, float *block)
{
    float *stored = block + slice->offset;
    size_t n_in = dim(slice, 1), n_taps = taps(slice);
    memset(stored, 0, slice->stored * sizeof(float));
    for (place p = {0}; p.o < dim(slice, 0); p.o++)
        for (p.i = 0; p.i < n_in; p.i++)
            for (p.t = 0; p.t < n_taps; p.t++)
                stored[forms[slice->form].index(slice, p)] = *canonical++;
}

void mbt_slice_unpack(const mbt_slice *slice, const float *block, float *canonical)
{
    const float *stored = block + slice->offset;
    size_t n_in = dim(slice, 1), n_taps = taps(slice);
    for (place p = {0}; p.o < dim(slice, 0); p.o++)
        for (p.i = 0; p.i < n_in; p.i++)
            for (p.t = 0; p.t < n_taps; p.t++)
                *canonical++ = stored[forms[slice->form].index(slice, p)];
}

void mbt_slice_mask(const mbt_slice *slice, float *block)
{
    if (slice->form != MBT_FORM_DENSE || groups_in_section(slice) < 2) {
        return;
    }
    float *at = block + slice->offset;
    const size_t b = (size_t)slice->out.block, n_in = dim(slice, 1);
    const size_t n_out = dim(slice, 0) / ((size_t)slice->in.c / n_in);
    const size_t out_blocks = (size_t)mbt_layout_section(&slice->out) / b;
    const size_t in_blocks = (size_t)mbt_layout_section(&slice->in) / b;
    const size_t blocks = (size_t)slice->out.sections * out_blocks * in_blocks;
    for (size_t k = 0; k < blocks; k++) {
        const size_t o = k / in_blocks % out_blocks * b, i = k % in_blocks * b;
        for (size_t t = 0; t < taps(slice) * b * b; t++, at++) {
            if ((o + t % b) / n_out != (i + t / b % b) / n_in) {
                *at = 0;
            }
        }
    }
}

const mbt_slice *mbt_params_find(const mbt_params *params, const char *name)
{
    for (int i = 0; i < params->n_slices; i++)
        if (strcmp(params->slices[i].name, name) == 0)
            return &params->slices[i];
    return NULL;
}
