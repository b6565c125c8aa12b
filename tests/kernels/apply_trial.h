/* What the checks of apply and of its way back share: layouts, channel maps and values of a case.
 */
#ifndef APPLY_TRIAL_H
#define APPLY_TRIAL_H

#include "kernels/subject.h"
#include "ref/ref.h"

typedef enum channel_map {
    MAP_NONE,         /* channels stay; sections may change */
    MAP_INTERLEAVE,   /* P2 of networks with two groups: out[2j + g] = in[g*(C/2) + j] */
    MAP_DEINTERLEAVE, /* its inverse */
    MAP_SCATTER,      /* of many groups: a block draws on many others */
    MAP_KINDS
} channel_map;

/* Where a case is, before it is given flags. */
typedef struct apply_shape {
    ref_shape shape;
    int sections_from, sections_to;
    channel_map map;
    bool wide;
    int turn; /* which shape it is */
} apply_shape;

typedef struct apply_trial {
    apply_shape where;
    mbt_apply_desc desc;
    mbt_shuffle forward, backward;
    int from[192];                       /* source channel of each destination channel */
    double high;                         /* bound of the activation, 0: none */
    mbt_storage storage, kept_z, kept_r; /* of y; of z and residual: fp32 unless set */
    size_t count;                        /* elements of either map */
    double *a, *b;                       /* per source channel */
    double *y, *residual, *z;            /* z: the reference's, away from kinks */
} apply_trial;

/* Calls `each` with every shape. */
typedef void apply_visit(subject *s, const apply_shape *where);
void apply_each_shape(subject *s, apply_visit *each);

/* Makes descriptor and shuffles, so that supports() can be asked. clips: ReLU6 and ReLU by turns.
 */
void apply_describe(const subject *s, const apply_shape *where, bool clips, mbt_storage storage,
                    apply_trial *t);
void apply_release(apply_trial *t);
/* Fills the values; residual: with one. Inside a case. */
void apply_values(subject *s, apply_trial *t, bool residual);
/* z by the row's or the table's kernel; b and residual may be NULL: zeros, none. */
double *apply_run(subject *s, const apply_trial *t, const double *b, const double *residual);

/* For labels. */
const char *apply_activation(const apply_trial *t);
const char *channel_map_name(channel_map map);
/* The channel that becomes channel c. */
int channel_map_source(channel_map map, int c, int channels);

#endif
