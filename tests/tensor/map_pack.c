/* Feature maps from and to PyTorch's order, channel by channel. */
#include "tensor/map_pack.h"

#include <string.h>

/* The float of channel `channel`, row 0, column 0 of image `image`; the next pixel of the channel
 * is l->block floats on. */
static float *channel_of(const mbt_layout *l, mbt_map map, int image, int channel)
{
    int channels = l->c / l->sections, local = channel % channels;
    size_t pixels = (size_t)l->h * (size_t)l->w, block = (size_t)l->block;
    return (float *)map.data + (size_t)(channel / channels) * map.section +
           (size_t)image * mbt_layout_image(l) + (size_t)local / block * pixels * block +
           (size_t)local % block;
}

void map_pack(const mbt_layout *l, int n_images, const float *nchw, mbt_map map)
{
    size_t pixels = (size_t)l->h * (size_t)l->w, block = (size_t)l->block;
    size_t run = (size_t)n_images * mbt_layout_image(l);
    for (int s = 0; s < l->sections; s++)
        memset((float *)map.data + (size_t)s * map.section, 0, run * sizeof(float));
    for (int n = 0; n < n_images; n++) {
        for (int c = 0; c < l->c; c++) {
            const float *from = nchw + ((size_t)n * (size_t)l->c + (size_t)c) * pixels;
            float *to = channel_of(l, map, n, c);
            for (size_t p = 0; p < pixels; p++)
                to[p * block] = from[p];
        }
    }
}

void map_unpack(const mbt_layout *l, int n_images, mbt_map map, float *nchw)
{
    size_t pixels = (size_t)l->h * (size_t)l->w, block = (size_t)l->block;
    for (int n = 0; n < n_images; n++) {
        for (int c = 0; c < l->c; c++) {
            const float *from = channel_of(l, map, n, c);
            float *to = nchw + ((size_t)n * (size_t)l->c + (size_t)c) * pixels;
            for (size_t p = 0; p < pixels; p++)
                to[p] = from[p * block];
        }
    }
}
