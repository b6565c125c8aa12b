/* What a setup gives to a record: facts, and the predictions of all ranks. */
#include <stdio.h>
#include <string.h>

#include "mbt/binding.h"
#include "mbt/setup.h"

void mbt_setup_facts(const mbt_setup *setup, const char *provenance, mbt_record_facts *facts)
{
    *facts = (mbt_record_facts){0};
    facts->parameters = mbt_graph_params(&setup->graph);
    facts->macs = mbt_graph_macs(&setup->graph);
    facts->ranks = mbt_comm_size(setup->comm);
    (void)snprintf(facts->network, sizeof facts->network, "%s", setup->graph.name);
    (void)snprintf(facts->data_set, sizeof facts->data_set, "%s", setup->dataset.name);
    memcpy(facts->data_digest, setup->dataset.digest, sizeof facts->data_digest);
    const mbt_plan *plan = setup->plan != NULL ? setup->plan : setup->evaluator;
    (void)snprintf(facts->arithmetic, sizeof facts->arithmetic, "%s",
                   plan->options.bf16 ? "bf16" : "fp32");
    if (mbt_comm_rank(setup->comm) == 0) { /* it writes; looking takes a large node a while */
        char model[MBT_RECORD_NAME_BYTES];
        mbt_binding_processor(model, sizeof model);
        (void)snprintf(facts->processor, sizeof facts->processor, "%s, %s", model,
                       mbt_isa_name(plan->options.isa));
    }
    (void)snprintf(facts->provenance, sizeof facts->provenance, "%s", provenance);
}

mbt_status mbt_setup_expect_predictions(mbt_setup *setup, bool keep_logits,
                                        mbt_predictions *predictions, mbt_error *err)
{
    mbt_status status = mbt_predictions_create(setup->dataset.test.n, setup->dataset.n_classes,
                                               keep_logits, predictions, err);
    status = mbt_comm_agree(setup->comm, status, err);
    setup->predictions = status == MBT_OK ? predictions : NULL;
    return status;
}

/* Every rank has put samples of its own and left the others zero; a number plus zeros is that
 * number, in integers and in floats. */
void mbt_setup_share_predictions(mbt_setup *setup)
{
    mbt_predictions *p = setup->predictions;
    const size_t n = (size_t)p->n;
    mbt_comm_sum(setup->comm, MBT_COMM_I64, p->labels, n);
    mbt_comm_sum(setup->comm, MBT_COMM_I64, p->predicted, n);
    mbt_comm_sum(setup->comm, MBT_COMM_F32, p->probability, n);
    if (p->logits != NULL) {
        mbt_comm_sum(setup->comm, MBT_COMM_F32, p->logits, n * (size_t)p->n_classes);
    }
    setup->predictions = NULL;
}
