/* What --version of every program says. Private to src/cli. */
#ifndef MBT_VERSION_H
#define MBT_VERSION_H

#include <stdio.h>

/* Program, version, commit, compiler, and the libraries that are linked, a line each. */
void print_version(const char *program, FILE *out);

/* The lines on kernels: oneDNN and the instruction set in version_kernels.c, nothing in its twin
 * version_serial.c for the programs that compute nothing. */
void print_version_kernels(FILE *out);

#endif
