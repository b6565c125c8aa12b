/* The verbs that look and measure, and leave nothing behind. */
#include "mbt/bench.h"
#include "mbt/binding.h"
#include "mbt/trainer.h"
#include "mbtrain_session.h"

/* Plan and bench need no data: the shape is CIFAR's, or ImageNet's for its strides, unless given.
 */
static mbt_shape drawn_shape(const mbtrain_session *s)
{
    const bool large = s->config.network.downsampling == 32;
    const int wanted = s->options.size > 0 ? s->options.size : (int)s->config.data.image_size;
    const int size = wanted > 0 ? wanted : large ? 224 : 32;
    return (mbt_shape){3, size, size,
                       s->options.classes > 0 ? s->options.classes
                       : large                ? 1000
                                              : 10};
}

/* Network and plan of a configuration, without data. */
static mbt_status open_drawn(mbtrain_session *s, mbt_setup *setup, mbt_error *err)
{
    mbt_status status = mbtrain_read_config(s, false, err);
    if (status == MBT_OK) {
        const mbt_shape shape = drawn_shape(s);
        status = mbt_setup_create(s->comm, &s->log, &s->config, &shape, true, setup, err);
    }
    return status;
}

mbt_status mbtrain_bench(mbtrain_session *s, mbt_error *err)
{
    mbt_setup setup = {0};
    mbt_bench result = {0};
    mbt_status status = open_drawn(s, &setup, err);
    if (status == MBT_OK) {
        status = mbt_binding_check(s->comm, &s->log, (int)s->config.plan.threads, err);
    }
    if (status == MBT_OK) {
        const mbt_bench_options options = {.n_steps = s->options.steps, .comm = s->options.comm};
        status = mbt_bench_run(&setup, &options, &result, err);
    }
    if (status == MBT_OK && mbtrain_is_root(s)) {
        if (s->options.json) {
            mbt_bench_write(&result, stdout);
        } else {
            mbt_bench_print(&result, stdout);
        }
    }
    mbt_bench_clear(&result);
    mbt_setup_clear(&setup);
    return status;
}

/* What the prediction starts from: a file of bench, or a short one of our own. Collective. */
static mbt_status find_basis(mbtrain_session *s, mbt_setup *setup, mbt_basis *basis, mbt_error *err)
{
    enum { STEPS = 3 };
    mbt_status status = MBT_OK;
    if (s->options.from == NULL) {
        const mbt_bench_options options = {.n_steps = STEPS, .comm = mbt_comm_size(s->comm) > 1};
        mbt_bench result = {0};
        status = mbt_bench_run(setup, &options, &result, err);
        *basis = result.basis;
        mbt_bench_clear(&result);
    } else if (mbtrain_is_root(s)) {
        mbt_basis wanted;
        mbt_bench_describe(setup, &wanted);
        status = mbt_basis_read(s->options.from, basis, err);
        if (status == MBT_OK) {
            status = mbt_basis_check(basis, &wanted, err);
        }
    }
    return mbt_comm_agree(s->comm, status, err);
}

mbt_status mbtrain_plan(mbtrain_session *s, mbt_error *err)
{
    mbt_setup setup = {0};
    mbt_basis basis = {0};
    mbt_status status = open_drawn(s, &setup, err);
    const bool predicts = s->options.ranks > 0;
    if (status == MBT_OK && predicts) {
        status = find_basis(s, &setup, &basis, err);
    }
    if (status == MBT_OK && mbtrain_is_root(s) && predicts) {
        const mbt_link net = {1e-6 * s->options.latency_us, 1e-9 / s->options.bandwidth_gb};
        mbt_scaling_print(&basis, net, (int)s->config.train.batch, s->options.ranks,
                          s->options.nodes, stdout);
    } else if (status == MBT_OK && mbtrain_is_root(s)) {
        const mbt_memory memory = mbt_memory_of(&setup);
        mbt_plan_print(setup.plan, &setup.graph, stdout);
        mbt_plan_print_evaluator(setup.evaluator, stdout);
        mbt_memory_print(&memory, stdout);
    }
    mbt_setup_clear(&setup);
    return status;
}

mbt_status mbtrain_check(mbtrain_session *s, mbt_error *err)
{
    mbt_setup setup = {0};
    mbt_status status = mbtrain_read_config(s, true, err);
    if (status == MBT_OK) {
        status = mbt_setup_create(s->comm, &s->log, &s->config, NULL, true, &setup, err);
    }
    if (status == MBT_OK) {
        status = mbt_comm_agree(s->comm, mbt_train_weights(&setup, err), err);
    }
    if (status == MBT_OK && mbtrain_is_root(s)) {
        (void)printf(
            "%s: good: %s, %lld parameters, on %s (%lld training samples, %d classes), %lld steps "
            "an epoch, %.0f MiB a rank\n",
            s->options.target, setup.graph.name, (long long)mbt_graph_params(&setup.graph),
            setup.dataset.name, (long long)setup.n_train, setup.dataset.n_classes,
            (long long)mbt_sampler_steps(setup.sampler),
            (double)mbt_memory_of(&setup).total / (1024.0 * 1024.0));
    }
    mbt_setup_clear(&setup);
    return status;
}
