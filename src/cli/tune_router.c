/* `ibid tune router`: a classifier of questions that a small model answers as well as a large
 * one, out of questions of which that is known. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_writer.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/embed_texts.h"
#include "cli/tune_labels.h"
#include "cli/tune_router.h"
#include "cli/output.h"
#include "config/config.h"
#include "router/classifier_file.h"
#include "router/training.h"

#define EXAMPLES_KEPT 200

static const char usage[] =
    "usage: ibid tune router [--test FILE] [--out FILE] [--json] [-m MODEL] [-c FILE] LABELS\n"
    "  Learns for which questions a small model is enough. LABELS: JSON lines, '-': standard\n"
    "  input; how well either model answered, 0 to 1 or a truth value:\n"
    "    {\"prompt\": \"What is the capital of France?\", \"small\": 1, \"large\": 1}\n"
    "  Without 'large' that one was right. Or what route.outcomes_file has written, with its\n"
    "  texts (route.outcomes: texts). Figures are of questions that were held out.\n"
    "  --test FILE        also how it does on these, from which nothing is learned\n"
    "  --out FILE         writes the classifier: what route.classifier names\n"
    "  --examples N       questions kept in it, for 'ibid route explain' to show (200; 0: "
    "none)\n"
    "  --no-encoder       learn from what the text shows alone\n"
    "  --json             as one JSON object\n"
    "  -m, --model MODEL  a name or a path (encoder.model)\n"
    "  -c, --config FILE  settings: encoder.*\n";

/* Labels and their vectors. */
struct set {
    struct tune_labels labels;
    float *vectors; /* owned; NULL: none */
    size_t with_vector;
    bool opened;
};

struct job {
    struct config *config;
    const char *model, *path, *test, *out;
    bool json, no_encoder;
    uint64_t examples;
    struct set learned, tested;
    char encoder[CLASSIFIER_ENCODER_MAX];
    size_t dimensions;
    struct classifier classifier;
    struct training_report report, test_report;
};

/* --- reading and embedding ---------------------------------------------------------------- */

static bool embed(struct job *j, struct set *s)
{
    size_t n = s->labels.count;
    struct span *texts = calloc(n, sizeof(*texts));
    enum status *each = calloc(n, sizeof(*each));
    bool ok = false;

    if (texts == NULL || each == NULL) {
        fprintf(stderr, "ibid: out of memory\n");
    } else {
        for (size_t i = 0; i < n; i++)
            texts[i] = s->labels.list[i].text;
        ok = embed_texts_each(j->config, j->model, texts, n, &s->vectors, &j->dimensions, each,
                              j->encoder, sizeof(j->encoder));
    }
    for (size_t i = 0; ok && i < n; i++) {
        if (each[i] != ST_OK)
            continue;
        s->labels.list[i].vector = s->vectors + i * j->dimensions;
        s->with_vector++;
    }
    free(texts);
    free(each);
    return ok;
}

static bool take(struct job *j, const char *path, struct set *s)
{
    s->opened = true;
    return tune_labels_read(path, &s->labels) && (j->no_encoder || embed(j, s));
}

static void set_release(struct set *s)
{
    if (s->opened)
        tune_labels_release(&s->labels);
    free(s->vectors);
}

/* --- the file ----------------------------------------------------------------------------- */

/* Some, from all parts of the list, that have a vector. */
static size_t pick_examples(const struct job *j, struct classifier_example *out)
{
    const struct tune_labels *l = &j->learned.labels;
    size_t n = 0, want = j->examples < l->count ? (size_t)j->examples : l->count;

    for (size_t k = 0; k < want && j->dimensions > 0; k++) {
        const struct training_example *e = &l->list[k * l->count / want];

        if (e->vector != NULL)
            out[n++] = (struct classifier_example){e->text, e->small, e->large, e->vector};
    }
    return n;
}

static bool write_classifier(const struct job *j)
{
    struct classifier_example *examples = calloc(j->examples + 1, sizeof(*examples));
    struct buf text;
    bool ok = false;

    buf_init(&text, CLASSIFIER_FILE_MAX_BYTES);
    if (examples == NULL || classifier_file_write(&j->classifier, examples,
                                                  pick_examples(j, examples), &text) != ST_OK)
        fprintf(stderr, "ibid: the classifier is larger than %zu MB; give --examples less\n",
                CLASSIFIER_FILE_MAX_BYTES >> 20);
    else
        ok = output_file(j->out, buf_span(&text));
    buf_release(&text);
    free(examples);
    return ok;
}

/* --- saying it ---------------------------------------------------------------------------- */

static void print_report(const char *title, const struct set *s,
                         const struct training_report *r)
{
    printf("%s: %zu questions, %zu with a vector\n", title, s->labels.count, s->with_vector);
    if (isnan(r->worth.apgr)) {
        printf("  the large model was not the better one: there is no gap to make good\n");
    } else {
        printf(
            "  APGR       %.4f  of the gap between the models, made good on average (0.5: "
            "blindly)\n"
            "  CPT(50 %%)  %.4f  of the questions must go to the large model for half of it\n",
            r->worth.apgr, r->worth.cpt50);
    }
    printf("  ECE        %.4f  by how much P(the small one is enough) is off\n",
           r->calibration_error);
}

static void print_settings(const struct classifier *c)
{
    printf("\n  to the large model  quality lost to asking it always\n");
    for (int i = 0; i < CURVE_SETTINGS; i += 10)
        printf("  %18.2f  %.4f\n", c->settings[i].large, c->settings[i].quality);
}

static void print_text(const struct job *j)
{
    print_report("held out", &j->learned, &j->report);
    if (j->test != NULL)
        print_report("tested", &j->tested, &j->test_report);
    print_settings(&j->classifier);
}

static void write_report(struct json_writer *w, const char *name, const struct set *s,
                         const struct training_report *r)
{
    json_writer_open(w, name, '{');
    json_writer_u64(w, "questions", s->labels.count);
    json_writer_u64(w, "with_vector", s->with_vector);
    if (!isnan(r->worth.apgr)) {
        json_writer_real(w, "apgr", r->worth.apgr);
        json_writer_real(w, "cpt50", r->worth.cpt50);
    }
    json_writer_real(w, "ece", r->calibration_error);
    json_writer_close(w, '}');
}

static void write_json(struct json_writer *w, const void *of)
{
    const struct job *j = of;

    write_report(w, "held_out", &j->learned, &j->report);
    if (j->test != NULL)
        write_report(w, "tested", &j->tested, &j->test_report);
    json_writer_real(w, "feature_penalty", j->report.feature_penalty);
    json_writer_real(w, "vector_penalty", j->report.vector_penalty);
    json_writer_open(w, "settings", '[');
    for (int i = 0; i < CURVE_SETTINGS; i++) {
        json_writer_open(w, NULL, '{');
        json_writer_real(w, "loss", j->classifier.settings[i].loss);
        json_writer_real(w, "large", j->classifier.settings[i].large);
        json_writer_real(w, "quality_lost", j->classifier.settings[i].quality);
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

/* --- the command -------------------------------------------------------------------------- */

static bool learn(struct job *j)
{
    enum status st =
        training_run(j->learned.labels.list, j->learned.labels.count, (uint32_t)j->dimensions,
                     j->encoder, &j->classifier, &j->report);

    if (st == ST_OK && j->test != NULL)
        st = training_test(&j->classifier, j->tested.labels.list, j->tested.labels.count,
                           &j->test_report);
    if (st == ST_INVALID && j->learned.labels.count < TRAINING_MIN)
        fprintf(stderr, "ibid: %s: %zu questions are too few to learn from; %d at least\n",
                j->path, j->learned.labels.count, TRAINING_MIN);
    else if (st == ST_INVALID)
        fprintf(stderr,
                "ibid: %s: there is nothing to learn: both models did equally well on "
                "every question\n",
                j->path);
    else if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", status_text(st));
    return st == ST_OK;
}

static int run(struct job *j)
{
    if (!take(j, j->path, &j->learned) || (j->test != NULL && !take(j, j->test, &j->tested)) ||
        !learn(j))
        return 1;
    if (j->out != NULL && !write_classifier(j))
        return 1;
    if (!j->json)
        print_text(j);
    else if (!output_json(write_json, j))
        return 1;
    return 0;
}

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *examples = NULL;
    struct args a;

    args_init(&a, "tune router", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_flag(&a, NULL, "--no-encoder"))
            j->no_encoder = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, "-m", "--model", &j->model) ||
                 args_value(&a, NULL, "--test", &j->test) ||
                 args_value(&a, NULL, "--examples", &examples) ||
                 args_value(&a, NULL, "--out", &j->out))
            continue;
        else if (j->path != NULL || !args_word(&a, &j->path))
            return args_refuse(&a);
    }
    if (j->path == NULL ||
        (examples != NULL && !args_number(examples, 0, TRAINING_MAX, &j->examples)))
        return args_refuse(&a);
    return config_load_file(file, j->config);
}

int tune_router_main(int argc, char **argv)
{
    struct job *j = calloc(1, sizeof(*j));
    int rc = 1;

    if (j != NULL)
        j->config = calloc(1, sizeof(*j->config));
    if (j != NULL && j->config != NULL) {
        j->examples = EXAMPLES_KEPT;
        rc = parse(j, argc, argv);
        if (rc < 0) {
            rc = run(j);
            set_release(&j->learned);
            set_release(&j->tested);
            classifier_release(&j->classifier);
        }
        free(j->config);
    }
    free(j);
    return rc;
}
