/* Event files: framing by hand, messages by protobuf-c. */
#include "mbt/events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mbt/crc.h"
#include "mbt/file.h"
#include "mbt/text.h"
#include <event.pb-c.h>

enum {
    HEAD_BYTES = 12,
    TAIL_BYTES = 4,
    TAG_BYTES = 64,
    HOST_BYTES = 256,
    RECORD_BYTES_MAX = 1 << 26, /* more is damage */
};
static const char PREFIX[] = "events.out.tfevents.";

struct mbt_events {
    int fd;
    off_t bytes;  /* of whole records */
    int64_t step; /* of the newest row that is written, or that was when it began */
    char path[MBT_PATH_BYTES];
};

/* ---- records ---- */

static uint32_t masked_sum(const void *data, size_t bytes)
{
    const uint32_t sum = mbt_crc32c(data, bytes);
    return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

static void put_little(unsigned char *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(value >> 8 * i);
    }
}

static uint64_t get_little(const unsigned char *in, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        value = value << 8 | in[i];
    }
    return value;
}

/* A record that cannot be written whole is taken back, so that the next one follows whole ones. */
static mbt_status append(mbt_events *events, const unsigned char *record, size_t bytes,
                         mbt_error *err)
{
    if (lseek(events->fd, events->bytes, SEEK_SET) < 0 ||
        mbt_file_write(events->fd, record, bytes) != 0) {
        const int why = errno;
        (void)!ftruncate(events->fd, events->bytes);
        return mbt_fail(err, MBT_FAILURE, "%s: %s", events->path, strerror(why));
    }
    events->bytes += (off_t)bytes;
    return MBT_OK;
}

static mbt_status write_event(mbt_events *events, Tensorboard__Event *event, mbt_error *err)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    event->has_wall_time = true;
    event->wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    const size_t bytes = tensorboard__event__get_packed_size(event);
    unsigned char *record = malloc(HEAD_BYTES + bytes + TAIL_BYTES);
    if (record == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: out of memory", events->path);
    }
    put_little(record, bytes, 8);
    put_little(record + 8, masked_sum(record, 8), 4);
    (void)tensorboard__event__pack(event, record + HEAD_BYTES);
    put_little(record + HEAD_BYTES + bytes, masked_sum(record + HEAD_BYTES, bytes), 4);
    /* One write, so that a kill cuts at most this record. */
    const mbt_status status = append(events, record, HEAD_BYTES + bytes + TAIL_BYTES, err);
    free(record);
    return status;
}

/* ---- files of earlier sittings ---- */

/* Bytes of the whole records at the file's start. */
static off_t whole_bytes(int fd, off_t size)
{
    unsigned char head[HEAD_BYTES];
    off_t at = 0;
    while (size - at >= HEAD_BYTES + TAIL_BYTES && pread(fd, head, sizeof head, at) == HEAD_BYTES &&
           get_little(head + 8, 4) == masked_sum(head, 8)) {
        const uint64_t bytes = get_little(head, 8);
        if (bytes > RECORD_BYTES_MAX || (off_t)bytes > size - at - HEAD_BYTES - TAIL_BYTES) {
            break;
        }
        at += HEAD_BYTES + (off_t)bytes + TAIL_BYTES;
    }
    return at;
}

static void mend(const char *path, mbt_log *log)
{
    struct stat info;
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        mbt_log_root(log, MBT_LOG_WARN, "%s: cannot be looked at; left as it is", path);
    } else {
        const off_t whole = whole_bytes(fd, info.st_size);
        if (whole < info.st_size && ftruncate(fd, whole) == 0) {
            mbt_log_root(
                log, MBT_LOG_WARN,
                "%s: its last %lld of %lld bytes are no whole record (an earlier sitting was "
                "killed) and were removed",
                path, (long long)(info.st_size - whole), (long long)info.st_size);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Mends them all and finds the latest time in their names: readers go by the order of names. */
static mbt_status see_earlier(const char *folder, mbt_log *log, int64_t *latest, mbt_error *err)
{
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        return mbt_fail(err, MBT_FAILURE, "%s: %s", folder, strerror(errno));
    }
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        char path[MBT_PATH_BYTES];
        const size_t skip = sizeof PREFIX - 1;
        if (strncmp(entry->d_name, PREFIX, skip) != 0 ||
            mbt_text_path(folder, entry->d_name, path, NULL) != MBT_OK) {
            continue;
        }
        const int64_t when = strtoll(entry->d_name + skip, NULL, 10);
        *latest = when > *latest ? when : *latest;
        mend(path, log);
    }
    (void)closedir(listing);
    return MBT_OK;
}

/* ---- a sitting ---- */

static mbt_status begin(mbt_events *events, int64_t step, mbt_error *err)
{
    Tensorboard__Event version = TENSORBOARD__EVENT__INIT, start = TENSORBOARD__EVENT__INIT;
    Tensorboard__SessionLog session = TENSORBOARD__SESSION_LOG__INIT;
    char text[] = "brain.Event:2"; /* readers drop by steps only in files of version 2 */
    version.file_version = text;
    session.has_status = true;
    session.status = TENSORBOARD__SESSION_LOG__SESSION_STATUS__START;
    start.has_step = true;
    start.step = step > 0 ? step + 1 : 0;
    start.session_log = &session;
    const mbt_status status = write_event(events, &version, err);
    return status == MBT_OK ? write_event(events, &start, err) : status;
}

mbt_status mbt_events_open(const char *folder, int64_t step, mbt_log *log, mbt_events **events,
                           mbt_error *err)
{
    char host[HOST_BYTES] = "host";
    int64_t when = (int64_t)time(NULL), latest = 0;
    (void)gethostname(host, sizeof host - 1);
    *events = NULL;
    mbt_status status = see_earlier(folder, log, &latest, err);
    if (status != MBT_OK) {
        return status;
    }
    when = when > latest ? when : latest + 1;
    mbt_events *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "event file: out of memory");
    }
    made->fd = -1;
    made->step = step;
    status = mbt_text_format(made->path, sizeof made->path, err, "path", "%s/%s%010" PRId64 ".%s",
                             folder, PREFIX, when, host);
    if (status == MBT_OK) {
        made->fd = open(made->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        status = made->fd >= 0 ? begin(made, step, err)
                               : mbt_fail(err, MBT_FAILURE, "%s: %s", made->path, strerror(errno));
    }
    if (status != MBT_OK) {
        if (made->fd >= 0) {
            (void)unlink(made->path);
        }
        mbt_events_close(made);
        return status;
    }
    *events = made;
    return MBT_OK;
}

void mbt_events_close(mbt_events *events)
{
    if (events != NULL) {
        if (events->fd >= 0) {
            (void)close(events->fd);
        }
        free(events);
    }
}

/* "train_loss" is "train/loss", "forward_s" is "time/forward"; what fits neither keeps its name. */
static void tag_of(const char *column, char *tag)
{
    static const char *const splits[] = {"train", "valid", "test"};
    const size_t length = strlen(column);
    if (length > 2 && strcmp(column + length - 2, "_s") == 0 &&
        strcmp(column, "images_per_s") != 0) {
        (void)snprintf(tag, TAG_BYTES, "time/%.*s", (int)length - 2, column);
        return;
    }
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        const size_t n = strlen(splits[i]);
        if (strncmp(column, splits[i], n) == 0 && column[n] == '_') {
            (void)snprintf(tag, TAG_BYTES, "%s/%s", splits[i], column + n + 1);
            return;
        }
    }
    (void)snprintf(tag, TAG_BYTES, "%s", column);
}

static mbt_status write_row(mbt_events *events, const mbt_metrics *metrics, int row, mbt_error *err)
{
    const int n = mbt_metrics_n_columns();
    Tensorboard__Event event = TENSORBOARD__EVENT__INIT;
    Tensorboard__Summary summary = TENSORBOARD__SUMMARY__INIT;
    Tensorboard__Summary__Value *values = calloc((size_t)n, sizeof *values);
    Tensorboard__Summary__Value **list = calloc((size_t)n, sizeof *list);
    char(*tags)[TAG_BYTES] = calloc((size_t)n, sizeof *tags);
    mbt_status status = MBT_OK;
    if (values == NULL || list == NULL || tags == NULL) {
        status = mbt_fail(err, MBT_FAILURE, "%s: out of memory", events->path);
        goto done;
    }
    for (int c = 0; c < n; c++) {
        const char *name = mbt_metrics_column_at(c).name;
        const double value = mbt_metrics_value(metrics, row, c);
        if (isnan(value) || strcmp(name, "step") == 0) {
            continue;
        }
        tag_of(name, tags[c]);
        tensorboard__summary__value__init(&values[c]);
        values[c].tag = tags[c];
        values[c].has_simple_value = true;
        values[c].simple_value = (float)value;
        list[summary.n_value++] = &values[c];
    }
    summary.value = list;
    event.has_step = true;
    event.step = metrics->rows[row].step;
    event.summary = &summary;
    status = write_event(events, &event, err);
done:
    free(tags);
    free(list);
    free(values);
    return status;
}

mbt_status mbt_events_follow(mbt_events *events, const mbt_metrics *metrics, mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int i = 0; i < metrics->n_rows && status == MBT_OK; i++) {
        const int64_t step = metrics->rows[i].step;
        if (step > events->step) {
            status = write_row(events, metrics, i, err);
            events->step = status == MBT_OK ? step : events->step;
        }
    }
    return status;
}
