/* Writes a data set of a few tiny images: seed_dataset FILE. A small seed is a fast one. */
#include <stdio.h>

#include "mbt/dataset.h"

enum { SAMPLES = 3, SIDE = 4 };

int main(int argc, char **argv)
{
    static const char *const classes[] = {"disc", "square"};
    uint8_t images[SAMPLES * SIDE * SIDE];
    const int32_t labels[SAMPLES] = {0, 1, 1};
    mbt_error err = {0};
    for (size_t i = 0; i < sizeof images; i++) {
        images[i] = (uint8_t)(37 * i);
    }
    const mbt_dataset_source source = {
        .name = "seed",
        .source = "tests/fuzz",
        .height = SIDE,
        .width = SIDE,
        .channels = 1,
        .n_classes = 2,
        .class_names = classes,
        .split = {{SAMPLES, images, labels, NULL}, {SAMPLES, images, labels, NULL}},
    };
    if (argc != 2 || mbt_dataset_write(&source, argv[1], &err) != MBT_OK) {
        (void)fprintf(stderr, "seed_dataset: %s\n", err.message);
        return 1;
    }
    return 0;
}
