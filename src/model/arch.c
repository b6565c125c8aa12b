/* The table of networks: the rows that arch_rows.h lists. */
#include "mbt/arch.h"

#include <string.h>

#include "arch_rows.h"
#include "mbt/text.h"

#define ADDRESS(row) &mbt_arch_##row,
static const mbt_arch_row *const rows[] = {MBT_ARCH_ROWS(ADDRESS)};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

mbt_arch_request mbt_arch_of(const mbt_config *config, int c, int h, int w, int n_classes)
{
    return (mbt_arch_request){
        .name = config->network.name,
        .depth = config->network.depth,
        .downsampling = (int)config->network.downsampling,
        .width = config->network.width,
        .dropout = config->network.dropout,
        .c = c,
        .h = h,
        .w = w,
        .n_classes = n_classes,
    };
}

mbt_status mbt_arch_build(const mbt_arch_request *request, mbt_graph *graph, mbt_error *err)
{
    const char *names[N_ROWS];
    char known[1024] = "";
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i]->name, request->name) == 0) {
            (void)snprintf(graph->name, sizeof graph->name, "%s", rows[i]->name);
            const mbt_status status = rows[i]->build(request, rows[i]->family, graph, err);
            if (graph->fault.code == MBT_CONFIG) { /* that names a node, and no network */
                return mbt_error_prefix(err, "%s of width %g on %d x %d with %d classes",
                                        request->name, request->width, request->h, request->w,
                                        request->n_classes);
            }
            return status;
        }
        names[i] = rows[i]->name;
        const size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const int near = mbt_text_nearest(request->name, names, N_ROWS);
    return mbt_fail(err, MBT_CONFIG, "network.name: got \"%s\"%s%s%s, wanted one of %s",
                    request->name, near >= 0 ? " (did you mean \"" : "",
                    near >= 0 ? names[near] : "", near >= 0 ? "\"?)" : "", known);
}

mbt_status mbt_arch_count(const mbt_arch_request *request, int64_t *parameters, int64_t *macs,
                          mbt_error *err)
{
    mbt_graph graph = {0};
    const mbt_status status = mbt_arch_build(request, &graph, err);
    if (status == MBT_OK) {
        *parameters = mbt_graph_params(&graph);
        *macs = mbt_graph_macs(&graph);
    }
    mbt_graph_clear(&graph);
    return status;
}

void mbt_arch_list(FILE *out)
{
    for (int i = 0; i < N_ROWS; i++) {
        (void)fprintf(out, "  %-24s %s\n", rows[i]->name, rows[i]->help);
    }
}
