/* `ibid tune cascade`: when an answer of the built-in model is good enough to be given out, out
 * of answers of which it is known whether they were right. */
#include "cli/tune_cascade.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/json_lines.h"
#include "cli/output.h"
#include "config/config.h"
#include "router/cascade_file.h"
#include "router/cascade_training.h"

#define SURE_MAX_BYTES (16 * (size_t)CASCADE_TRAINING_MAX)

static const char usage[] =
    "usage: ibid tune cascade [--test FILE] [--out FILE] [--loss-max L] [--json] OUTCOMES\n"
    "  Learns when an answer of the built-in model is right. OUTCOMES: JSON lines, '-': "
    "standard\n"
    "  input; what route.outcomes_file has collected, or the same with labels of your own:\n"
    "    {\"signs\": {\"log_p\": -0.21, …}, \"small\": 1, \"large\": 1}\n"
    "  'small' and 'large' say how right the answers of the built-in model and the upstream\n"
    "  were, 0 to 1 or a truth value; without 'small' a line is passed over, without 'large'\n"
    "  that one was right. With 'group', a word, the loss is kept to in each group of them.\n"
    "  Figures are of outcomes that were held out.\n"
    "  --test FILE        also how it does on these, from which nothing is learned\n"
    "  --sure FILE        writes P(right) of each of these, a line each\n"
    "  --out FILE         writes what route.cascade names\n"
    "  --loss-max L       right answers that may be lost, of all (route.quality_loss_max)\n"
    "  --models NAMES     whose answers they are, for a warning where it is used for others'\n"
    "  --json             as one JSON object\n"
    "  -c, --config FILE  settings: route.quality_loss_max\n";

struct set {
    struct cascade_outcome *list; /* owned */
    size_t count, room;
    uint64_t unknown; /* passed over */
    char groups[CASCADE_TRAINING_GROUPS][64];
    unsigned group_count;
};

struct job {
    struct config *config;
    const char *path, *test, *sure, *out, *models;
    double loss_max;
    bool json;
    struct set learned, tested;
    struct cascade cascade;
    struct cascade_report report, test_report;
};

/* --- reading ------------------------------------------------------------------------------ */

static bool read_score(const struct json *v, double *out)
{
    bool right;

    if (json_bool(v, &right)) {
        *out = right;
        return true;
    }
    return json_double(v, out) && *out >= 0 && *out <= 1;
}

/* The number of a group. false: there are too many. */
static bool find_group(struct set *s, struct span name, unsigned *out)
{
    for (*out = 0; *out < s->group_count; ++*out) {
        if (span_eq(span_of(s->groups[*out]), name))
            return true;
    }
    if (s->group_count == CASCADE_TRAINING_GROUPS || name.len >= sizeof(s->groups[0]))
        return false;
    snprintf(s->groups[s->group_count++], sizeof(s->groups[0]), "%.*s", (int)name.len,
             name.len > 0 ? name.ptr : "");
    return true;
}

static bool add(struct set *s, const struct cascade_outcome *o)
{
    if (s->count == s->room) {
        size_t room = s->room * 2 + 256;
        struct cascade_outcome *grown = realloc(s->list, room * sizeof(*grown));

        if (grown == NULL)
            return false;
        s->list = grown;
        s->room = room;
    }
    s->list[s->count++] = *o;
    return true;
}

static const char *take_object(void *owner, const struct json *object)
{
    const struct json *small = json_get(object, SPAN("small"));
    const struct json *large = json_get(object, SPAN("large"));
    struct cascade_outcome o = {.large = 1};
    struct set *s = owner;
    const char *wrong = cascade_file_signs(json_get(object, SPAN("signs")), o.signs);

    if (wrong != NULL)
        return wrong;
    if (small == NULL) {
        s->unknown++;
        return NULL;
    }
    if (!read_score(small, &o.small) || (large != NULL && !read_score(large, &o.large)))
        return "'small' and 'large' must be true, false or a number from 0 to 1";
    if (!find_group(s, json_str(json_get(object, SPAN("group"))), &o.group))
        return "'group' is longer than 63 bytes, or there are more than 32 of them";
    if (s->count == CASCADE_TRAINING_MAX)
        return "these are too many outcomes: a hundred thousand at most";
    return add(s, &o) ? NULL : "out of memory";
}

/* --- saying it ---------------------------------------------------------------------------- */

static void print_report(const char *title, const struct set *s, const struct cascade_report *r)
{
    printf("%s: %zu outcomes, %.3f of them right\n", title, s->count, r->right);
    printf("  AUC        %.4f  how well right and wrong ones are told apart (0.5: blindly)\n"
           "  ECE        %.4f  by how much P(right) is off\n"
           "  stays      %.4f  of the answers are given out\n"
           "  lost       %.4f  of all answers are wrong by that\n",
           r->area, r->calibration_error, r->stays, r->lost);
}

static void print_text(const struct job *j)
{
    if (j->learned.unknown > 0)
        printf("passed over: %llu outcomes of which nobody knows whether they were right\n",
               (unsigned long long)j->learned.unknown);
    print_report("held out", &j->learned, &j->report);
    if (j->test != NULL)
        print_report("tested", &j->tested, &j->test_report);
    if (j->report.line > 1)
        printf(
            "\nNo answer is given out: with so few outcomes none is sure to lose no more than "
            "%g.\nMore outcomes tell more.\n",
            j->loss_max);
    else
        printf("\nGood enough is a P(right) of %.3f, for a loss of %g at most.\n",
               j->report.line, j->loss_max);
    printf("\n  given out  lost  P(right) of\n");
    for (int i = 0; i < CURVE_SETTINGS; i += 10) {
        const struct curve_setting *s = &j->cascade.settings[i];

        printf("  %9.2f  %.4f  %.3f\n", 1 - s->large, s->quality, 1 - s->loss);
    }
}

static void write_report(struct json_writer *w, const char *name, const struct set *s,
                         const struct cascade_report *r)
{
    json_writer_open(w, name, '{');
    json_writer_u64(w, "outcomes", s->count);
    json_writer_u64(w, "unknown", s->unknown);
    json_writer_real(w, "right", r->right);
    json_writer_real(w, "auc", r->area);
    json_writer_real(w, "ece", r->calibration_error);
    json_writer_real(w, "line", r->line);
    json_writer_real(w, "stays", r->stays);
    json_writer_real(w, "lost", r->lost);
    json_writer_close(w, '}');
}

static void write_settings(struct json_writer *w, const struct cascade *c)
{
    json_writer_open(w, "settings", '[');
    for (int i = 0; i < CURVE_SETTINGS; i++) {
        json_writer_open(w, NULL, '{');
        json_writer_real(w, "sure", 1 - c->settings[i].loss);
        json_writer_real(w, "stays", 1 - c->settings[i].large);
        json_writer_real(w, "lost", c->settings[i].quality);
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

static void write_json(struct json_writer *w, const void *of)
{
    const struct job *j = of;

    write_report(w, "held_out", &j->learned, &j->report);
    if (j->test != NULL)
        write_report(w, "tested", &j->tested, &j->test_report);
    json_writer_real(w, "loss_max", j->loss_max);
    json_writer_real(w, "penalty", j->report.penalty);
    write_settings(w, &j->cascade);
}

static bool put_file(const char *path, const struct buf *text, enum status st)
{
    if (st == ST_OK)
        return output_file(path, buf_span(text));
    fprintf(stderr, "ibid: out of memory\n");
    return false;
}

static bool write_out(const struct job *j)
{
    struct buf text;
    bool ok;

    buf_init(&text, CASCADE_FILE_MAX_BYTES);
    ok = put_file(j->out, &text, cascade_file_write(&j->cascade, &text));
    buf_release(&text);
    return ok;
}

static bool write_sure(const struct job *j)
{
    enum status st = ST_OK;
    struct buf text;
    bool ok;

    buf_init(&text, SURE_MAX_BYTES);
    for (size_t i = 0; i < j->tested.count && st == ST_OK; i++)
        st = buf_printf(&text, "%.6f\n", cascade_sure(&j->cascade, j->tested.list[i].signs));
    ok = put_file(j->sure, &text, st);
    buf_release(&text);
    return ok;
}

/* --- the command -------------------------------------------------------------------------- */

static bool learn(struct job *j)
{
    size_t n = j->learned.count;
    enum status st =
        cascade_training_run(j->learned.list, n, j->loss_max, &j->cascade, &j->report);

    if (st == ST_OK && j->models != NULL)
        snprintf(j->cascade.models, sizeof(j->cascade.models), "%s", j->models);
    if (st == ST_OK && j->test != NULL && j->tested.count > 0)
        st = cascade_training_test(&j->cascade, j->tested.list, j->tested.count, j->loss_max,
                                   &j->test_report);
    if (st == ST_INVALID && n < CASCADE_TRAINING_MIN)
        fprintf(
            stderr,
            "ibid: %s: %zu outcomes of which it is known whether they were right are too few "
            "to learn from; %d at least\n",
            j->path, n, CASCADE_TRAINING_MIN);
    else if (st == ST_INVALID)
        fprintf(stderr,
                "ibid: %s: there is nothing to learn: all answers were right, or none\n",
                j->path);
    else if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    return st == ST_OK;
}

static int run(struct job *j)
{
    if (!json_lines_read(j->path, take_object, &j->learned) ||
        (j->test != NULL && !json_lines_read(j->test, take_object, &j->tested)))
        return 1;
    if (j->test != NULL && j->tested.count == 0) {
        fprintf(stderr, "ibid: %s: there are no outcomes in it\n", j->test);
        return 1;
    }
    if (!learn(j) || (j->out != NULL && !write_out(j)) || (j->sure != NULL && !write_sure(j)))
        return 1;
    if (!j->json)
        print_text(j);
    else if (!output_json(write_json, j))
        return 1;
    return 0;
}

static bool read_loss(const char *text, double *out)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && *out > 0 && *out <= 1;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *loss_max = NULL;
    struct args a;
    int rc;

    args_init(&a, "tune cascade", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, NULL, "--test", &j->test) ||
                 args_value(&a, NULL, "--sure", &j->sure) ||
                 args_value(&a, NULL, "--models", &j->models) ||
                 args_value(&a, NULL, "--loss-max", &loss_max) ||
                 args_value(&a, NULL, "--out", &j->out))
            continue;
        else if (j->path != NULL || !args_word(&a, &j->path))
            return args_refuse(&a);
    }
    if (j->path == NULL || (j->sure != NULL && j->test == NULL))
        return args_refuse(&a);
    rc = config_load_file(file, j->config);
    j->loss_max = j->config->route.quality_loss_max;
    if (rc < 0 && loss_max != NULL && !read_loss(loss_max, &j->loss_max)) {
        fprintf(stderr, "ibid tune cascade: --loss-max: '%s' is no number above 0, up to 1\n",
                loss_max);
        return EXIT_USAGE;
    }
    if (rc < 0 && j->models != NULL && strlen(j->models) >= CASCADE_MODELS_MAX) {
        fprintf(stderr, "ibid tune cascade: --models: these names are too long\n");
        return EXIT_USAGE;
    }
    return rc;
}

int tune_cascade_main(int argc, char **argv)
{
    struct job *j = calloc(1, sizeof(*j));
    int rc = 1;

    if (j != NULL)
        j->config = calloc(1, sizeof(*j->config));
    if (j != NULL && j->config != NULL) {
        rc = parse(j, argc, argv);
        if (rc < 0)
            rc = run(j);
        free(j->learned.list);
        free(j->tested.list);
        free(j->config);
    }
    free(j);
    return rc;
}
