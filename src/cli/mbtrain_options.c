/* Parsing mbtrain's command line. */
#include "mbtrain_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbt/arch.h"
#include "mbt/config.h"
#include "mbt/text.h"
#include "version.h"

static const char *const verb_names[MBTRAIN_VERBS] = {"train", "resume", "eval",
                                                      "bench", "plan",   "check"};

/* The network between nodes unless told: 25 Gbit Ethernet. The usage text says the same. */
static const double LATENCY_US = 20, BANDWIDTH_GB = 2.5;

static const char usage[] =
    "usage: mbtrain [train] CONFIG   train as the configuration says\n"
    "       mbtrain resume RUN       go on with a run, from its newest whole checkpoint\n"
    "       mbtrain eval RUN|FILE    held-out accuracy of a checkpoint, or of what a run is judged "
    "by\n"
    "       mbtrain bench CONFIG     images per second, time by layer, peaks, without data\n"
    "       mbtrain plan CONFIG      the layer table: shapes, MACs, kernels, memory; predictions\n"
    "       mbtrain check CONFIG     everything before the first step, and no step\n"
    "Under mpirun -n N or srun --mpi=pmix -n N, on N ranks; results do not depend on N.\n"
    "\n"
    "  --set KEY=VALUE   overrides a key of the configuration; may be given again\n"
    "  --max-hours H     stops with a checkpoint and exit code 75 before H hours are over\n"
    "  --force           train: an old run in the folder is moved aside\n"
    "  --resume=auto     train: goes on with a run that is in the folder, begins one otherwise\n"
    "  --predictions FILE  eval: classes, probabilities and logits of the test split, as HDF5\n"
    "  --steps N         bench: steps to measure (12)\n"
    "  --comm            bench: the reduction alone, too: latency and bandwidth, 8 B to 64 MiB\n"
    "  --json            bench: JSON on stdout instead of tables\n"
    "  --ranks N         plan: step time, efficiency and memory on up to N ranks instead of "
    "layers\n"
    "  --nodes M         plan: on M nodes (1)\n"
    "  --from FILE       plan: from what bench --comm --json wrote, instead of a short bench now\n"
    "  --latency US      plan: microseconds of a message between nodes (20)\n"
    "  --bandwidth GB    plan: GB/s between two nodes (2.5, of 25 Gbit Ethernet)\n"
    "  --classes N       plan, bench: classes (10; 1000 for downsampling 32)\n"
    "  --size N          plan, bench: side of the input (data.image_size, or 32; 224 for "
    "downsampling 32)\n"
    "  -h, --help        this text\n"
    "  --help-config     every key of a configuration\n"
    "  --version         versions of program and libraries\n"
    "\n"
    "Exit codes: 0 done, 1 failure, 2 usage, 3 configuration, 4 data or file format, 5 diverged,\n"
    "6 a rank died or hung, 75 stopped early with a valid checkpoint (resume goes on).\n"
    "\n"
    "Networks (network.name):\n";

enum { /* above every character: getopt's optopt tells letters from these */
       SET = 256,
       MAX_HOURS,
       FORCE,
       RESUME,
       STEPS,
       CLASSES,
       SIZE,
       COMM,
       JSON,
       RANKS,
       NODES,
       FROM,
       LATENCY,
       BANDWIDTH,
       PREDICTIONS
};

static const struct option longs[] = {
    {"set", required_argument, NULL, SET},
    {"max-hours", required_argument, NULL, MAX_HOURS},
    {"force", no_argument, NULL, FORCE},
    {"resume", required_argument, NULL, RESUME},
    {"steps", required_argument, NULL, STEPS},
    {"classes", required_argument, NULL, CLASSES},
    {"size", required_argument, NULL, SIZE},
    {"comm", no_argument, NULL, COMM},
    {"json", no_argument, NULL, JSON},
    {"ranks", required_argument, NULL, RANKS},
    {"nodes", required_argument, NULL, NODES},
    {"from", required_argument, NULL, FROM},
    {"latency", required_argument, NULL, LATENCY},
    {"bandwidth", required_argument, NULL, BANDWIDTH},
    {"predictions", required_argument, NULL, PREDICTIONS},
    {0},
};
enum { N_LONGS = sizeof longs / sizeof longs[0] - 1 };

static mbt_status whole(const char *name, const char *text, int least, int *value, mbt_error *err)
{
    int64_t got;
    if (!mbt_text_to_i64(text, &got) || got < least || got > 1000000) {
        return mbt_fail(err, MBT_USAGE,
                        "--%s: got \"%s\", wanted a whole number from %d to 1000000", name, text,
                        least);
    }
    *value = (int)got;
    return MBT_OK;
}

static mbt_status above_zero(const char *name, const char *text, double *value, mbt_error *err)
{
    return mbt_text_to_f64(text, value) && *value > 0 && *value < 1e9
               ? MBT_OK
               : mbt_fail(err, MBT_USAGE, "--%s: got \"%s\", wanted a number above 0", name, text);
}

/* plan and bench alone take these. */
static mbt_status take_measuring(int option, const char *value, mbtrain_options *o, mbt_error *err)
{
    switch (option) {
    case COMM:
        o->comm = true;
        return MBT_OK;
    case JSON:
        o->json = true;
        return MBT_OK;
    case FROM:
        o->from = value;
        return MBT_OK;
    case STEPS:
        return whole("steps", value, 1, &o->steps, err);
    case CLASSES:
        return whole("classes", value, 2, &o->classes, err);
    case SIZE:
        return whole("size", value, 8, &o->size, err);
    case RANKS:
        return whole("ranks", value, 1, &o->ranks, err);
    case NODES:
        return whole("nodes", value, 1, &o->nodes, err);
    case LATENCY:
        return above_zero("latency", value, &o->latency_us, err);
    case BANDWIDTH:
        return above_zero("bandwidth", value, &o->bandwidth_gb, err);
    default:
        return mbt_fail(err, MBT_FAILURE, "option %d is not taken", option);
    }
}

static mbt_status take(int option, const char *value, mbtrain_options *o, mbt_error *err)
{
    switch (option) {
    case SET:
        if (o->n_sets == MBTRAIN_SETS_MAX) {
            return mbt_fail(err, MBT_USAGE, "--set: more than %d of them", MBTRAIN_SETS_MAX);
        }
        o->sets[o->n_sets++] = value;
        return MBT_OK;
    case MAX_HOURS:
        if (!mbt_text_to_f64(value, &o->max_hours) || o->max_hours <= 0) {
            return mbt_fail(err, MBT_USAGE, "--max-hours: got \"%s\", wanted hours above 0", value);
        }
        return MBT_OK;
    case FORCE:
        o->force = true;
        return MBT_OK;
    case RESUME:
        o->resume_auto = strcmp(value, "auto") == 0;
        return o->resume_auto ? MBT_OK
                              : mbt_fail(err, MBT_USAGE,
                                         "--resume: got \"%s\", wanted auto (a run is gone on with "
                                         "by: mbtrain resume RUN)",
                                         value);
    case PREDICTIONS:
        o->predictions = value;
        return MBT_OK;
    default:
        return take_measuring(option, value, o, err);
    }
}

/* getopt's '?' and ':'. `word` is the argument that it stumbled over. */
static mbt_status refuse(int answer, const char *word, mbt_error *err)
{
    if (answer == ':') {
        return mbt_fail(err, MBT_USAGE, "%.80s: wants a value; mbtrain --help explains", word);
    }
    const char *names[N_LONGS];
    char name[80];
    const char *start = word + strspn(word, "-");
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "="), start);
    for (int i = 0; i < N_LONGS; i++) {
        names[i] = longs[i].name;
    }
    const int near = mbt_text_nearest(name, names, N_LONGS);
    return mbt_fail(err, MBT_USAGE, "%.80s: unknown option, or one without a value%s%s%s", word,
                    near >= 0 ? " (nearest: --" : "", near >= 0 ? names[near] : "",
                    near >= 0 ? ")" : "");
}

/* An option that the verb would drop is refused. `given`: bit i for longs[i]. */
static mbt_status check_given(unsigned given, const mbtrain_options *o, mbt_error *err)
{
    const unsigned trains = 1u << MBTRAIN_TRAIN | 1u << MBTRAIN_RESUME;
    const unsigned draws = 1u << MBTRAIN_BENCH | 1u << MBTRAIN_PLAN;
    const unsigned belongs[] = {
        [SET - SET] = ~0u,
        [MAX_HOURS - SET] = trains,
        [FORCE - SET] = 1u << MBTRAIN_TRAIN,
        [RESUME - SET] = 1u << MBTRAIN_TRAIN,
        [STEPS - SET] = 1u << MBTRAIN_BENCH,
        [CLASSES - SET] = draws,
        [SIZE - SET] = draws,
        [COMM - SET] = 1u << MBTRAIN_BENCH,
        [JSON - SET] = 1u << MBTRAIN_BENCH,
        [RANKS - SET] = 1u << MBTRAIN_PLAN,
        [NODES - SET] = 1u << MBTRAIN_PLAN,
        [FROM - SET] = 1u << MBTRAIN_PLAN,
        [LATENCY - SET] = 1u << MBTRAIN_PLAN,
        [BANDWIDTH - SET] = 1u << MBTRAIN_PLAN,
        [PREDICTIONS - SET] = 1u << MBTRAIN_EVAL,
    };
    for (int i = 0; i < N_LONGS; i++) {
        if ((given >> i & 1u) != 0 && (belongs[longs[i].val - SET] >> o->verb & 1u) == 0) {
            return mbt_fail(err, MBT_USAGE, "--%s: has no meaning for mbtrain %s", longs[i].name,
                            verb_names[o->verb]);
        }
    }
    if (o->force && o->resume_auto) {
        return mbt_fail(
            err, MBT_USAGE,
            "--force, --resume=auto: got both, wanted one: an old run is moved aside, or "
            "gone on with");
    }
    const unsigned predicting =
        1u << (NODES - SET) | 1u << (FROM - SET) | 1u << (LATENCY - SET) | 1u << (BANDWIDTH - SET);
    if ((given & predicting) != 0 && o->ranks == 0) {
        return mbt_fail(err, MBT_USAGE,
                        "--nodes, --from, --latency, --bandwidth: belong to --ranks, which is not "
                        "given");
    }
    if (o->ranks > 0 && o->nodes > o->ranks) {
        return mbt_fail(err, MBT_USAGE, "--nodes: got %d, wanted at most the %d ranks", o->nodes,
                        o->ranks);
    }
    return MBT_OK;
}

/* The verb, if one is said, and its one argument. */
static mbt_status take_words(int n, char **words, mbtrain_options *o, mbt_error *err)
{
    bool said = false;
    for (int v = 0; v < MBTRAIN_VERBS && n > 0 && !said; v++) {
        said = strcmp(words[0], verb_names[v]) == 0;
        o->verb = said ? (mbtrain_verb)v : o->verb;
    }
    if (!said && n > 1) {
        const int near = mbt_text_nearest(words[0], verb_names, MBTRAIN_VERBS);
        return mbt_fail(err, MBT_USAGE, "%.80s: unknown verb%s%s%s; mbtrain --help lists them",
                        words[0], near >= 0 ? " (nearest: " : "", near >= 0 ? verb_names[near] : "",
                        near >= 0 ? ")" : "");
    }
    if (n != said + 1) {
        return mbt_fail(err, MBT_USAGE, "%s: got %d arguments, wanted one; mbtrain --help explains",
                        verb_names[o->verb], n - said);
    }
    o->target = words[said];
    return MBT_OK;
}

mbt_status mbtrain_options_parse(int argc, char **argv, mbtrain_options *o, mbt_error *err)
{
    *o = (mbtrain_options){.verb = MBTRAIN_TRAIN,
                           .steps = 12,
                           .nodes = 1,
                           .latency_us = LATENCY_US,
                           .bandwidth_gb = BANDWIDTH_GB};
    mbt_status status = MBT_OK;
    unsigned given = 0;
    opterr = 0;
    for (int c, at = 0; status == MBT_OK && (c = getopt_long(argc, argv, ":", longs, &at)) != -1;) {
        if (c == '?' || c == ':') {
            /* Within a word of several letters getopt has not gone on to the next. */
            const char letter[] = {'-', (char)optopt, '\0'};
            status = refuse(c, optopt > 0 && optopt < SET ? letter : argv[optind - 1], err);
        } else {
            given |= 1u << at;
            status = take(c, optarg, o, err);
        }
    }
    if (status == MBT_OK) {
        status = take_words(argc - optind, argv + optind, o, err);
    }
    return status == MBT_OK ? check_given(given, o, err) : status;
}

/* Rank of this process by the launcher's word, 0 without one. */
static int launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID",
                                        "PMI_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = getenv(names[i]);
        int64_t rank;
        if (text != NULL && mbt_text_to_i64(text, &rank)) {
            return (int)rank;
        }
    }
    return 0;
}

bool mbtrain_options_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const bool help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
        const bool keys = strcmp(argv[i], "--help-config") == 0;
        const bool version = strcmp(argv[i], "--version") == 0;
        if (!help && !keys && !version) {
            continue;
        }
        if (launched_rank() == 0 && help) {
            (void)fputs(usage, stdout);
            mbt_arch_list(stdout);
        } else if (launched_rank() == 0 && keys) {
            mbt_config_help(stdout);
        } else if (launched_rank() == 0) {
            print_version("mbtrain", stdout);
        }
        return true;
    }
    return false;
}
