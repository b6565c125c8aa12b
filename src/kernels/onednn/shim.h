/* What we ask of oneDNN, in terms that its versions 2 and 3 share; shim_v2.c and shim_v3.c say it
 * in each version's C API. One thread, scratchpad of the caller. */
#ifndef MBT_KERNELS_ONEDNN_SHIM_H
#define MBT_KERNELS_ONEDNN_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#include "mbt/status.h"

/* A convolution of one section: `c_in` to `c_out` stored channels, blocked by `block`. */
typedef struct mbt_shim_case {
    enum { MBT_SHIM_FORWARD, MBT_SHIM_BACKWARD_DATA, MBT_SHIM_BACKWARD_WEIGHTS } pass;
    int n, c_in, h_in, w_in, c_out, h_out, w_out;
    int kernel, stride, pad, block;
    bool depthwise; /* c_in == c_out groups of one channel */
    bool image;     /* input plain nchw */
    bool bf16;      /* what a pass reads, but for the weights as they are given, is bf16 */
    bool bf16_out;  /* forward alone: and so is what it writes */
    bool bias;      /* forward alone: c_out floats are added to the output */
    float clip;     /* forward alone: the output is clipped to 0 .. clip; 0: it is not */
} mbt_shim_case;

typedef struct mbt_shim mbt_shim;

/* Weights are given and taken as param.h's forms: OIhw<b>i<b>o, Goihw<b>g, Ohwi<b>o. */
mbt_status mbt_shim_create(const mbt_shim_case *what, mbt_shim **shim,
                           mbt_error *err) MBT_WARN_UNUSED;
void mbt_shim_destroy(mbt_shim *shim); /* NULL is allowed */

size_t mbt_shim_scratch(const mbt_shim *shim); /* bytes */
size_t
mbt_shim_prepared(const mbt_shim *shim); /* floats of the weights as wanted; 0: stored form */
void mbt_shim_prepare(mbt_shim *shim, const float *stored, float *prepared, void *scratch);
/* in, out: of floats but for what the case has in bf16. bias: read when the case has one. */
void mbt_shim_run(mbt_shim *shim, void *in, float *weights, float *bias, void *out, void *scratch);
const char *mbt_shim_implementation(const mbt_shim *shim); /* oneDNN's own name of what it chose */

#endif
