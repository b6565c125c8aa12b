/* What every kernel check stands on: the row under test, its cases, and memory that tells.
 *
 * All memory of a case comes from subject_take: it starts as NaN, lies between guard bytes, and is
 * checked and released when the case ends. Maps are views into a larger one whenever the case asks
 * for it, so that a section's stride differs from the tile's size. */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mbt/kernel.h"

enum { TAKEN_MAX = 192, LABEL_BYTES = 200 };

typedef struct taken {
    unsigned char *base;
    size_t bytes; /* between the guards */
} taken;

typedef struct subject {
    const mbt_kernel *row;
    mbt_isa isa;             /* level that the case's layouts are made for */
    int block;               /* channels of a block in the case's layouts */
    int every;               /* of the cases that the row supports, each so-manieth is run */
    int n_cases;             /* supported */
    char label[LABEL_BYTES]; /* the case, for messages */
    uint64_t random;
    taken taken[TAKEN_MAX];
    int n_taken;
} subject;

/* Runs `cases` with every block size that this machine has a level for. */
typedef void subject_cases(subject *s);
void subject_each_block(subject *s, subject_cases *cases);

/* Opens a case, counts it; false and nothing opened when the row does not support it (then another
 * row has to), or when it is not this case's turn. */
bool subject_begin(subject *s, const void *desc, const char *format, ...) MBT_PRINTF(3, 4);
void subject_end(subject *s); /* guards intact, memory released */

/* The row itself for its own operation, the table's choice for another. */
const mbt_kernel *subject_kernel(const subject *s, mbt_op op, const void *desc);

void *subject_take(subject *s, size_t bytes); /* every byte 0xff: NaN as float and as double */
double *subject_doubles(subject *s, size_t count);
double subject_random(subject *s);                /* in (-1, 1), exact as float */
double *subject_values(subject *s, size_t count); /* random ones */
float *subject_floats(subject *s, const double *values, size_t count);
double *subject_widened(subject *s, const float *values, size_t count);

/* What is kept of v, by the definition in tensor.h; NaN stays NaN. */
double subject_kept(double v, mbt_storage storage);
/* Random ones that a map of this storage can hold. */
double *subject_values_as(subject *s, size_t count, mbt_storage storage);
const char *storage_name(mbt_storage storage);

/* Fails unless |got - want| <= tolerance * max |want| everywhere. */
void subject_compare(const subject *s, const char *what, const double *got, const double *want,
                     size_t count, double tolerance);
/* The same for a map of this storage: what rounding an element to bf16 may move it by is allowed
 * beside the tolerance. */
void subject_compare_kept(const subject *s, const char *what, const double *got, const double *want,
                          size_t count, double tolerance, mbt_storage storage);
/* The same with a scale of its own. */
void subject_near(const subject *s, const char *what, double got, double want, double allowed);

/* ---- maps ---- */

typedef struct test_map {
    mbt_layout layout;
    int n, capacity, first; /* the tile is images first .. first+n-1 of `capacity` */
    bool plain;             /* [N][C][H][W] as it is */
    mbt_storage storage;
    void *data, *before; /* the whole map, and its copy after map_fill */
    mbt_map view;        /* of the tile */
} test_map;

/* How the tile lies in its map: `wide` false: alone; true: behind images and before others. */
test_map map_take(subject *s, const mbt_layout *layout, int n, bool wide, bool plain);
test_map map_take_as(subject *s, const mbt_layout *layout, int n, bool wide, mbt_storage storage);
/* Fails unless the map can hold the values as they are: the reference must see what the kernel
 * sees.
 */
void map_fill(subject *s, test_map *map, const double *nchw);
double *map_read(subject *s, const test_map *map);
/* An output: the tile's padding is zero, what lies outside of the tile is untouched. */
void map_written(subject *s, const test_map *map, const char *what);
void map_unchanged(const subject *s, const test_map *map, const char *what);

/* Values per channel in a layout's stored order, padding zero. */
float *channels_pack(subject *s, const mbt_layout *layout, const double *values);
/* And back; fails unless the padded ones are zero. */
double *channels_read(subject *s, const mbt_layout *layout, const double *stored);

#endif
