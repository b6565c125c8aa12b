/* HDF5 files as other makers write them, and as an attacker would: for tests of what is refused. */
#ifndef TESTS_FOREIGN_H
#define TESTS_FOREIGN_H

/* Writes `path` with, below "/": good things ("good_*") and one of each thing that is refused
 * ("soft", "dangling", "external", "virtual", "outside", ...). `beside` is the path of another file
 * that external things point to. */
void foreign_write(const char *path, const char *beside);

/* The victim that external links, virtual data sets and external storage point to. */
void foreign_write_victim(const char *path);

#endif
