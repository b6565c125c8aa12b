/* The generator behind the golden files; the header has the formula. */
#include "golden/golden_formula.h"

#include <math.h>
#include <string.h>

static const uint64_t step_64 = UINT64_C(0x9E3779B97F4A7C15);
static const uint64_t sign_seed = UINT64_C(0x5349474E);

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint64_t key_of(uint64_t seed, int stream)
{
    return mix(mix(seed + step_64) + ((uint64_t)stream + 1) * step_64);
}

static uint64_t bits_at(uint64_t key, uint64_t index)
{
    return mix(key + (index + 1) * step_64);
}

uint64_t golden_bits(uint64_t seed, int stream, uint64_t index)
{
    return bits_at(key_of(seed, stream), index);
}

static double uniform(uint64_t bits)
{
    return ((double)(bits >> 40) - 8388608.0) / 8388608.0;
}

struct rule {
    double offset, scale;
};

/* Of kinds that treat all elements alike. */
static struct rule rule_of(golden_kind kind, int fan)
{
    switch (kind) {
    case GOLDEN_CONV:
        return (struct rule){0.0, sqrt(6.0 / fan)};
    case GOLDEN_CLASSIFIER:
        return (struct rule){0.0, 0.05};
    case GOLDEN_CLASSIFIER_BIAS:
        return (struct rule){0.0, 0.1};
    case GOLDEN_NOISE:
        return (struct rule){0.0, 1.75};
    case GOLDEN_GAMMA:
        return (struct rule){1.0, 0.5};
    case GOLDEN_BETA:
        return (struct rule){0.0, 0.3};
    case GOLDEN_GAMMA_WIDE:
        return (struct rule){2.0, 1.0};
    case GOLDEN_GAMMA_CALM:
        return (struct rule){0.375, 0.125};
    case GOLDEN_GAMMA_CALM_HEAD:
        return (struct rule){3.0 / 256.0, 1.0 / 256.0};
    case GOLDEN_BETA_CALM_HEAD:
        return (struct rule){3.0 / 32.0, 1.0 / 64.0};
    case GOLDEN_CLASSIFIER_CALM:
        return (struct rule){0.0, 0.25};
    case GOLDEN_BETA_CALM:
    case GOLDEN_DEPTHWISE_CALM:
        break;
    }
    return (struct rule){NAN, NAN};
}

void golden_fill(uint64_t seed, int stream, golden_kind kind, int fan, size_t count, float *out)
{
    const uint64_t key = key_of(seed, stream);
    struct rule rule = rule_of(kind, fan);
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = bits_at(key, i);
        if (kind == GOLDEN_BETA_CALM) {
            rule.offset = (bits & 7) == 0 ? -3.0 : (bits & 7) == 1 ? 9.0 : 3.0;
            rule.scale = 0.25;
        } else if (kind == GOLDEN_DEPTHWISE_CALM) {
            rule.offset = i % 9 == 4 ? 1.0 : 0.0;
            rule.scale = i % 9 == 4 ? 0.25 : 0.125;
        }
        out[i] = (float)(rule.offset + rule.scale * uniform(bits));
    }
}

void golden_images(uint64_t seed, int step, int n, int c, int h, int w, float *out)
{
    const uint64_t fine = key_of(seed, GOLDEN_STREAM_IMAGE + step);
    const uint64_t coarse = key_of(seed, GOLDEN_STREAM_COARSE + step);
    const int rows = (h + 7) / 8, columns = (w + 7) / 8;
    size_t i = 0;
    for (int plane = 0; plane < n * c; plane++) {
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++, i++) {
                const int tile = (plane * rows + y / 8) * columns + x / 8;
                out[i] = (float)(1.5 * uniform(bits_at(coarse, (uint64_t)tile)) +
                                 0.75 * uniform(bits_at(fine, i)));
            }
        }
    }
}

void golden_labels(uint64_t seed, int step, int n, int n_classes, int32_t *out)
{
    const uint64_t key = key_of(seed, GOLDEN_STREAM_LABEL + step);
    for (int i = 0; i < n; i++) {
        out[i] = (int32_t)((bits_at(key, (uint64_t)i) >> 32) * (uint64_t)n_classes >> 32);
    }
}

int64_t golden_checksum(const float *values, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t pattern;
        memcpy(&pattern, &values[i], sizeof pattern);
        sum += (2 * (uint64_t)i + 1) * pattern;
    }
    return (int64_t)sum;
}

void golden_project(int stream, const float *values, const float *minus, size_t count,
                    int n_projections, double *out)
{
    const uint64_t key = key_of(sign_seed, stream);
    for (int k = 0; k < n_projections; k++) {
        out[k] = 0.0;
    }
    for (size_t i = 0; i < count; i++) {
        const double x = minus ? (double)values[i] - (double)minus[i] : (double)values[i];
        const double signed_x[2] = {x, -x};
        const uint64_t bits = bits_at(key, i);
        for (int k = 0; k < n_projections; k++) {
            out[k] += signed_x[(bits >> k) & 1];
        }
    }
}
