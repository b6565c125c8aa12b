/* Draws an image: a figure in one colour on a ground in another, with a slope of light and noise.
 *
 * Nothing but the figure depends on the class. Both colours have the same distribution, so the
 * figure is as often darker than the ground as brighter, and size, place, angle and phase are
 * drawn anew for each image: every pixel has the same mean in every class, and what a linear rule
 * over pixels could use is not there. A convolutional network finds it within minutes.
 *
 * Arithmetic is +, -, *, /, sqrt, rounding and conversions in double, which IEEE 754 fixes to the
 * last bit; no sine and no exponential is called, so an image is the same everywhere. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "mbt/rng.h"
#include "synth_draw.h"

enum {
    DISC,
    RING,
    SQUARE,
    TRIANGLE,
    CROSS,
    STAR,
    HORIZONTAL,
    VERTICAL,
    DIAGONAL,
    CHECKERS,
};

const char *const synth_names[SYNTH_CLASSES] = {
    "disc", "ring",       "square",   "triangle", "cross",
    "star", "horizontal", "vertical", "diagonal", "checkers",
};

enum {
    SUBSAMPLES = 4,     /* per pixel and direction, for soft edges */
    CONTRAST_MIN = 240, /* of the two colours, summed over channels */
    SLOPE_MAX = 24,     /* of the light, from the middle to a side */
    NOISE_MAX = 24,
};

/* How a figure lies. */
struct figure {
    int kind;
    double x, y;         /* centre, pixels; of stripes and checkers: phase, periods */
    double scale;        /* 1 / size, 1/pixels; of stripes and checkers: 1 / period */
    double cosine, sine; /* of its turn */
};

static double between(mbt_rng *rng, double low, double high)
{
    return low + (high - low) * (double)mbt_rng_uniform(rng);
}

static void turn_to(struct figure *figure, double x, double y)
{
    double length = sqrt(x * x + y * y);
    figure->cosine = x / length;
    figure->sine = y / length;
}

static struct figure place(mbt_rng *rng, int kind)
{
    struct figure figure = {.kind = kind};
    if (kind <= STAR) {
        figure.scale = 1 / between(rng, 10, 15);
        figure.x = SYNTH_SIDE / 2.0 + between(rng, -4, 4); /* a corner may leave the image */
        figure.y = SYNTH_SIDE / 2.0 + between(rng, -4, 4);
        turn_to(&figure, 1, between(rng, -0.3, 0.3));
        return figure;
    }
    figure.x = between(rng, 0, 1);
    figure.y = between(rng, 0, 1);
    figure.scale = 1 / between(rng, 6, 12);
    double tilt = between(rng, -0.2, 0.2);
    if (kind == HORIZONTAL) {
        turn_to(&figure, tilt, 1);
    } else if (kind == DIAGONAL) {
        turn_to(&figure, mbt_rng_below(rng, 2) == 0 ? 1 : -1, 1 + tilt);
    } else {
        turn_to(&figure, 1, tilt);
    }
    return figure;
}

/* Whether t is in the first half of its period. */
static bool first_half(double t)
{
    t += 1024; /* above zero, so that the conversion rounds down */
    return t - (double)(long)t < 0.5;
}

/* The pentagram: the points that lie outside at most one of its five lines. */
static bool in_star(double u, double v)
{
    /* unit normals of the lines, at 90, 162, 234, 306 and 18 degrees */
    static const double normal[5][2] = {{0, 1},
                                        {-0.9510565162951535, 0.3090169943749474},
                                        {-0.5877852522924731, -0.8090169943749475},
                                        {0.5877852522924731, -0.8090169943749475},
                                        {0.9510565162951535, 0.3090169943749474}};
    const double distance =
        0.33; /* of the lines from the centre; cos 72 = 0.309 ends at radius 1 */
    int outside = 0;
    for (int k = 0; k < 5; k++) {
        outside += u * normal[k][0] + v * normal[k][1] > distance;
    }
    return outside <= 1;
}

/* Whether the figure covers the point (x, y), in pixels. */
static bool covers(const struct figure *f, double x, double y)
{
    if (f->kind > STAR) {
        double across = (x * f->cosine + y * f->sine) * f->scale + f->x;
        double along = (y * f->cosine - x * f->sine) * f->scale + f->y;
        return f->kind == CHECKERS ? first_half(across) != first_half(along) : first_half(across);
    }
    double dx = (x - f->x) * f->scale, dy = (y - f->y) * f->scale;
    double u = dx * f->cosine + dy * f->sine, v = dy * f->cosine - dx * f->sine;
    double square = u * u + v * v;
    switch (f->kind) {
    case DISC:
        return square <= 0.85 * 0.85;
    case RING:
        return square <= 1 && square >= 0.55 * 0.55;
    case SQUARE:
        return fabs(u) <= 0.75 && fabs(v) <= 0.75;
    case TRIANGLE: /* edges at distance 1/2 from the centre; v points down */
        return v <= 0.5 && 0.8660254037844386 * fabs(u) - 0.5 * v <= 0.5;
    case CROSS:
        return (fabs(u) <= 0.3 && fabs(v) <= 1) || (fabs(v) <= 0.3 && fabs(u) <= 1);
    default:
        return in_star(u, v);
    }
}

/* The share of pixel (x, y) that the figure covers. */
static double coverage(const struct figure *figure, int x, int y)
{
    int hits = 0;
    for (int j = 0; j < SUBSAMPLES; j++) {
        for (int i = 0; i < SUBSAMPLES; i++) {
            hits += covers(figure, x + (i + 0.5) / SUBSAMPLES, y + (j + 0.5) / SUBSAMPLES);
        }
    }
    return (double)hits / (SUBSAMPLES * SUBSAMPLES);
}

/* Two colours that can be told apart. */
static void draw_colours(mbt_rng *rng, int ground[SYNTH_CHANNELS], int paint[SYNTH_CHANNELS])
{
    int contrast = 0;
    do {
        contrast = 0;
        for (int c = 0; c < SYNTH_CHANNELS; c++) {
            ground[c] = (int)mbt_rng_below(rng, 256);
            paint[c] = (int)mbt_rng_below(rng, 256);
            contrast += abs(ground[c] - paint[c]);
        }
    } while (contrast < CONTRAST_MIN);
}

static uint8_t to_byte(double value)
{
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)lround(value);
}

void synth_draw(uint64_t seed, uint64_t id, int label, uint8_t *image)
{
    mbt_rng rng = mbt_rng_at(seed, MBT_PURPOSE_SYNTH, 0, id);
    int ground[SYNTH_CHANNELS], paint[SYNTH_CHANNELS];
    draw_colours(&rng, ground, paint);
    struct figure figure = place(&rng, label);
    double slope_x = between(&rng, -SLOPE_MAX, SLOPE_MAX) / (SYNTH_SIDE / 2.0);
    double slope_y = between(&rng, -SLOPE_MAX, SLOPE_MAX) / (SYNTH_SIDE / 2.0);
    double noise = between(&rng, 0, NOISE_MAX);
    for (int y = 0; y < SYNTH_SIDE; y++) {
        for (int x = 0; x < SYNTH_SIDE; x++) {
            double share = coverage(&figure, x, y);
            double light =
                slope_x * (x + 0.5 - SYNTH_SIDE / 2.0) + slope_y * (y + 0.5 - SYNTH_SIDE / 2.0);
            for (int c = 0; c < SYNTH_CHANNELS; c++) {
                /* the sum of two bytes: mean 255, a triangle between 0 and 510 */
                uint32_t bits = mbt_rng_u32(&rng);
                double grain = ((double)(bits & 255) + (double)(bits >> 8 & 255) - 255) / 255;
                *image++ =
                    to_byte(ground[c] + share * (paint[c] - ground[c]) + light + noise * grain);
            }
        }
    }
}
