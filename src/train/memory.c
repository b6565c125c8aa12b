/* The account of a rank's memory. */
#include "mbt/memory.h"

#include <stdio.h>
#include <string.h>

#include "mbt/bucket.h"
#include "mbt/muon.h"
#include "mbt/saver.h"

/* HDF5 lets the image of a file grow by so much at a time. */
enum { IMAGE_STEP = 4 << 20 };

/* Of a checkpoint: weights and their average, momentum and squares of what is trained, without
 * padding. */
static size_t saved_bytes(const mbt_params *params, bool squares, bool average)
{
    size_t floats = (squares ? 2 : 1) * params->n_trained;
    for (int i = 0; i < params->n_slices; i++) {
        floats += (average ? 2 : 1) * params->slices[i].count;
    }
    return floats * sizeof(float);
}

mbt_memory mbt_memory_of(const mbt_setup *setup)
{
    const size_t n = setup->plan->params.n_floats, workers = (size_t)setup->n_workers;
    const bool squares = setup->config.optimizer.kind == MBT_OPTIMIZER_RMSPROP;
    const size_t own = workers - (mbt_bucket_shares(setup) ? 1 : 0);
    mbt_memory m = {
        .momentum = (squares ? 2 : 1) * n * sizeof(float),
        .average = setup->config.ema.decay > 0 ? n * sizeof(float) : 0,
    };
    if (setup->config.optimizer.kind == MBT_OPTIMIZER_MUON) {
        m.momentum +=
            mbt_muon_bytes(&setup->plan->params, setup->comm, (int)setup->config.plan.threads);
    }
    switch (setup->config.train.reduce) {
    case MBT_REDUCE_EXACT:
        m.sums = own * n * sizeof(int64_t);
        break;
    case MBT_REDUCE_FP32:
        m.sums = own * n * sizeof(float);
        break;
    case MBT_REDUCE_BF16:
        m.sums = n * (own * sizeof(float) + sizeof(uint16_t));
        break;
    }
    for (size_t i = 0; i < workers; i++) {
        const mbt_worker *w = &setup->workers[i];
        m.plan += mbt_arena_bytes(w->plan->arena) +
                  (w->small != NULL ? mbt_arena_bytes(w->small->arena) : 0);
        m.evaluator += mbt_arena_bytes(w->evaluator->arena);
        m.images += mbt_loader_bytes(w->loader) + mbt_batch_bytes(w->batch);
    }
    m.samples = (size_t)(3 * setup->n_train + setup->n_valid) * sizeof(uint32_t);
    m.code = setup->code_bytes;
    m.save = mbt_saver_bytes(&setup->plan->params, 2 + squares + (m.average > 0)) +
             2 * saved_bytes(&setup->plan->params, squares, m.average > 0) + IMAGE_STEP;
    m.total = m.save + m.plan + m.evaluator + m.momentum + m.average + m.sums + m.samples +
              m.images + m.code;
    return m;
}

static double mib(size_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

void mbt_memory_print(const mbt_memory *m, FILE *out)
{
    (void)fprintf(out,
                  "memory     %.1f MiB a rank: plan %.1f, evaluation %.1f, momentum %.1f, average "
                  "%.1f, sums %.1f, sample ids %.1f, images %.1f, code %.1f, "
                  "saving %.1f\n",
                  mib(m->total), mib(m->plan), mib(m->evaluator), mib(m->momentum), mib(m->average),
                  mib(m->sums), mib(m->samples), mib(m->images), mib(m->code), mib(m->save));
}

/* A line "NAME:   N kB" of what the kernel says of this process; 0 when it does not. */
static size_t status_line(const char *name)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    while (in != NULL && kib == 0 && fgets(line, sizeof line, in) != NULL) {
        const size_t n = strlen(name);
        if (strncmp(line, name, n) == 0 && sscanf(line + n, ": %llu kB", &kib) != 1) {
            kib = 0;
        }
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    return (size_t)kib * 1024;
}

size_t mbt_memory_resident(void)
{
    return status_line("RssAnon");
}

size_t mbt_memory_grown(const mbt_setup *setup)
{
    const mbt_share *share = &setup->dataset.share;
    const size_t window = share->handle == NULL ? share->bytes : 0; /* else it is in RssShmem */
    const size_t apart =
        status_line("RssShmem") + status_line("RssFile") + window + setup->resident_before;
    const size_t peak = status_line("VmHWM");
    return peak > apart ? peak - apart : 0;
}
