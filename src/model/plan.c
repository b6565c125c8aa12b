/* Making and releasing a plan, and the digest of what it chose. */
#include <stdlib.h>
#include <string.h>

#include "mbt/store.h"
#include "plan_build.h"

static void add_text(mbt_digest *digest, const char *text)
{
    mbt_digest_add(digest, text, strlen(text) + 1);
}

static void add_pass(mbt_digest *digest, const mbt_conv_pass *pass)
{
    if (pass->kernel != NULL) {
        add_text(digest, pass->kernel->name);
        add_text(digest, pass->kernel->run.conv->implementation(pass->tile[0]));
    }
}

/* Everything that may move a bit: library, instruction set, tiles, kernels. Group size and network
 * are the configuration's. */
static mbt_status make_digest(mbt_plan *plan, mbt_error *err)
{
    char library[32];
    mbt_digest *digest;
    const mbt_status status = mbt_digest_create(&digest, err);
    if (status != MBT_OK) {
        return status;
    }
    mbt_kernel_library(library, sizeof library);
    if (plan->options.shares != NULL) {
        add_text(digest, plan->options.shares->digest);
    }
    add_text(digest, library);
    add_text(digest, mbt_isa_name(plan->options.isa));
    mbt_digest_add(digest, &plan->options.storage, sizeof plan->options.storage);
    for (int i = 0; i < plan->n_segments; i++) {
        const mbt_segment *s = &plan->segments[i];
        const mbt_kernel *passes[] = {s->k_apply,
                                      s->k_apply_backward,
                                      s->k_stats,
                                      s->k_norm_backward,
                                      s->k_pool,
                                      s->k_pool_backward,
                                      s->k_depthwise_forward,
                                      s->k_depthwise_backward};
        mbt_digest_add(digest, &s->tile, sizeof s->tile);
        for (size_t k = 0; k < sizeof passes / sizeof passes[0]; k++) {
            add_text(digest, passes[k] != NULL ? passes[k]->name : "");
        }
        add_pass(digest, &s->forward);
        add_pass(digest, &s->backward_data);
        add_pass(digest, &s->backward_weights);
    }
    mbt_digest_text(digest, plan->digest);
    mbt_digest_destroy(digest);
    return MBT_OK;
}

/* Two plans work on one block only when every slice lies at the same place. */
static mbt_status check_shared(const mbt_plan *plan, mbt_error *err)
{
    const mbt_params *mine = &plan->params;
    const mbt_params *other = plan->options.shares != NULL ? &plan->options.shares->params : mine;
    bool same = mine->n_slices == other->n_slices && mine->n_floats == other->n_floats;
    for (int i = 0; i < mine->n_slices && same; i++) {
        const mbt_slice *a = &mine->slices[i], *b = &other->slices[i];
        same = strcmp(a->name, b->name) == 0 && a->form == b->form && a->offset == b->offset &&
               a->stored == b->stored;
    }
    return same ? MBT_OK
                : mbt_fail(err, MBT_FAILURE,
                           "plan: what it shares weights with has other parameters");
}

mbt_status mbt_plan_create(const mbt_graph *graph, const mbt_plan_options *options, mbt_plan **out,
                           mbt_error *err)
{
    mbt_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return mbt_fail(err, MBT_FAILURE, "plan: out of memory");
    }
    plan->options = *options;
    plan->options.threads = options->threads > 1 ? options->threads : 1;
    plan->lanes = calloc((size_t)plan->options.threads, sizeof *plan->lanes);
    if (plan->lanes == NULL) {
        free(plan);
        return mbt_fail(err, MBT_FAILURE, "plan: out of memory");
    }
    mbt_status status = mbt_plan_make_segments(plan, graph, err);
    if (status == MBT_OK && !options->training) {
        mbt_plan_fold(plan);
    }
    if (status == MBT_OK) {
        status = check_shared(plan, err);
    }
    if (status == MBT_OK) {
        status = mbt_plan_choose_kernels(plan, err);
    }
    if (status == MBT_OK) {
        status = mbt_plan_lay_memory(plan, err);
    }
    if (status == MBT_OK) {
        status = make_digest(plan, err);
    }
    if (status != MBT_OK) {
        mbt_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return MBT_OK;
}

void mbt_plan_destroy(mbt_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    mbt_plan_release_kernels(plan);
    for (int i = 0; i < plan->n_segments; i++) {
        mbt_shuffle_clear(&plan->segments[i].shuffle_forward);
        mbt_shuffle_clear(&plan->segments[i].shuffle_backward);
    }
    free(plan->segments);
    free(plan->values);
    free(plan->norms);
    free(plan->lanes);
    mbt_params_clear(&plan->params);
    mbt_arena_destroy(plan->arena);
    free(plan);
}
