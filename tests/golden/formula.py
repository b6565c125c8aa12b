"""The generator of weights, images, labels and projection signs: the numpy twin of golden_formula.c.

Golden files hold no weights and no images. Both sides make them from (seed, stream, index) by this
formula, bit for bit; golden_formula.h states it once for both, and test_golden_formula.c compares
the two through the checksums that stand in the golden files."""
import math

import numpy as np

STEP = np.uint64(0x9E3779B97F4A7C15)
SIGN_SEED = 0x5349474E  # projection signs do not depend on the case
IMAGE, COARSE, LABEL, INPUT, OUTPUT_GRADIENT = 1000, 2000, 3000, 4000, 4001  # streams; parameters come from 0 on

# golden_kind, in its order
(CONV, CLASSIFIER, CLASSIFIER_BIAS, NOISE, GAMMA, BETA, GAMMA_WIDE, GAMMA_CALM, BETA_CALM, GAMMA_CALM_HEAD,
 BETA_CALM_HEAD, DEPTHWISE_CALM, CLASSIFIER_CALM) = range(13)
OFFSET_SCALE = {CLASSIFIER: (0.0, 0.05), CLASSIFIER_BIAS: (0.0, 0.1), NOISE: (0.0, 1.75), GAMMA: (1.0, 0.5), BETA: (0.0, 0.3),
                GAMMA_WIDE: (2.0, 1.0), GAMMA_CALM: (0.375, 0.125), GAMMA_CALM_HEAD: (3 / 256, 1 / 256),
                BETA_CALM_HEAD: (3 / 32, 1 / 64), CLASSIFIER_CALM: (0.0, 0.25)}


def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(seed, stream, count):
    """64 random bits for each index 0 .. count-1."""
    with np.errstate(over="ignore"):
        key = _mix(_mix(np.uint64(seed) + STEP) + np.uint64(stream + 1) * STEP)
        return _mix(key + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * STEP)


def _uniform(random):
    """Multiples of 2^-23 in [-1, 1), as double."""
    return ((random >> np.uint64(40)).astype(np.float64) - 2.0**23) / 2.0**23


def fill(seed, stream, kind, fan, shape):
    """float32 values of one tensor in row-major order (OIHW for a conv). fan: kernel height x width
    x output channels / groups, used by CONV alone."""
    random = bits(seed, stream, math.prod(shape))
    u = _uniform(random)
    if kind == CONV:
        value = u * math.sqrt(6.0 / fan)  # He, fan-out of a group
    elif kind == BETA_CALM:  # of eight channels one sits below 0, one above 6, six between
        zone = random & np.uint64(7)
        value = np.where(zone == 0, -3.0, np.where(zone == 1, 9.0, 3.0)) + 0.25 * u
    elif kind == DEPTHWISE_CALM:  # 3x3, the centre outweighs the rest
        value = np.where(np.arange(u.size) % 9 == 4, 1.0 + 0.25 * u, 0.125 * u)
    else:
        offset, scale = OFFSET_SCALE[kind]
        value = offset + scale * u
    return value.astype(np.float32).reshape(shape)


def images(seed, step, count, channels, height, width):
    """float32 [count][channels][height][width]: tiles of 8 x 8 pixels of one colour, with noise."""
    fine = _uniform(bits(seed, IMAGE + step, count * channels * height * width)).reshape(count, channels, height, width)
    rows, columns = (height + 7) // 8, (width + 7) // 8
    coarse = _uniform(bits(seed, COARSE + step, count * channels * rows * columns)).reshape(count, channels, rows, columns)
    coarse = coarse.repeat(8, axis=2).repeat(8, axis=3)[:, :, :height, :width]
    return (1.5 * coarse + 0.75 * fine).astype(np.float32)


def labels(seed, step, count, classes):
    return (((bits(seed, LABEL + step, count) >> np.uint64(32)) * np.uint64(classes)) >> np.uint64(32)).astype(np.int64)


def checksum(values):
    """Wrapping sum of (2 i + 1) * (bits of the i-th value as float32)."""
    raw = np.ascontiguousarray(values, dtype=np.float32).reshape(-1).view(np.uint32).astype(np.uint64)
    with np.errstate(over="ignore"):
        return (raw * (np.arange(raw.size, dtype=np.uint64) * np.uint64(2) + np.uint64(1))).sum(dtype=np.uint64).view(np.int64)


def project(stream, values, count):
    """The first `count` random projections, sum over i of +-values[i]; the sign of projection k is
    bit k of the element's hash. The root mean square over k of the projections of a difference
    estimates its norm."""
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    b = bits(SIGN_SEED, stream, x.size)
    return np.array([x @ (1.0 - 2.0 * ((b >> np.uint64(k)) & np.uint64(1)).astype(np.float64)) for k in range(count)])
