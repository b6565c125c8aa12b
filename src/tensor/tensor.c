/* Feature maps: where a channel lies. */
#include "mbt/tensor.h"

int mbt_layout_section(const mbt_layout *l)
{
    int channels = l->c / l->sections;
    return (channels + l->block - 1) / l->block * l->block;
}

int mbt_layout_stored(const mbt_layout *l)
{
    return l->sections * mbt_layout_section(l);
}

int mbt_layout_position(const mbt_layout *l, int channel)
{
    int channels = l->c / l->sections;
    return channel / channels * mbt_layout_section(l) + channel % channels;
}

size_t mbt_layout_image(const mbt_layout *l)
{
    return (size_t)mbt_layout_section(l) * (size_t)l->h * (size_t)l->w;
}

size_t mbt_layout_floats(const mbt_layout *l, int n_images)
{
    return (size_t)l->sections * (size_t)n_images * mbt_layout_image(l);
}

size_t mbt_storage_bytes(mbt_storage storage)
{
    return storage == MBT_STORAGE_BF16 ? 2 : 4;
}

mbt_map mbt_map_view(const mbt_layout *l, void *data, mbt_storage storage, int capacity, int first)
{
    const size_t image = mbt_layout_image(l);
    return (mbt_map){
        .data = (unsigned char *)data + (size_t)first * image * mbt_storage_bytes(storage),
        .section = (size_t)capacity * image,
        .storage = storage,
    };
}
