/* The progress line.
 *
 *   epoch 3/5 [=====>    ] 120/196  512 img/s  loss 1.2345  top1 56.78 %  left 03:12
 *
 * The bar is one line that is drawn over and over; it takes what the terminal's width leaves over,
 * and where that is too little first the bar and then the end of the line is left out, so that it
 * never wraps. Plain lines go through the log and so into log.txt as well. */
#include "mbt/progress.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mbt/text.h"
#include "mbt/timer.h"

enum {
    LINE_BYTES = 1024,
    HEAD_BYTES = 64,
    NUMBERS_BYTES = 512,
    BAR_MIN = 6,
    BAR_MAX = 40,
    COLUMNS_DEFAULT = 80,
    DURATION_BYTES = 32
};

static const double DRAW_INTERVAL_S = 0.1;
static const double FIRST_LINE_S = 5.0; /* soon enough to see that it runs */
static const double LEAST_INTERVAL_S =
    1.0; /* whatever is asked for: a log is no place for a flood */

static const char ERASE_LINE[] = "\r\033[K";

static bool is_terminal(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) && kind && strcmp(kind, "dumb") != 0;
}

void mbt_progress_init(mbt_progress *progress, mbt_log *log, double interval_s)
{
    *progress = (mbt_progress){
        .log = log,
        .terminal = is_terminal(),
        .interval_s = interval_s > LEAST_INTERVAL_S ? interval_s : LEAST_INTERVAL_S,
    };
}

void mbt_progress_begin(mbt_progress *progress, int64_t epoch, int64_t n_epochs, int64_t n_steps)
{
    if (progress->epoch == 0 && !progress->terminal) { /* the run's first epoch */
        const double first = fmin(FIRST_LINE_S, progress->interval_s);
        progress->last_shown = mbt_timer_clock() - progress->interval_s + first;
    }
    progress->epoch = epoch;
    progress->n_epochs = n_epochs;
    progress->n_steps = n_steps;
}

static int terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return COLUMNS_DEFAULT;
    }
    return size.ws_col;
}

/* "[=====>    ] " of `room` characters with its brackets and blank, or nothing where that is too
 * little. */
static void compose_bar(char *out, int room, double done)
{
    int cells = room - 3 < BAR_MAX ? room - 3 : BAR_MAX;
    if (cells < BAR_MIN) {
        out[0] = '\0';
        return;
    }
    int full = (int)(fmin(fmax(done, 0.0), 1.0) * cells);
    *out++ = '[';
    memset(out, ' ', (size_t)cells);
    memset(out, '=', (size_t)full);
    if (full < cells) {
        out[full] = '>';
    }
    memcpy(out + cells, "] ", 3);
}

static void draw_bar(const mbt_progress *progress, int64_t steps_done, const char *numbers)
{
    char line[LINE_BYTES], head[HEAD_BYTES], bar[BAR_MAX + 4];
    int columns = terminal_columns() - 1; /* a full last column would wrap on some terminals */
    int n_head = snprintf(head, sizeof head, "epoch %lld/%lld ", (long long)progress->epoch,
                          (long long)progress->n_epochs);
    double done = (double)steps_done / (double)(progress->n_steps > 0 ? progress->n_steps : 1);
    compose_bar(bar, columns - n_head - (int)strlen(numbers), done);
    int n_erase = snprintf(line, sizeof line, "%s", ERASE_LINE);
    int n_text =
        snprintf(line + n_erase, sizeof line - (size_t)n_erase, "%s%s%s", head, bar, numbers);
    if (n_text > columns) {
        line[n_erase + (columns > 0 ? columns : 0)] = '\0';
    }
    (void)fputs(line, stderr); /* whole: lines of other ranks come before or behind it */
    (void)fflush(stderr);
    progress->log->bar_open = 1;
}

/* "120/196  512 img/s  loss 1.2345  top1 56.78 %  left 03:12" */
static void compose_numbers(char out[NUMBERS_BYTES], int64_t steps_done, int64_t n_steps,
                            double images_per_s, double loss, double top1, double left_s)
{
    char left[DURATION_BYTES] = "?";
    if (isfinite(left_s)) {
        (void)mbt_text_duration(left_s, left);
    }
    int n = snprintf(out, NUMBERS_BYTES, "%lld/%lld  %.*f img/s  ", (long long)steps_done,
                     (long long)n_steps, images_per_s < 10 ? 1 : 0, images_per_s);
    (void)snprintf(out + n, NUMBERS_BYTES - (size_t)n,
                   fabs(loss) < 1e6 ? "loss %.4f  top1 %.2f %%  left %s"
                                    : "loss %.3e  top1 %.2f %%  left %s",
                   loss, top1, left);
}

void mbt_progress_show(mbt_progress *progress, int64_t steps_done, double images_per_s, double loss,
                       double top1, double left_s)
{
    double now = mbt_timer_clock();
    double interval = progress->terminal ? DRAW_INTERVAL_S : progress->interval_s;
    if (progress->log->rank != 0 || progress->log->level < MBT_LOG_INFO ||
        now - progress->last_shown < interval) {
        return;
    }
    progress->last_shown = now;
    char numbers[NUMBERS_BYTES];
    compose_numbers(numbers, steps_done, progress->n_steps, images_per_s, loss, top1, left_s);
    if (progress->terminal) {
        draw_bar(progress, steps_done, numbers);
    } else {
        mbt_log_root(progress->log, MBT_LOG_INFO, "epoch %lld/%lld  step %s",
                     (long long)progress->epoch, (long long)progress->n_epochs, numbers);
    }
}

void mbt_progress_end(mbt_progress *progress)
{
    if (progress->log->bar_open) {
        (void)fputs(ERASE_LINE, stderr);
        (void)fflush(stderr);
        progress->log->bar_open = 0;
    }
}
