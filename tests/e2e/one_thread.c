/* Preloaded into mbtrain: HDF5 is not thread-safe, so no thread may enter it while another one is
 * inside. The thread that saves stays inside for MBT_STAY_MS, longer than chance would have it. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <hdf5.h>

static atomic_int inside, saves;

static void enter(void)
{
    if (atomic_fetch_add(&inside, 1) > 0) {
        static const char text[] = "two threads in HDF5\n";
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(99);
    }
}

static void stay(void)
{
    char name[16] = "";
    const char *wanted = getenv("MBT_STAY_MS");
    const long ms = wanted != NULL ? atol(wanted) : 0;
    (void)prctl(PR_GET_NAME, name);
    if (strcmp(name, "mbt-saver") == 0) {
        const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
        (void)nanosleep(&time, NULL);
        atomic_fetch_add(&saves, 1);
    }
}

/* Every file begins with this call, also an image in memory. */
hid_t H5Fcreate(const char *file, unsigned flags, hid_t creation, hid_t access)
{
    hid_t (*real)(const char *, unsigned, hid_t, hid_t);
    *(void **)&real = dlsym(RTLD_NEXT, "H5Fcreate");
    enter();
    stay();
    const hid_t made = real(file, flags, creation, access);
    atomic_fetch_sub(&inside, 1);
    return made;
}

/* That the check has had something to check. */
__attribute__((destructor)) static void tell(void)
{
    if (atomic_load(&saves) > 0) {
        (void)fprintf(stderr, "saves: %d\n", atomic_load(&saves));
    }
}
