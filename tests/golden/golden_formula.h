/* The generator behind the golden files, the twin of formula.py, bit for bit.
 *
 * mix(z): z ^= z >> 30, z *= 0xBF58476D1CE4E5B9, z ^= z >> 27, z *= 0x94D049BB133111EB, z ^= z >>
 * 31 (the finisher of splitmix64; Steele, Lea, Flood: "Fast splittable pseudorandom number
 * generators", OOPSLA 2014). With step = 0x9E3779B97F4A7C15, all modulo 2^64:
 *
 *     key(seed, stream)         = mix(mix(seed + step) + (stream + 1) * step)
 *     bits(seed, stream, index) = mix(key + (index + 1) * step)
 *     u = (upper 24 bits - 2^23) / 2^23, in [-1, 1)
 *
 * A value is offset + scale * u in double, rounded to float once. Elements count in row-major order
 * of PyTorch's canonical layout (OIHW, NCHW). A parameter's stream is its position among the
 * trainable parameters in state-dict order. Depends on nothing. */
#ifndef GOLDEN_FORMULA_H
#define GOLDEN_FORMULA_H

#include <stddef.h>
#include <stdint.h>

/* Which offset and scale. The numbers stand in the golden files. */
typedef enum golden_kind {
    GOLDEN_CONV,            /* 0, sqrt(6 / fan): He's deviation by the fan-out of a group */
    GOLDEN_CLASSIFIER,      /* 0, 0.05 */
    GOLDEN_CLASSIFIER_BIAS, /* 0, 0.1 */
    GOLDEN_NOISE,           /* 0, 1.75: about unit variance */
    GOLDEN_GAMMA,           /* 1, 0.5 */
    GOLDEN_BETA,            /* 0, 0.3 */
    GOLDEN_GAMMA_WIDE,      /* 2, 1: ReLU6 cuts on both sides */
    GOLDEN_GAMMA_CALM,      /* 0.375, 0.125: with the next, values stay away from ReLU6's kinks */
    GOLDEN_BETA_CALM,       /* -3, 9 or 3 (lowest three bits 0, 1, others), 0.25 */
    GOLDEN_GAMMA_CALM_HEAD, /* 3/256, 1/256 */
    GOLDEN_BETA_CALM_HEAD,  /* 3/32, 1/64 */
    GOLDEN_DEPTHWISE_CALM,  /* 3x3: centre (index mod 9 = 4) 1, 0.25; others 0, 0.125 */
    GOLDEN_CLASSIFIER_CALM, /* 0, 0.25 */
} golden_kind;

/* Streams that are no parameters. */
enum {
    GOLDEN_STREAM_IMAGE = 1000,  /* + step */
    GOLDEN_STREAM_COARSE = 2000, /* + step */
    GOLDEN_STREAM_LABEL = 3000,  /* + step */
    GOLDEN_STREAM_INPUT = 4000,  /* of a block */
    GOLDEN_STREAM_OUTPUT_GRADIENT = 4001,
};

uint64_t golden_bits(uint64_t seed, int stream, uint64_t index);

/* fan: kernel height x width x output channels / groups, read for GOLDEN_CONV alone. */
void golden_fill(uint64_t seed, int stream, golden_kind kind, int fan, size_t count, float *out);

/* The batch of a step (from 0), [n][c][h][w]: tiles of 8 x 8 pixels of one colour (scale 1.5) with
 * noise (scale 0.75). */
void golden_images(uint64_t seed, int step, int n, int c, int h, int w, float *out);

/* Labels 0 .. n_classes-1 of the batch of a step. */
void golden_labels(uint64_t seed, int step, int n, int n_classes, int32_t *out);

/* Sum of (2 i + 1) * (bit pattern of value i) modulo 2^64. */
int64_t golden_checksum(const float *values, size_t count);

/* The first n_projections (up to 64) random projections of values - minus: sum over i of +-x[i], in
 * double, minus where bit k of the element's hash is set. The hash is bits(0x5349474E, stream, i)
 * with stream = the tensor's position in its table. minus NULL: zeros. The root mean square of the
 * projections of a difference estimates its norm, to about 16 % with 20 projections. */
void golden_project(int stream, const float *values, const float *minus, size_t count,
                    int n_projections, double *out);

#endif
