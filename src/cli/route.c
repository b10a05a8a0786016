/* `ibid route explain`: which tier a question would go to, and why. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json_writer.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/embed_texts.h"
#include "cli/router_default.h"
#include "cli/output.h"
#include "config/config.h"
#include "config/config_models.h"
#include "protocol/protocol.h"
#include "proxy/routing.h"
#include "router/classifier_file.h"
#include "router/features.h"

#define SHOWN         5 /* features, examples */
#define EXAMPLE_BYTES 70

static const char usage[] =
    "usage: ibid route explain [--model NAME] [--json] [-c FILE] TEXT\n"
    "  Which tier a question would go to, the built-in model or the upstream, and why: the "
    "rule\n"
    "  it meets, what was learned of texts like it, and the labelled questions next to it.\n"
    "  --model NAME       the model that the request names (the first of route.models)\n"
    "  --json             as one JSON object\n"
    "  -c, --config FILE  settings: route.*, routes, encoder.*\n";

struct near {
    const struct classifier_example *example;
    double similarity;
};

struct part {
    enum feature feature;
    double adds; /* to log(p / (1 - p)) of "the large model answers better" */
};

struct job {
    struct config *config;
    const char *model, *text;
    bool json;
    char named[128];
    struct routing *routing;
    struct routing_verdict verdict;
    bool judged;
    struct classifier_verdict judgement;
    float *vector; /* owned; NULL: none */
    size_t dimensions;
    double vector_adds;
    struct part parts[FEATURES_COUNT];
    struct arena arena;
    struct buf file;
    struct near nearest[SHOWN];
    size_t near_count;
};

/* --- finding out -------------------------------------------------------------------------- */

/* A pattern is no name, but it meets itself. */
static const char *first_model(struct job *j)
{
    struct span list = span_of(j->config->route.models), word = config_word(&list);

    snprintf(j->named, sizeof(j->named), "%.*s", (int)word.len, word.len > 0 ? word.ptr : "");
    return j->named;
}

static bool embed(struct job *j, char *encoder, size_t cap)
{
    struct span text = span_of(j->text);
    enum status each;

    if (!embed_texts_each(j->config, NULL, &text, 1, &j->vector, &j->dimensions, &each, encoder,
                          cap))
        return false;
    if (each != ST_OK) {
        free(j->vector);
        j->vector = NULL;
    }
    return true;
}

static int by_size(const void *a, const void *b)
{
    double x = fabs(((const struct part *)a)->adds), y = fabs(((const struct part *)b)->adds);

    return (x < y) - (x > y);
}

/* What each feature adds beyond what it usually does. */
static void weigh(struct job *j, const struct classifier *c, bool with)
{
    const struct classifier_side *s =
        with ? &c->with_vector[CLASSIFIER_LARGE_BETTER] : &c->without[CLASSIFIER_LARGE_BETTER];
    double f[FEATURES_COUNT];

    features_of(span_of(j->text), f);
    for (int i = 0; i < FEATURES_COUNT; i++)
        j->parts[i] = (struct part){(enum feature)i, s->feature[i] * (f[i] - c->usual[i])};
    qsort(j->parts, FEATURES_COUNT, sizeof(*j->parts), by_size);
}

static void keep_near(struct job *j, const struct classifier_example *e, double similarity)
{
    size_t at = j->near_count < SHOWN ? j->near_count++ : SHOWN;

    if (at == SHOWN && similarity <= j->nearest[SHOWN - 1].similarity)
        return;
    at = at == SHOWN ? SHOWN - 1 : at;
    for (; at > 0 && j->nearest[at - 1].similarity < similarity; at--)
        j->nearest[at] = j->nearest[at - 1];
    j->nearest[at] = (struct near){e, similarity};
}

/* false: said on stderr. */
static bool find_near(struct job *j, const struct classifier *c)
{
    const char *path = j->config->route.classifier;
    struct classifier_example *e = NULL;
    size_t count = 0;
    FILE *f;

    if (strcmp(path, "default") == 0 || (f = fopen(path, "re")) == NULL)
        return true;
    for (char piece[16384]; !feof(f) && !ferror(f);) {
        size_t n = fread(piece, 1, sizeof(piece), f);

        if (buf_append(&j->file, (struct span){piece, n}) != ST_OK)
            break;
    }
    fclose(f);
    if (classifier_file_examples(buf_span(&j->file), c->dimensions, &j->arena, &e, &count) !=
        ST_OK) {
        fprintf(stderr, "ibid: %s: its labelled questions can not be read\n", path);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        double dot = 0;

        for (size_t k = 0; k < j->dimensions; k++)
            dot += (double)j->vector[k] * (double)e[i].vector[k];
        keep_near(j, &e[i], dot);
    }
    return true;
}

/* false: said on stderr. */
static bool judge(struct job *j, const char *encoder)
{
    const struct classifier *c = routing_classifier(j->routing);
    bool with = c != NULL && j->vector != NULL && c->dimensions == j->dimensions &&
                strcmp(c->encoder, encoder) == 0;

    if (c == NULL) {
        j->verdict.tier = routing_judge(j->routing, NULL, span_of(j->text), &j->judgement);
        return true;
    }
    j->judged = true;
    j->verdict.tier =
        routing_judge(j->routing, with ? j->vector : NULL, span_of(j->text), &j->judgement);
    weigh(j, c, with);
    return !with || find_near(j, c);
}

static int find_out(struct job *j)
{
    struct chat_turn turn = {SPAN("user"), span_of(j->text)};
    struct chat_request chat = {.model = span_of(j->model != NULL ? j->model : first_model(j)),
                                .turns = &turn,
                                .turn_count = 1,
                                .last_text = span_of(j->text),
                                .choices = 1};
    struct routing_wish wish = {.chat = &chat, .serves = true};
    bool needs = strcmp(j->config->encoder.model, "off") != 0 &&
                 j->config->encoder.model[0] != '\0' &&
                 j->config->cache.semantic != SEMANTIC_OFF;
    char encoder[CLASSIFIER_ENCODER_MAX] = "", why[256];

    if (needs && !embed(j, encoder, sizeof(encoder)))
        return 1;
    if (routing_open(j->config, span_of(router_default), span_of(encoder), &j->routing, why,
                     sizeof(why)) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", why);
        return EXIT_USAGE;
    }
    if (why[0] != '\0')
        fprintf(stderr, "ibid: %s\n", why);
    if (j->routing == NULL) {
        fprintf(stderr, "ibid: nothing is routed: set route.models or routes\n");
        return EXIT_USAGE;
    }
    j->verdict = routing_settle(j->routing, &wish, routing_rule(j->routing, &wish));
    return j->verdict.tier != ROUTING_OPEN || judge(j, encoder) ? 0 : 1;
}

/* --- saying it ---------------------------------------------------------------------------- */

static const char *tier_of(const struct job *j)
{
    switch (j->verdict.tier) {
    case ROUTING_LOCAL:
        return "local";
    case ROUTING_UPSTREAM:
        return "upstream";
    case ROUTING_NONE:
    case ROUTING_OPEN:
        break;
    }
    return "as the request's model says";
}

/* Which of several models here it would be; "": there is one, or it is none of them. */
static const char *model_of(const struct job *j, struct config_model *m)
{
    if (j->verdict.tier != ROUTING_LOCAL || j->verdict.model == ROUTING_ANY ||
        config_models_count(j->config) < 2)
        return "";
    config_models_get(j->config, j->verdict.model, m);
    return m->name;
}

static int shown(struct span s)
{
    size_t n = s.len < EXAMPLE_BYTES ? s.len : EXAMPLE_BYTES;

    /* No half character. */
    while (n > 0 && n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
        n--;
    return (int)n;
}

static void print_text(const struct job *j)
{
    struct config_model m;
    const char *model = model_of(j, &m);

    printf("%s; reason=%s", tier_of(j), j->verdict.reason != NULL ? j->verdict.reason : "none");
    if (j->verdict.rule != NULL)
        printf("; rule=%s", j->verdict.rule);
    if (model[0] != '\0')
        printf("; model=%s", model);
    printf("\n");
    if (!j->judged)
        return;
    printf("\n  P(the small one is enough)  %.3f\n  quality it may cost         %.3f   the "
           "upstream "
           "is asked above %.3f\n\n  what speaks for the large model (+), or against it (-)\n",
           j->judgement.enough, j->judgement.loss, routing_line(j->routing));
    for (int i = 0; i < SHOWN; i++)
        printf("  %+7.3f  %s\n", j->parts[i].adds, features_name(j->parts[i].feature));
    if (j->near_count > 0)
        printf("\n  nearest labelled questions: cosine, small, large\n");
    for (size_t i = 0; i < j->near_count; i++) {
        const struct classifier_example *e = j->nearest[i].example;

        printf("  %6.3f  %4.2f  %4.2f  ", j->nearest[i].similarity, e->small, e->large);
        for (int k = 0; k < shown(e->text); k++)
            putchar(e->text.ptr[k] < ' ' && e->text.ptr[k] >= 0 ? ' ' : e->text.ptr[k]);
        putchar('\n');
    }
}

static void write_judgement(struct json_writer *w, const struct job *j)
{
    json_writer_real(w, "enough", j->judgement.enough);
    json_writer_real(w, "loss", j->judgement.loss);
    json_writer_real(w, "line", routing_line(j->routing));
    json_writer_open(w, "features", '{');
    for (int i = 0; i < FEATURES_COUNT; i++)
        json_writer_real(w, features_name(j->parts[i].feature), j->parts[i].adds);
    json_writer_close(w, '}');
    json_writer_open(w, "nearest", '[');
    for (size_t i = 0; i < j->near_count; i++) {
        json_writer_open(w, NULL, '{');
        json_writer_text(w, "text", j->nearest[i].example->text);
        json_writer_real(w, "similarity", j->nearest[i].similarity);
        json_writer_real(w, "small", j->nearest[i].example->small);
        json_writer_real(w, "large", j->nearest[i].example->large);
        json_writer_close(w, '}');
    }
    json_writer_close(w, ']');
}

static void write_json(struct json_writer *w, const void *of)
{
    const struct job *j = of;
    struct config_model m;
    const char *model = model_of(j, &m);

    json_writer_text(w, "tier", span_of(tier_of(j)));
    json_writer_text(w, "reason",
                     span_of(j->verdict.reason != NULL ? j->verdict.reason : "none"));
    if (j->verdict.rule != NULL)
        json_writer_text(w, "rule", span_of(j->verdict.rule));
    if (model[0] != '\0')
        json_writer_text(w, "model", span_of(model));
    if (j->judged)
        write_judgement(w, j);
}

/* --- the command -------------------------------------------------------------------------- */

static int parse(struct job *j, int argc, char **argv)
{
    const char *file = NULL, *verb = NULL;
    struct args a;

    args_init(&a, "route", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--json"))
            j->json = true;
        else if (args_value(&a, "-c", "--config", &file) ||
                 args_value(&a, NULL, "--model", &j->model))
            continue;
        else if (j->text != NULL || !args_word(&a, verb == NULL ? &verb : &j->text))
            return args_refuse(&a);
    }
    if (j->text == NULL || strcmp(verb, "explain") != 0)
        return args_refuse(&a);
    return config_load_file(file, j->config);
}

static int run(struct job *j)
{
    int rc = find_out(j);

    if (rc != 0)
        return rc;
    if (!j->json)
        print_text(j);
    else if (!output_json(write_json, j))
        return 1;
    return 0;
}

int route_main(int argc, char **argv)
{
    struct job *j = calloc(1, sizeof(*j));
    int rc = 1;

    if (j != NULL)
        j->config = calloc(1, sizeof(*j->config));
    if (j != NULL && j->config != NULL) {
        arena_init(&j->arena, 65536, 4 * CLASSIFIER_FILE_MAX_BYTES);
        buf_init(&j->file, CLASSIFIER_FILE_MAX_BYTES);
        rc = parse(j, argc, argv);
        if (rc < 0)
            rc = run(j);
        routing_close(j->routing);
        free(j->vector);
        buf_release(&j->file);
        arena_release(&j->arena);
        free(j->config);
    }
    free(j);
    return rc;
}
