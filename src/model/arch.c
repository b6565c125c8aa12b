/* The table of networks. A new one is a file of its own and a row here. */
#include "mbt/arch.h"

#include <string.h>

#include "arch_rows.h"
#include "mbt/text.h"

static const mbt_arch_row *const rows[] = {
    &mbt_arch_mobilenetv2, &mbt_arch_mobilenetv2_torchvision,
    &mbt_arch_igcv3d,      &mbt_arch_igcv3d_seesaw,
    &mbt_arch_igcv3d_seed,
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

mbt_status mbt_arch_build(const mbt_arch_request *request, mbt_graph *graph, mbt_error *err)
{
    const char *names[N_ROWS];
    char known[512] = "";
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(rows[i]->name, request->name) == 0) {
            (void)snprintf(graph->name, sizeof graph->name, "%s", rows[i]->name);
            return rows[i]->build(request, rows[i]->family, graph, err);
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

void mbt_arch_list(FILE *out)
{
    for (int i = 0; i < N_ROWS; i++) {
        (void)fprintf(out, "  %-24s %s\n", rows[i]->name, rows[i]->help);
    }
}
