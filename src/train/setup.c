/* Opening what a configuration names, the same on every rank. */
#include "mbt/setup.h"

#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "mbt/gemm.h"
#include "mbt/memory.h"

/* Images an evaluation works on at a time: few, so that all maps stay in cache. */
enum { EVALUATION_GROUP = 8 };

/* Bytes of a plan's arena, all of which it has touched. */
static size_t arena_of(const mbt_plan *plan)
{
    return plan != NULL ? mbt_arena_bytes(plan->arena) : 0;
}

/* The worker's training plan for small images, on the weights of the one for whole images. */
static mbt_status make_small(mbt_setup *s, const mbt_arch_request *whole,
                             const mbt_plan_options *options, mbt_worker *w, mbt_error *err)
{
    const int size = (int)s->config.train.small_size;
    mbt_arch_request request = *whole;
    mbt_plan_options sharing = *options;
    mbt_graph graph = {0};
    if (whole->h != whole->w || size >= whole->h) {
        return mbt_fail(err, MBT_CONFIG,
                        "train.small_size: got %d, wanted less than the side of square images, got "
                        "%d x %d",
                        size, whole->h, whole->w);
    }
    request.h = request.w = size;
    sharing.shares = w->plan;
    sharing.own_gradient = false;
    mbt_status status = mbt_arch_build(&request, &graph, err);
    if (status == MBT_OK) {
        status = mbt_plan_create(&graph, &sharing, &w->small, err);
    }
    mbt_graph_clear(&graph);
    return status;
}

/* The plans of a worker; the first one's have room for all threads. */
static mbt_status make_plans(mbt_setup *s, const mbt_arch_request *request,
                             const mbt_plan_options *all, mbt_worker *w, mbt_error *err)
{
    const mbt_worker *first = w != s->workers ? s->workers : NULL;
    mbt_plan_options options = *all;
    mbt_status status = MBT_OK;
    options.own_gradient = true;
    if (first != NULL) {
        options.threads = 1;
    }
    if (options.training) {
        options.shares = first != NULL ? first->plan : NULL;
        status = mbt_plan_create(&s->graph, &options, &w->plan, err);
    }
    if (options.training && s->config.train.small_size > 0 && status == MBT_OK) {
        status = make_small(s, request, &options, w, err);
    }
    options.training = false;
    options.storage = MBT_STORAGE_FP32;
    options.group = s->group < EVALUATION_GROUP ? s->group : EVALUATION_GROUP;
    options.shares = first != NULL ? first->evaluator : NULL;
    return status == MBT_OK ? mbt_plan_create(&s->graph, &options, &w->evaluator, err) : status;
}

static mbt_status make_labels(const mbt_setup *s, mbt_worker *w, mbt_error *err)
{
    const bool mixes = s->config.augment.mixup > 0;
    w->labels = calloc((size_t)s->group, sizeof *w->labels);
    if (mixes) {
        w->others = calloc((size_t)s->group, sizeof *w->others);
        w->shares = calloc((size_t)s->group, sizeof *w->shares);
    }
    return w->labels != NULL && (!mixes || (w->others != NULL && w->shares != NULL))
               ? MBT_OK
               : mbt_fail(err, MBT_FAILURE, "labels of a group: out of memory");
}

/* Groups of a whole batch. */
static int count_groups(const mbt_config *config)
{
    return mbt_sampler_cut((int)config->train.batch, (int)config->train.bn_group);
}

static mbt_status make_workers(mbt_setup *s, const mbt_arch_request *request,
                               const mbt_plan_options *options, mbt_error *err)
{
    const size_t before = mbt_memory_resident();
    const int threads = options->threads;
    size_t arenas = 0;
    mbt_status status = MBT_OK;
    s->n_workers = count_groups(&s->config) / mbt_comm_size(s->comm) >= threads ? threads : 1;
    s->workers = calloc((size_t)s->n_workers, sizeof *s->workers);
    if (s->workers == NULL) {
        s->n_workers = 0;
        return mbt_fail(err, MBT_FAILURE, "workers: out of memory");
    }
    for (int i = 0; i < s->n_workers && status == MBT_OK; i++) {
        mbt_worker *w = &s->workers[i];
        status = make_plans(s, request, options, w, err);
        if (status == MBT_OK) {
            status = make_labels(s, w, err);
        }
        arenas += arena_of(w->plan) + arena_of(w->small) + arena_of(w->evaluator);
    }
    if (status == MBT_OK && options->training && s->config.optimizer.kind == MBT_OPTIMIZER_MUON) {
        status = mbt_gemm_prepare(err);
    }
    s->plan = s->workers[0].plan;
    s->small = s->workers[0].small;
    s->evaluator = s->workers[0].evaluator;
    const size_t now = mbt_memory_resident(), apart = before + arenas;
    s->code_bytes = now > apart ? now - apart : 0;
    return status;
}

static void clear_worker(mbt_worker *w)
{
    mbt_batch_destroy(w->batch);
    mbt_loader_destroy(w->loader);
    mbt_plan_destroy(w->small);
    mbt_plan_destroy(w->plan);
    mbt_plan_destroy(w->evaluator);
    free(w->labels);
    free(w->others);
    free(w->shares);
}

/* The kernel set that was asked for, or the best that every rank's processor runs. Collective. */
static mbt_status choose_isa(const mbt_setup *s, mbt_isa *isa, mbt_error *err)
{
    const char *wanted = s->config.plan.kernels;
    int64_t least = mbt_cpu_isa();
    mbt_comm_min(s->comm, MBT_COMM_I64, &least, 1);
    *isa = (mbt_isa)least;
    for (mbt_isa level = MBT_ISA_X86_64; level < MBT_ISA_COUNT; level++) {
        if (strcmp(wanted, mbt_isa_name(level)) == 0) {
            *isa = level;
        }
    }
    return (int64_t)*isa <= least
               ? MBT_OK
               : mbt_fail(err, MBT_CONFIG, "plan.kernels: got \"%s\", the processors have %s",
                          wanted, mbt_isa_name((mbt_isa)least));
}

static mbt_status make_network(mbt_setup *s, const mbt_shape *shape, bool training, mbt_error *err)
{
    const mbt_arch_request request =
        mbt_arch_of(&s->config, shape->c, shape->h, shape->w, shape->n_classes);
    mbt_isa isa;
    mbt_status status = choose_isa(s, &isa, err); /* first: all ranks take part */
    if (status == MBT_OK && s->config.plan.arithmetic == MBT_ARITHMETIC_BF16 &&
        isa < MBT_ISA_AVX512_BF16) {
        status =
            mbt_fail(err, MBT_CONFIG,
                     "plan.arithmetic: got \"bf16\", which needs kernels up to %s; these are %s",
                     mbt_isa_name(MBT_ISA_AVX512_BF16), mbt_isa_name(isa));
    }
    if (status == MBT_OK) {
        status = mbt_arch_build(&request, &s->graph, err);
    }
    if (status != MBT_OK) {
        return status;
    }
    mbt_plan_options options = {
        .group = s->group,
        .tile = (int)s->config.plan.tile,
        .isa = isa,
        .storage = (mbt_storage)s->config.plan.storage,
        .bf16 = s->config.plan.arithmetic != MBT_ARITHMETIC_FP32 && isa >= MBT_ISA_AVX512_BF16,
        .threads = (int)s->config.plan.threads,
        .training = training,
        .pass_by_pass = (s->config.plan.without & MBT_WITHOUT_FUSED) != 0,
        .without_own = (s->config.plan.without & MBT_WITHOUT_OWN) != 0,
        .bn_eps = s->config.train.bn_eps,
    };
    return make_workers(s, &request, &options, err);
}

const mbt_plan *mbt_setup_digested(const mbt_setup *setup)
{
    return setup->small != NULL ? setup->small : setup->plan;
}

/* Two machines may choose differently (another oneDNN): then bits, and the digest, differ. */
static mbt_status agree_on_plan(const mbt_setup *s, mbt_error *err)
{
    char first[MBT_PLAN_DIGEST_BYTES];
    const mbt_plan *plan = s->plan != NULL ? mbt_setup_digested(s) : s->evaluator;
    const char *mine = plan->digest;
    memcpy(first, mine, sizeof first);
    mbt_comm_broadcast(s->comm, first, sizeof first);
    return strcmp(first, mine) == 0
               ? MBT_OK
               : mbt_fail(
                     err, MBT_FAILURE,
                     "plan on %s: digest %s, rank 0 has %s: the ranks run different libraries or "
                     "processors",
                     mbt_comm_host(s->comm), mine, first);
}

static mbt_status make_split(mbt_setup *s, mbt_error *err)
{
    const mbt_config *config = &s->config;
    const int64_t limit = config->data.train_limit;
    int64_t n = s->dataset.train.n;
    n = limit > 0 && limit < n ? limit : n;
    s->n_valid = config->data.validation;
    s->n_train = n - s->n_valid;
    if (s->n_train < 1) {
        return mbt_fail(err, MBT_CONFIG,
                        "data.validation: got %lld, the training split has %lld samples",
                        (long long)s->n_valid, (long long)n);
    }
    s->train_ids = malloc((size_t)s->n_train * sizeof *s->train_ids);
    s->valid_ids = malloc((size_t)(s->n_valid + 1) * sizeof *s->valid_ids);
    if (s->train_ids == NULL || s->valid_ids == NULL) {
        return mbt_fail(err, MBT_FAILURE, "sample ids: out of memory");
    }
    mbt_sampler_split((uint64_t)config->train.seed, (uint32_t)n, (uint32_t)s->n_valid, s->train_ids,
                      s->valid_ids);
    return mbt_sampler_create(s->train_ids, s->n_train, (int)config->train.batch, s->group,
                              (uint64_t)config->train.seed, &s->sampler, err);
}

static mbt_status make_augment(mbt_setup *s, mbt_error *err)
{
    mbt_status status = mbt_augment_check(&s->config, &s->dataset, err);
    if (status == MBT_OK) {
        mbt_augment_init(&s->augment, &s->config, &s->dataset);
        mbt_augment_init_plain(&s->plain, &s->config, &s->dataset);
    }
    return status;
}

/* Every worker loads its own groups. */
static mbt_status make_loaders(mbt_setup *s, bool training, mbt_error *err)
{
    const bool worth = s->dataset.height == 0 || s->augment.crop.kind != MBT_CROP_PAD;
    mbt_status status = MBT_OK;
    for (int i = 0; i < s->n_workers && status == MBT_OK; i++) {
        mbt_worker *w = &s->workers[i];
        status = mbt_loader_create(&s->dataset, &s->augment, &w->loader, err);
        if (status == MBT_OK && training && worth && s->config.data.prefetch) {
            status = mbt_batch_create(&s->dataset, &s->augment, s->group, &w->batch, err);
        }
    }
    return status;
}

/* What a user may want to know about where the samples are. */
static void say_where(const mbt_setup *s)
{
    const mbt_dataset *d = &s->dataset;
    if (d->streamed) {
        mbt_log_root(s->log, MBT_LOG_INFO,
                     "%s: its %zu MiB of images stay in the file and are read as they are needed "
                     "(%s)",
                     s->config.data.path, d->sample_bytes >> 20,
                     d->no_shared_room ? "/dev/shm has no room for them" : "data.memory");
    } else if (!d->share.shared) {
        mbt_log_root(s->log, MBT_LOG_WARN,
                     "%s: /dev/shm has no room for its %zu MiB: each rank reads it for itself",
                     s->config.data.path, d->share.bytes >> 20);
    }
}

/* The data set and everything up to the network's input. */
static mbt_status open_data(mbt_setup *s, mbt_shape *shape, mbt_error *err)
{
    const size_t memory = (size_t)s->config.data.memory_mib << 20;
    mbt_status status = mbt_dataset_open(s->comm, s->config.data.path, memory, &s->dataset, err);
    if (status == MBT_OK) {
        say_where(s);
        status = mbt_comm_agree(s->comm, make_split(s, err), err);
    }
    if (status == MBT_OK) {
        status = mbt_comm_agree(s->comm, make_augment(s, err), err);
    }
    *shape =
        (mbt_shape){s->augment.channels, s->augment.height, s->augment.width, s->dataset.n_classes};
    return status;
}

mbt_status mbt_setup_create(mbt_comm *comm, mbt_log *log, const mbt_config *config,
                            const mbt_shape *shape, bool training, mbt_setup *setup, mbt_error *err)
{
    setup->resident_before = mbt_memory_resident();
    setup->comm = comm;
    setup->log = log;
    setup->config = *config;
    setup->group = (int)config->train.bn_group;
    mbt_shape of_data;
    mbt_status status = MBT_OK;
    if (shape == NULL) {
        status = open_data(setup, &of_data, err);
    }
    if (status == MBT_OK) {
        status = make_network(setup, shape != NULL ? shape : &of_data, training, err);
        status = mbt_comm_agree(comm, status, err);
    }
    if (status == MBT_OK && shape == NULL) {
        status = mbt_comm_agree(comm, make_loaders(setup, training, err), err);
    }
    if (status == MBT_OK) {
        status = mbt_comm_agree(comm, agree_on_plan(setup, err), err);
    }
    const int k = count_groups(config);
    if (status == MBT_OK && training && k < mbt_comm_size(comm)) {
        mbt_log_root(
            log, MBT_LOG_WARN,
            "a batch of %d has %d groups of %d: only %d of %d ranks have work; start %d ranks or "
            "make train.bn_group smaller",
            (int)config->train.batch, k, setup->group, k, mbt_comm_size(comm), k);
    }
    return status;
}

void mbt_setup_alive(mbt_setup *setup)
{
    mbt_error lost = {0};
    mbt_pulse_beat(mbt_watchdog_pulse(setup->watchdog));
    if (setup->run != NULL && mbt_run_beat(setup->run, &lost) != MBT_OK) {
        setup->run = NULL; /* another's by now; the run's next check says so */
    }
}

void mbt_setup_clear(mbt_setup *setup)
{
    mbt_sampler_destroy(setup->sampler);
    free(setup->train_ids);
    free(setup->valid_ids);
    while (setup->n_workers > 0) { /* the first last: the others have its weights */
        clear_worker(&setup->workers[--setup->n_workers]);
    }
    free(setup->workers);
    mbt_graph_clear(&setup->graph);
    if (setup->comm != NULL) {
        mbt_dataset_close(setup->comm, &setup->dataset);
    }
    *setup = (mbt_setup){0};
}
