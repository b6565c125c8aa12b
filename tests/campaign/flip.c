/* Flips one bit of a copy of a file, looks whether the reader finds it, and flips it back, so long
 * as there is time: flip checkpoint|dataset FILE SEED SECONDS.
 *
 * A flip that is not refused is harmless when all that the reader hands out is what it was; any
 * other is printed and ends in code 1. The last line says how many there were of each kind. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mbt/checkpoint.h"
#include "mbt/comm.h"
#include "mbt/dataset.h"
#include "mbt/timer.h"

enum verdict { DETECTED, HARMLESS, MISSED };

static enum verdict read_checkpoint(const char *path)
{
    char digest[MBT_DIGEST_TEXT];
    mbt_error err = {0};
    return mbt_checkpoint_verify(path, digest, &err) == MBT_DATA ? DETECTED : MISSED;
}

static int same_split(const mbt_split *a, const mbt_split *b, size_t image_bytes)
{
    return a->n == b->n && memcmp(a->images, b->images, (size_t)a->n * image_bytes) == 0 &&
           memcmp(a->labels, b->labels, (size_t)a->n * sizeof *a->labels) == 0;
}

static int same_data(const mbt_dataset *a, const mbt_dataset *b)
{
    const size_t image = (size_t)a->height * (size_t)a->width * (size_t)a->channels;
    return a->height == b->height && a->width == b->width && a->channels == b->channels &&
           a->n_classes == b->n_classes && strcmp(a->digest, b->digest) == 0 &&
           memcmp(a->mean, b->mean, (size_t)a->channels * sizeof a->mean[0]) == 0 &&
           memcmp(a->deviation, b->deviation, (size_t)a->channels * sizeof a->deviation[0]) == 0 &&
           same_split(&a->train, &b->train, image) && same_split(&a->test, &b->test, image);
}

/* As training opens it. */
static enum verdict read_dataset(mbt_comm *comm, const char *path, const mbt_dataset *whole)
{
    mbt_dataset read = {0};
    mbt_error err = {0};
    enum verdict verdict = DETECTED;
    const mbt_status status = mbt_dataset_open(comm, path, 0, &read, &err);
    if (status == MBT_OK) {
        verdict = same_data(whole, &read) ? HARMLESS : MISSED;
    } else if (status != MBT_DATA) {
        (void)fprintf(stderr, "flip: code %d: %s\n", (int)status, err.message);
        verdict = MISSED;
    }
    mbt_dataset_close(comm, &read);
    return verdict;
}

static int toggle(int fd, off_t at, int bit)
{
    unsigned char byte;
    if (pread(fd, &byte, 1, at) != 1) {
        return -1;
    }
    byte ^= (unsigned char)(1 << bit);
    return pwrite(fd, &byte, 1, at) == 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
    mbt_comm *comm = NULL;
    mbt_error err = {0};
    mbt_dataset whole = {0};
    struct stat info;
    long counts[3] = {0};
    if (argc != 5) {
        (void)fprintf(stderr, "usage: flip checkpoint|dataset FILE SEED SECONDS\n");
        return 2;
    }
    const int is_dataset = strcmp(argv[1], "dataset") == 0;
    const char *path = argv[2];
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned long long seed = strtoull(argv[3], NULL, 10);
    const double until = mbt_timer_clock() + atof(argv[4]);
    if (fd < 0 || fstat(fd, &info) != 0 || mbt_comm_create(&argc, &argv, &comm, &err) != MBT_OK ||
        (is_dataset && mbt_dataset_open(comm, path, 0, &whole, &err) != MBT_OK)) {
        (void)fprintf(stderr, "flip: %s: cannot begin: %s\n", path, err.message);
        return 1;
    }
    while (mbt_timer_clock() < until) {
        /* a linear congruence is as good as anything for places in a file */
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        const unsigned long long place = (seed >> 16) % (8ULL * (unsigned long long)info.st_size);
        const off_t at = (off_t)(place / 8);
        const int bit = (int)(place % 8);
        if (toggle(fd, at, bit) != 0) {
            perror(path);
            return 1;
        }
        const enum verdict verdict =
            is_dataset ? read_dataset(comm, path, &whole) : read_checkpoint(path);
        counts[verdict]++;
        if (verdict == MISSED) {
            (void)printf("missed: bit %d of byte %lld\n", bit, (long long)at);
        }
        if (toggle(fd, at, bit) != 0) {
            perror(path);
            return 1;
        }
    }
    (void)printf("%s_flips=%ld %s_detected=%ld %s_harmless=%ld %s_missed=%ld\n", argv[1],
                 counts[DETECTED] + counts[HARMLESS] + counts[MISSED], argv[1], counts[DETECTED],
                 argv[1], counts[HARMLESS], argv[1], counts[MISSED]);
    mbt_dataset_close(comm, &whole);
    mbt_comm_destroy(comm);
    (void)close(fd);
    return counts[MISSED] != 0;
}
