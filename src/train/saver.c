/* The copy of a state, and the thread that writes it. A thread lives as long as its save: between
 * saves there is nothing to wait for, and at the end of the process nothing to stop. */
#include "mbt/saver.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "checkpoint_format.h"
#include "mbt/signals.h"
#include "mbt/text.h"
#include "mbt/timer.h"

struct mbt_saver {
    char folder[MBT_PATH_BYTES], checkpoints[MBT_PATH_BYTES];
    mbt_retention keep;
    mbt_guard guard;
    mbt_state copy;
    float *buffers[CKPT_BLOCKS]; /* of the copy's blocks, whether the state has them or not yet */
    mbt_metrics metrics;
    mbt_saved saved;
    pthread_t thread;
    bool begun;       /* there is a thread to join */
    atomic_bool done; /* it has nothing more to do */
};

size_t mbt_saver_bytes(const mbt_params *params, int n_blocks)
{
    return (size_t)n_blocks * params->n_floats * sizeof(float);
}

/* Each image of a file is a large block that comes and goes. By itself malloc begins to keep such
 * blocks after the first, in a heap of the thread's own; from here on they go back to the system.
 */
enum { LARGE_BLOCK_BYTES = 1 << 20 };

mbt_status mbt_saver_create(const mbt_state *state, const char *folder, const char *checkpoints,
                            const mbt_retention *keep, mbt_guard guard, mbt_saver **saver,
                            mbt_error *err)
{
    mbt_saver *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return mbt_fail(err, MBT_FAILURE, "saving: out of memory");
    }
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    made->keep = *keep;
    made->guard = guard;
    made->copy = *state;
    made->copy.metrics = &made->metrics;
    atomic_init(&made->done, false);
    mbt_status status =
        mbt_text_format(made->folder, sizeof made->folder, err, "path", "%s", folder);
    if (status == MBT_OK) {
        status = mbt_text_format(made->checkpoints, sizeof made->checkpoints, err, "path", "%s",
                                 checkpoints);
    }
    for (int i = 0; i < CKPT_BLOCKS && status == MBT_OK; i++) {
        if (ckpt_block_of(state, i) != NULL) {
            made->buffers[i] = calloc(state->params->n_floats, sizeof(float));
            status = made->buffers[i] != NULL
                         ? MBT_OK
                         : mbt_fail(err, MBT_FAILURE, "saving: no memory for a copy of %zu numbers",
                                    state->params->n_floats);
        }
    }
    if (status != MBT_OK) {
        mbt_saver_destroy(made);
        return status;
    }
    *saver = made;
    return MBT_OK;
}

/* The thread. */
static void *write_copy(void *context)
{
    mbt_saver *s = context;
    mbt_saved *saved = &s->saved;
    const double from = mbt_timer_clock();
    (void)prctl(PR_SET_NAME, "mbt-saver"); /* in top and in debuggers */
    if ((saved->wanted & MBT_SAVE_CHECKPOINT) != 0) {
        if (mbt_checkpoint_save(&s->copy, s->checkpoints, (saved->wanted & MBT_SAVE_BEST) != 0,
                                &s->guard, saved->digest, &saved->error) != MBT_OK) {
            saved->failed |= saved->wanted & (MBT_SAVE_CHECKPOINT | MBT_SAVE_BEST);
        } else {
            saved->litter.code =
                mbt_checkpoint_prune(s->checkpoints, saved->step, &s->keep, &saved->litter);
        }
    }
    mbt_error other = {0};
    if ((saved->wanted & MBT_SAVE_METRICS) != 0 &&
        (s->guard.ask(s->guard.context, &other) != MBT_OK ||
         mbt_metrics_write_files(&s->metrics, s->folder, &other) != MBT_OK)) {
        saved->error = saved->failed != 0 ? saved->error : other;
        saved->failed |= MBT_SAVE_METRICS;
    }
    saved->seconds = mbt_timer_clock() - from;
    atomic_store(&s->done, true);
    return NULL;
}

static mbt_status copy_state(mbt_saver *s, const mbt_state *state, unsigned what, mbt_error *err)
{
    s->copy.progress = state->progress;
    for (int i = 0; i < CKPT_BLOCKS && (what & MBT_SAVE_CHECKPOINT) != 0; i++) {
        const float *from = ckpt_block_of(state, i);
        ckpt_set_block(&s->copy, i, from != NULL ? s->buffers[i] : NULL);
        if (from != NULL) {
            memcpy(s->buffers[i], from, state->params->n_floats * sizeof(float));
        }
    }
    s->metrics.n_rows = 0;
    mbt_status status = MBT_OK;
    for (int i = 0; i < state->metrics->n_rows && status == MBT_OK; i++) {
        status = mbt_metrics_append(&s->metrics, &state->metrics->rows[i], err);
    }
    return status;
}

mbt_status mbt_saver_begin(mbt_saver *s, const mbt_state *state, unsigned what, mbt_error *err)
{
    const mbt_status status = copy_state(s, state, what, err);
    if (status != MBT_OK) {
        return status;
    }
    s->saved = (mbt_saved){.wanted = what, .step = state->progress.step};
    atomic_store(&s->done, false);
    const int code = mbt_signals_start_thread(&s->thread, write_copy, s);
    s->begun = code == 0;
    return code == 0 ? MBT_OK
                     : mbt_fail(err, MBT_FAILURE, "saving at step %lld: no thread: %s",
                                (long long)state->progress.step, strerror(code));
}

bool mbt_saver_take(mbt_saver *s, bool wait, mbt_saved *saved)
{
    if (!s->begun || (!wait && !atomic_load(&s->done))) {
        return false;
    }
    (void)pthread_join(s->thread, NULL); /* can only fail for a thread that is none of ours */
    s->begun = false;
    *saved = s->saved;
    return true;
}

void mbt_saver_destroy(mbt_saver *s)
{
    mbt_saved ignored;
    if (s == NULL) {
        return;
    }
    (void)mbt_saver_take(s, true, &ignored);
    for (int i = 0; i < CKPT_BLOCKS; i++) {
        free(s->buffers[i]);
    }
    mbt_metrics_clear(&s->metrics);
    free(s);
}
