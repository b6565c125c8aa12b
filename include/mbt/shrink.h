/* Planes made smaller by area: what a small image's pixel shows is the mean of what it covers.
 * Depends on nothing of ours. */
#ifndef MBT_SHRINK_H
#define MBT_SHRINK_H

/* from: [n_planes][size][size]; to: [n_planes][to_size][to_size], another array. to_size <= size.
 */
void mbt_shrink(const float *from, int n_planes, int size, int to_size, float *to);

#endif
