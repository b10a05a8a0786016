/* `ibid cache export --for finetune`: what is stored, as examples to train a model with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cache/entry.h"
#include "cache/store.h"
#include "cli/args.h"
#include "cli/cache_parts.h"
#include "cli/cache_verbs.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/finetune.h"
#include "cli/finetune_write.h"
#include "cli/local_judge.h"
#include "cli/progress.h"
#include "config/config.h"
#include "privacy/finder.h"
#include "proxy/judge_case.h"
#include "rt/loop.h"

#define ROWS_DEFAULT "20000"

static const char usage[] =
    "usage: ibid cache export --for finetune -o FOLDER [--licence WORD] …\n"
    "  Writes stored questions and answers as examples to train a model with:\n"
    "  train.* and heldout.*, of each chat.jsonl (OpenAI), alpaca.jsonl and, line for line,\n"
    "  provenance.jsonl (who answered, when, under which licence, who judged); summary.json\n"
    "  says what was left out and why. What a question stood after (a system prompt, earlier\n"
    "  turns) is not stored, so not in them.\n"
    "  -o, --output FOLDER  there; no file is replaced\n"
    "  --licence WORD       under which terms the answers may be used (export.licence)\n"
    "  --format FORM        chat, alpaca or both (default)\n"
    "  --system TEXT        put before each question\n"
    "  --held-out SHARE     of the examples, for tests (0.1)\n"
    "  --near COSINE        questions that are so near are held out together or not at all,\n"
    "                       and of those that ask the same one is kept (0.9)\n"
    "  --partition-min N    of partitions with fewer questions none is taken: most of them "
    "are\n"
    "                       the later turns of one conversation (2)\n"
    "  --partition HEX      only of the partition that begins so\n"
    "  --tenant HEX         only of the tenant that begins so\n"
    "  --judge rules|local  local: a model on this machine, too, says whether an answer is "
    "one\n"
    "                       (judge.local_model; judge.sure)\n"
    "  --rows-max N         examples that are compared (20000)\n"
    "  -q, --quiet          say only what goes wrong\n"
    "  -c, --config FILE    settings (store, data_dir, export, judge, privacy_patterns)\n";

struct job {
    struct config *config;
    struct finetune_options options;
    struct finetune_files files;
    struct finetune rows;
    struct finder *finder;
    struct progress progress;
    const char *judge, *format;
    bool quiet, scanned;
    enum status st, scan_st;
};

/* --- reading the store -------------------------------------------------------------------- */

/* On the store's thread, while the loop's waits. */
static bool on_entry(void *owner, struct entry *e)
{
    struct job *j = owner;

    j->st = finetune_add(&j->rows, e);
    progress_say(&j->progress, "%zu of %llu entries", j->rows.count,
                 (unsigned long long)j->rows.seen);
    return j->st == ST_OK;
}

static void on_scanned(void *owner, enum status st, uint64_t entries)
{
    struct job *j = owner;

    (void)entries;
    j->scanned = true;
    j->scan_st = st;
}

static bool complain(const char *what, enum status st)
{
    fprintf(stderr, "ibid: %s: %s\n", what, status_text(st));
    return false;
}

static bool scan(struct job *j)
{
    const struct timespec pause = {0, 1000000};
    struct cache_parts p = {.config = j->config};
    bool ok = cache_parts_open_store(&p, j->config);

    if (ok) {
        enum status st = p.store->ops->scan(p.store, on_entry, on_scanned, j);

        while (st == ST_OK && !j->scanned) {
            (void)loop_turn(p.loop);
            nanosleep(&pause, NULL);
        }
        if (st == ST_OK)
            st = j->st != ST_OK ? j->st : j->scan_st;
        ok = st == ST_OK || complain("the store can not be read whole", st);
    }
    progress_end(&j->progress);
    cache_parts_close(&p);
    return ok;
}

/* --- what is done with it ----------------------------------------------------------------- */

/* All that is known to be personal or secret, whatever the rules for requests are; of dates
 * there are too many that are neither. */
static bool open_finder(struct job *j)
{
    const struct config *c = j->config;
    struct finder_pattern patterns[CONFIG_PATTERNS_MAX];
    struct finder_options o = {.patterns = patterns, .pattern_count = c->pattern_count};
    char why[256] = "no memory";

    for (unsigned k = 0; k < PRIVACY_PATTERN; k++) {
        if (k != PRIVACY_DATE)
            o.classes |= PRIVACY_BIT(k);
    }
    for (size_t i = 0; i < c->pattern_count; i++)
        patterns[i] = (struct finder_pattern){c->patterns[i].name, c->patterns[i].regex};
    if (finder_open(&o, &j->finder, why, sizeof(why)) == ST_OK)
        return true;
    fprintf(stderr, "ibid: privacy_patterns: %s\n", why);
    return false;
}

static bool judge_rows(struct job *j, struct local_judge *judge)
{
    double no = 1 - j->config->judge.sure;

    for (size_t i = 0; i < j->rows.count; i++) {
        struct finetune_row *row = &j->rows.rows[i];
        struct judge_case c = {JUDGE_ANSWERS, row->question, row->answer};
        enum status st = row->left != NULL ? ST_OK : local_judge_ask(judge, &c, &row->answers);

        if (st != ST_OK && st != ST_LIMIT)
            return complain("the judge", st);
        if (row->left == NULL && row->answers >= 0 && row->answers <= no)
            finetune_leave(&j->rows, row, "judged_no");
        progress_say(&j->progress, "%zu of %zu judged", i + 1, j->rows.count);
    }
    progress_end(&j->progress);
    return true;
}

static bool judge(struct job *j)
{
    struct local_judge *judge;
    bool ok;

    if (strcmp(j->judge, "local") != 0)
        return true;
    if (!local_judge_open(j->config, NULL, &judge))
        return false;
    j->files.judge = j->config->judge.local_model[0] != '\0' ? j->config->judge.local_model
                                                             : j->config->local.model;
    ok = judge_rows(j, judge);
    local_judge_close(judge);
    return ok;
}

static void tell(const struct job *j, const struct finetune_written *w)
{
    if (j->quiet)
        return;
    fprintf(stderr, "%llu examples, %llu held out, of %llu entries\n",
            (unsigned long long)w->train, (unsigned long long)w->held_out,
            (unsigned long long)j->rows.seen);
    for (size_t i = 0; i < FINETUNE_REASONS_MAX && j->rows.left[i].name != NULL; i++)
        fprintf(stderr, "  left out: %-15s %llu\n", j->rows.left[i].name,
                (unsigned long long)j->rows.left[i].count);
}

static int run(struct job *j)
{
    struct finetune_written written;
    int rc = 1;

    progress_init(&j->progress, j->quiet);
    if (!open_finder(j))
        return 1;
    j->options.finder = j->finder;
    finetune_init(&j->rows, &j->options);
    if (scan(j)) {
        enum status st = finetune_choose(&j->rows);

        if (st != ST_OK)
            (void)complain("the examples", st);
        else if (judge(j) && finetune_write(&j->rows, &j->files, &written))
            rc = 0;
    }
    if (rc == 0)
        tell(j, &written);
    finetune_release(&j->rows);
    finder_close(j->finder);
    return rc;
}

/* --- the command line --------------------------------------------------------------------- */

static int refuse(const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "ibid cache export: %s: '%s' is %s\n", option, text, wanted);
    return EXIT_USAGE;
}

static bool read_share(const char *text, double *out)
{
    char *end;
    double v = strtod(text, &end);

    if (end == text || *end != '\0' || !(v >= 0 && v <= 1))
        return false;
    *out = v;
    return true;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whole bytes of a digest, from its beginning. */
static bool read_digest(const char *text, struct digest *out, size_t *bytes)
{
    size_t n = strlen(text);

    if (n == 0 || n % 2 != 0 || n > 2 * DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        int high = hex_value(text[i]), low = hex_value(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    *bytes = n / 2;
    return true;
}

struct texts {
    const char *purpose, *config, *licence, *held_out, *near, *least, *most, *tenant,
        *partition;
};

static bool take(struct job *j, struct args *a, struct texts *t)
{
    return args_value(a, NULL, "--for", &t->purpose) ||
           args_value(a, "-o", "--output", &j->files.folder) ||
           args_value(a, "-c", "--config", &t->config) ||
           args_value(a, NULL, "--licence", &t->licence) ||
           args_value(a, NULL, "--format", &j->format) ||
           args_value(a, NULL, "--system", &j->files.system) ||
           args_value(a, NULL, "--held-out", &t->held_out) ||
           args_value(a, NULL, "--near", &t->near) ||
           args_value(a, NULL, "--partition-min", &t->least) ||
           args_value(a, NULL, "--rows-max", &t->most) ||
           args_value(a, NULL, "--tenant", &t->tenant) ||
           args_value(a, NULL, "--partition", &t->partition) ||
           args_value(a, NULL, "--judge", &j->judge);
}

/* Numbers and words. -1: all are right. */
static int read_texts(struct job *j, const struct texts *t)
{
    struct finetune_options *o = &j->options;
    uint64_t least, most;

    if (strcmp(t->purpose, "finetune") != 0)
        return refuse("--for", t->purpose, "unknown: finetune is all there is");
    if (strcmp(j->judge, "rules") != 0 && strcmp(j->judge, "local") != 0)
        return refuse("--judge", j->judge, "neither rules nor local");
    j->files.chat = strcmp(j->format, "alpaca") != 0;
    j->files.alpaca = strcmp(j->format, "chat") != 0;
    if (j->files.chat && j->files.alpaca && strcmp(j->format, "both") != 0)
        return refuse("--format", j->format, "none of chat, alpaca and both");
    if (!read_share(t->held_out, &o->held_out))
        return refuse("--held-out", t->held_out, "no number between 0 and 1");
    if (!read_share(t->near, &o->near) || o->near < 0.5)
        return refuse("--near", t->near, "no number between 0.5 and 1");
    if (!args_number(t->least, 1, FINETUNE_ROWS_MAX, &least))
        return refuse("--partition-min", t->least, "no number from 1 on");
    if (!args_number(t->most, 1, FINETUNE_ROWS_MAX, &most))
        return refuse("--rows-max", t->most, "no number between 1 and 200000");
    o->one_tenant = t->tenant != NULL;
    o->one_partition = t->partition != NULL;
    if (o->one_tenant && !read_digest(t->tenant, &o->tenant, &o->tenant_bytes))
        return refuse("--tenant", t->tenant, "not whole bytes in hexadecimal digits");
    if (o->one_partition && !read_digest(t->partition, &o->partition, &o->partition_bytes))
        return refuse("--partition", t->partition, "not whole bytes in hexadecimal digits");
    o->partition_min = (size_t)least;
    o->rows_max = (size_t)most;
    return -1;
}

/* Many an API forbids to train with what it said: nobody but the operator knows. */
static int settle_licence(struct job *j, const char *licence)
{
    j->options.licence = licence != NULL ? licence : j->config->export.licence;
    j->options.licences = j->config->export.licences;
    if (j->options.licence[0] != '\0' || j->options.licences[0] != '\0')
        return -1;
    fprintf(stderr, "ibid cache export: under which terms may these answers be used to train a "
                    "model? Say it with --licence, or set export.licence or export.licences\n");
    return EXIT_USAGE;
}

static int parse(struct job *j, int argc, char **argv)
{
    struct texts t = {
        .purpose = "", .held_out = "0.1", .near = "0.9", .least = "2", .most = ROWS_DEFAULT};
    struct args a;
    int rc;

    args_init(&a, "cache export", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, "-q", "--quiet"))
            j->quiet = true;
        else if (!take(j, &a, &t))
            return args_refuse(&a);
    }
    if (j->files.folder == NULL)
        return args_refuse(&a);
    rc = read_texts(j, &t);
    if (rc < 0)
        rc = config_load_file(t.config, j->config);
    return rc < 0 ? settle_licence(j, t.licence) : rc;
}

int cache_finetune_main(int argc, char **argv)
{
    struct job *j = calloc(1, sizeof(*j));
    int rc = 1;

    if (j != NULL)
        j->config = calloc(1, sizeof(*j->config));
    if (j != NULL && j->config != NULL) {
        j->judge = "rules";
        j->format = "both";
        rc = parse(j, argc, argv);
        if (rc < 0)
            rc = run(j);
        free(j->config);
    }
    free(j);
    return rc;
}
