/* Networks by name: the table of families and their rows. Depends on config, graph,
 * status. */
#ifndef MBT_ARCH_H
#define MBT_ARCH_H

#include <stdio.h>

#include "mbt/config.h"
#include "mbt/graph.h"

/* What a configuration asks for. */
typedef struct mbt_arch_request {
    const char *name;  /* a row: "mobilenetv2", "igcv3d", ... */
    const char *depth; /* "1.0", "0.5": a row of blocks per stage; of some networks layers, "20" */
    int downsampling;  /* total: 4, 8 or 32 */
    double width;      /* multiplier */
    double dropout;    /* before the classifier */
    int c, h, w;       /* input */
    int n_classes;
} mbt_arch_request;

/* The network of a configuration, whose texts are borrowed, for such an input and classes. */
mbt_arch_request mbt_arch_of(const mbt_config *config, int c, int h, int w, int n_classes);

/* graph: zeroed; mbt_graph_clear by the caller, also after a failure. MBT_CONFIG when there is no
 * such row (the message lists them), depth or downsampling. */
mbt_status mbt_arch_build(const mbt_arch_request *request, mbt_graph *graph,
                          mbt_error *err) MBT_WARN_UNUSED;

/* Of the network that mbt_arch_build makes, and its errors: trained parameters, and
 * multiply-accumulates of one image. */
mbt_status mbt_arch_count(const mbt_arch_request *request, int64_t *parameters, int64_t *macs,
                          mbt_error *err) MBT_WARN_UNUSED;

/* Names and one line about each, for help. */
void mbt_arch_list(FILE *out);

#endif
