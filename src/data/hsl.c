/* RGB to HLS and back in 8 bits (OpenCV, color_hsv: RGB2HLS_b, HLS2RGB_b), with a shift between. */
#include "hsl.h"

enum { HUE_MAX = 180, MAX = 255, SECTORS = 6 };

static const float UNIT = 1.0f / 255;

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float smaller(float a, float b)
{
    return a < b ? a : b;
}

/* To the nearest whole number, halves to the even one, whatever the rounding mode. */
static int rounded(float value)
{
    const int down = (int)value;
    const float rest = value - (float)down;
    return rest > 0.5f || (rest == 0.5f && (down & 1) != 0) ? down + 1 : down;
}

static int moved(float value, int shift, int limit)
{
    const int sum = rounded(value) + shift;
    return sum < 0 ? 0 : sum > limit ? limit : sum;
}

/* The shifted bytes of hue, lightness and saturation. */
static void to_hls(const uint8_t *rgb, const hsl_shift *shift, int *hue, int *lightness,
                   int *saturation)
{
    const float r = (float)rgb[0] * UNIT, g = (float)rgb[1] * UNIT, b = (float)rgb[2] * UNIT;
    const float high = larger(r, larger(g, b)), low = smaller(r, smaller(g, b));
    const float range = high - low, l = (high + low) * 0.5f;
    float h = 0, s = 0;
    if (range > 0) {
        s = l < 0.5f ? range / (high + low) : range / (2 - high - low);
        h = high == r   ? (g - b) * (60 / range)
            : high == g ? (b - r) * (60 / range) + 120
                        : (r - g) * (60 / range) + 240;
        h = h < 0 ? h + 360 : h;
    }
    *hue = moved(h * 0.5f, shift->hue, HUE_MAX);
    *lightness = moved(l * MAX, shift->lightness, MAX);
    *saturation = moved(s * MAX, shift->saturation, MAX);
}

static void from_hls(int hue, int lightness, int saturation, uint8_t *rgb)
{
    /* by sector of the hue: which of the four values below red, green and blue take */
    static const uint8_t sectors[SECTORS][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3},
                                                {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
    const float l = (float)lightness * UNIT, s = (float)saturation * UNIT;
    const float top = l <= 0.5f ? l * (1 + s) : l + s - l * s;
    const float bottom = 2 * l - top;
    const int within = hue % HUE_MAX, sector = within / 30;
    const float part = (float)(within - 30 * sector) / 30;
    const float values[4] = {top, bottom, bottom + (top - bottom) * (1 - part),
                             bottom + (top - bottom) * part};
    for (int c = 0; c < 3; c++) {
        const float value = values[sectors[sector][c]] * MAX;
        rgb[c] = (uint8_t)rounded(smaller(larger(value, 0), MAX));
    }
}

void hsl_apply(const hsl_shift *shift, size_t n, uint8_t *rgb)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        int hue, lightness, saturation;
        to_hls(rgb, shift, &hue, &lightness, &saturation);
        from_hls(hue, lightness, saturation, rgb);
    }
}
