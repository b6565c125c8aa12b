/* This folder is compiled once for each instruction set for which it is a row of the table: CMake
 * sets MBT_LEVEL, the suffix of the functions' names, and MBT_VECTOR_BYTES, a register's size. The
 * code is the same, and so are the bits: lanes are independent, and no compiler flag joins a
 * multiplication with an addition. */
#ifndef MBT_KERNELS_PORTABLE_LEVEL_H
#define MBT_KERNELS_PORTABLE_LEVEL_H

#define MBT_JOIN_NAMES(name, level) name##_##level
#define MBT_JOIN(name, level) MBT_JOIN_NAMES(name, level)
#define AT_LEVEL(name) MBT_JOIN(name, MBT_LEVEL)

#endif
