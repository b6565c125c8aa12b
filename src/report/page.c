/* The page: what all runs share. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "curves.h"
#include "html.h"
#include "mbt/report.h"
#include "mbt/text.h"
#include "page.h"

static void put_colours(bool dark, FILE *out)
{
    (void)fprintf(out, dark ? "--paper:#14171a;--card:#1c2024;--ink:#eceff1;--soft:#b6bec5;"
                              "--faint:#7f8a93;--rule:#30363c;--good:106,166,248;--bad:242,147,95;"
                            : "--paper:#f6f7f8;--card:#ffffff;--ink:#1b2127;--soft:#4a535c;"
                              "--faint:#8b949c;--rule:#e3e7ea;--good:42,111,208;--bad:217,98,43;");
    for (int t = 0; t < CHART_TONES; t++) {
        (void)fprintf(out, "--tone-%d:%s;", t, chart_tone(t, dark));
    }
}

static void put_style(FILE *out)
{
    static const char *const rules[] = {
        "*{box-sizing:border-box}",
        "body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 var(--sans)}",
        "main{max-width:1160px;margin:0 auto;padding:32px 24px 64px}",
        "header p{margin:0;color:var(--soft)}",
        "h1{font-size:28px;line-height:1.2;margin:0 0 6px;overflow-wrap:anywhere}",
        "h2{font-size:21px;margin:48px 0 4px;overflow-wrap:anywhere}",
        "h3{font-size:15px;margin:0 0 10px}",
        "section>p,.note{color:var(--soft);margin:0 0 16px}",
        ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));"
        "gap:20px;margin-top:20px}",
        ".card{background:var(--card);border:1px solid var(--rule);border-radius:10px;"
        "padding:18px;min-width:0}",
        ".card.wide{grid-column:1/-1}",
        ".stack{display:grid;gap:20px;align-content:start;min-width:0}",
        ".scroll{overflow-x:auto}",
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums}",
        "caption{text-align:left;font-weight:600;padding-bottom:10px}",
        ".results{width:100%;font-size:14px;white-space:nowrap}",
        ".results th{color:var(--soft);font-weight:500;text-align:left;vertical-align:bottom;"
        "border-bottom:1px solid var(--faint)}",
        ".results th,.results td{padding:7px 14px 7px 0}",
        ".results td{border-bottom:1px solid var(--rule)}",
        ".results tr:last-child td{border-bottom:0}",
        ".results .number{text-align:right}",
        ".results .pending td{color:var(--soft)}",
        ".chip{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:8px}",
        ".strong{font-weight:600}",
        ".confusion{font-size:12px;margin:0 auto}",
        ".confusion td{width:40px;height:36px;text-align:center;border:1px solid var(--card)}",
        ".confusion th{font-weight:400;color:var(--soft);padding:0 8px 0 0;text-align:right}",
        ".confusion thead th{writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;"
        "padding:8px 0 0}",
        ".confusion .corner{writing-mode:horizontal-tb;transform:none;vertical-align:bottom;"
        "color:var(--faint)}",
        ".confusion .zero{color:var(--faint)}",
        ".heat{display:block;width:100%;max-width:460px;margin:0 auto;image-rendering:pixelated;"
        "border:1px solid var(--rule)}",
        ".bars{display:grid;grid-template-columns:fit-content(50%) 1fr max-content;gap:6px 12px;"
        "align-items:center;font-size:13px;font-variant-numeric:tabular-nums}",
        ".bars>span:nth-child(3n){text-align:right}",
        ".bar{height:14px;border-radius:0 4px 4px 0;background:var(--tone-0);min-width:2px}",
        ".split{display:flex;height:22px;border-radius:5px;overflow:hidden;gap:2px;margin:4px 0 "
        "12px}",
        ".split span{min-width:1px}",
        ".legend{display:flex;flex-wrap:wrap;gap:4px 16px;color:var(--soft);font-size:13px;"
        "margin-bottom:14px}",
        ".pairs{margin:0;padding:0;list-style:none;font-size:13px}",
        ".pairs li{display:flex;justify-content:space-between;gap:12px;padding:4px 0;"
        "border-bottom:1px solid var(--rule)}",
        ".pairs li:last-child{border-bottom:0}",
        ".mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(92px,1fr));gap:14px}",
        ".mistakes figure{margin:0;font-size:12px;line-height:1.35;overflow-wrap:anywhere}",
        ".mistakes img{display:block;width:100%;aspect-ratio:1;object-fit:contain;"
        "image-rendering:pixelated;border-radius:6px;margin-bottom:5px;background:var(--rule)}",
        ".mistakes .is{color:var(--soft)}",
        "details{margin-top:16px}",
        "summary{cursor:pointer;color:var(--soft)}",
        "pre{overflow-x:auto;font-size:12px;line-height:1.45;background:var(--card);"
        "border:1px solid var(--rule);border-radius:8px;padding:12px}",
        "@media(max-width:560px){main{padding:20px 14px 40px}.card{padding:14px}h1{font-size:23px}"
        ".confusion td{width:25px;height:25px;font-size:10px}.confusion th{font-size:11px;"
        "padding-right:4px}}",
        "@media(prefers-color-scheme:dark){.heat{filter:invert(.92) hue-rotate(180deg)}}",
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        (void)fprintf(out, "%s\n", rules[i]);
    }
    for (int t = 0; t < CHART_TONES; t++) {
        (void)fprintf(out, ".fill-%d{background:var(--tone-%d)}\n", t, t);
    }
}

static void put_head(const char *title, FILE *out)
{
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
                out);
    html_text(out, title);
    (void)fputs("</title>\n<style>\n:root{--sans:system-ui,\"Segoe UI\",Roboto,\"DejaVu Sans\","
                "sans-serif;",
                out);
    put_colours(false, out);
    (void)fputs("}\n@media(prefers-color-scheme:dark){:root{", out);
    put_colours(true, out);
    (void)fputs("}}\n", out);
    put_style(out);
    chart_style(out);
    (void)fputs("</style>\n</head>\n<body>\n<main>\n", out);
}

static void put_summary(const mbt_outcome *runs, int n_runs, FILE *out)
{
    (void)fputs(
        "<div class=\"card wide\"><div class=\"scroll\"><table class=\"results\">\n<tr>"
        "<th scope=\"col\">run</th><th scope=\"col\">network</th><th scope=\"col\">data</th>"
        "<th scope=\"col\" class=\"number\">params, M</th><th scope=\"col\" "
        "class=\"number\">MACs, M</th><th scope=\"col\" class=\"number\">epoch</th>"
        "<th scope=\"col\" class=\"number\">test top-1, %</th><th scope=\"col\" "
        "class=\"number\">top-5, %</th><th scope=\"col\" class=\"number\">hours</th>"
        "<th scope=\"col\" class=\"number\">images/s</th></tr>\n",
        out);
    for (int i = 0; i < n_runs; i++) {
        const mbt_outcome *run = &runs[i];
        const mbt_metrics_row *row = &run->metrics.rows[run->row];
        char network[2 * MBT_RECORD_NAME_BYTES], top1[MBT_NUMBER_BYTES], top5[MBT_NUMBER_BYTES];
        mbt_outcome_network(run, network, sizeof network);
        (void)fprintf(out, "<tr><td><span class=\"chip fill-%d\"></span>", i);
        html_text(out, mbt_outcome_name(run));
        (void)fputs("</td><td>", out);
        html_text(out, network);
        (void)fputs("</td><td>", out);
        html_text(out, run->facts.data_set);
        (void)fprintf(out,
                      "</td><td class=\"number\">%.2f</td><td class=\"number\">%.1f</td>"
                      "<td class=\"number\">%" PRId64 " of %" PRId64 "</td>"
                      "<td class=\"number strong\">%s</td><td class=\"number\">%s</td>"
                      "<td class=\"number\">%.2f</td><td class=\"number\">%.0f</td></tr>\n",
                      (double)run->facts.parameters / 1e6, (double)run->facts.macs / 1e6,
                      row->epoch, run->config.train.epochs,
                      mbt_text_measured(row->test_top1, 2, top1),
                      mbt_text_measured(row->test_top5, 2, top5), run->hours, row->images_per_s);
    }
    (void)fputs("</table></div></div>\n", out);
}

static mbt_status put_curves(const mbt_outcome *runs, int n_runs, FILE *out, mbt_error *err)
{
    mbt_status status = MBT_OK;
    for (int k = 0; k < CURVE_KINDS && status == MBT_OK; k++) {
        curve_set set;
        status = curve_make((curve_kind)k, runs, n_runs, &set, err);
        if (status == MBT_OK) {
            (void)fputs("<div class=\"card\"><h3>", out);
            html_text(out, set.chart.title);
            (void)fputs("</h3>\n", out);
            chart_legend(&set.chart, out);
            chart_write(&set.chart, false, out);
            (void)fputs("</div>\n", out);
            curve_clear(&set);
        }
    }
    return status;
}

mbt_status mbt_report_html(const mbt_outcome *runs, int n_runs, const mbt_table *table, FILE *out,
                           mbt_error *err)
{
    char title[160];
    const char *first = mbt_outcome_name(&runs[0]);
    (void)snprintf(title, sizeof title, n_runs == 1 ? "%.*s" : "%.*s and %d more",
                   mbt_text_fitting(first, 120), first, n_runs - 1);
    put_head(title, out);
    (void)fputs("<header><h1>", out);
    html_text(out, title);
    (void)fputs("</h1>\n<p>Figures are those of the last epoch that was evaluated, or of the "
                "epoch chosen on held-out training samples; never the best on the test "
                "split.</p></header>\n"
                "<section class=\"cards\">\n",
                out);
    put_summary(runs, n_runs, out);
    if (table != NULL) {
        (void)fputs("<div class=\"card wide\">", out);
        mbt_table_print_html(table, out);
        (void)fputs("</div>\n", out);
    }
    mbt_status status = put_curves(runs, n_runs, out, err);
    if (status == MBT_OK) {
        page_time(runs, n_runs, out);
    }
    (void)fputs("</section>\n", out);
    for (int i = 0; i < n_runs && status == MBT_OK; i++) {
        status = page_run(&runs[i], i, out, err);
    }
    (void)fputs("</main>\n</body>\n</html>\n", out);
    return status;
}
