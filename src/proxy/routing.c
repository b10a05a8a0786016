#include "proxy/routing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/config_models.h"
#include "http/head.h"
#include "protocol/protocol.h"
#include "proxy/conditions.h"
#include "proxy/ladder.h"
#include "proxy/regex.h"
#include "proxy/trial.h"
#include "router/classifier_file.h"

struct routing {
    const struct config *config;            /* borrowed */
    struct regex *regex[CONFIG_ROUTES_MAX]; /* owned; of each rule, NULL: none */
    bool has_classifier;
    bool has_vectors; /* of the encoder that the classifier knows */
    struct classifier classifier;
    double line;
    struct ladder ladder;
};

/* --- opening ------------------------------------------------------------------------------ */

static enum status read_file(const char *path, struct buf *out, char *why, size_t why_cap)
{
    char piece[16384];
    FILE *f = fopen(path, "re");
    enum status st = f != NULL ? ST_OK : ST_UNAVAILABLE;
    size_t n;

    while (st == ST_OK && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        st = buf_append(out, (struct span){piece, n});
    if (f != NULL) {
        if (ferror(f))
            st = ST_UNAVAILABLE;
        fclose(f);
    }
    if (st != ST_OK)
        snprintf(why, why_cap, "route.classifier: '%s' %s", path,
                 st == ST_UNAVAILABLE ? "can not be read" : "is too large");
    return st;
}

static enum status read_classifier(struct routing *r, struct span text, const char *name,
                                   char *why, size_t why_cap)
{
    char trouble[160];
    enum status st = classifier_file_read(text, &r->classifier, trouble, sizeof(trouble));

    r->has_classifier = st == ST_OK;
    if (st != ST_OK)
        snprintf(why, why_cap, "route.classifier: '%s': %s", name, trouble);
    return st;
}

static enum status open_classifier(struct routing *r, struct span default_text, char *why,
                                   size_t why_cap)
{
    const char *name = r->config->route.classifier;
    struct buf file;
    enum status st;

    if (name[0] == '\0' || strcmp(name, "off") == 0)
        return ST_OK;
    if (strcmp(name, "default") == 0)
        return default_text.len > 0 ? read_classifier(r, default_text, name, why, why_cap)
                                    : ST_OK;
    buf_init(&file, CLASSIFIER_FILE_MAX_BYTES);
    st = read_file(name, &file, why, why_cap);
    if (st == ST_OK)
        st = read_classifier(r, buf_span(&file), name, why, why_cap);
    buf_release(&file);
    return st;
}

static void match_encoder(struct routing *r, struct span encoder_id, char *why, size_t why_cap)
{
    const struct classifier *c = &r->classifier;

    r->has_vectors = c->dimensions > 0 && span_eq(span_of(c->encoder), encoder_id);
    if (c->dimensions > 0 && !r->has_vectors)
        snprintf(why, why_cap,
                 "route.classifier was learned with another encoder than there is here; it "
                 "judges texts without their vectors");
}

void routing_close(struct routing *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < CONFIG_ROUTES_MAX; i++)
        regex_close(r->regex[i]);
    classifier_release(&r->classifier);
    free(r);
}

static enum status open_regexes(struct routing *r, char *why, size_t why_cap)
{
    char trouble[160];

    for (size_t i = 0; i < r->config->route_count; i++) {
        const struct config_route *rule = &r->config->routes[i];
        enum status st = rule->regex[0] == '\0'
                             ? ST_OK
                             : regex_open(rule->regex, &r->regex[i], trouble, sizeof(trouble));

        if (st != ST_OK) {
            snprintf(why, why_cap, "routes: %s: regex: %s", rule->name, trouble);
            return st;
        }
    }
    return ST_OK;
}

enum status routing_open(const struct config *c, struct span default_text,
                         struct span encoder_id, struct routing **out, char *why,
                         size_t why_cap)
{
    struct routing *r;
    enum status st;

    *out = NULL;
    why[0] = '\0';
    if (c->route.models[0] == '\0' && c->route_count == 0)
        return ST_OK;
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return ST_NOMEM;
    r->config = c;
    ladder_init(&r->ladder, c);
    st = open_regexes(r, why, why_cap);
    if (st == ST_OK)
        st = open_classifier(r, default_text, why, why_cap);
    if (st != ST_OK) {
        routing_close(r);
        return st;
    }
    if (r->has_classifier) {
        r->line = c->route.upstream_share >= 0
                      ? classifier_line_for_share(&r->classifier, c->route.upstream_share)
                      : classifier_line_for_quality(&r->classifier, c->route.quality_loss_max);
        match_encoder(r, encoder_id, why, why_cap);
    }
    *out = r;
    return ST_OK;
}

/* --- what is known beforehand ------------------------------------------------------------- */

static bool may_have_tools(const struct routing *r, const struct chat_request *q)
{
    if (!q->has_tools && !q->has_tool_turns)
        return true;
    for (size_t i = 0; i < r->ladder.count; i++) {
        if (r->ladder.rungs[i].tools && !q->has_tool_turns && q->must_call_tool)
            return true;
    }
    return false;
}

/* Why no model here can have it, or NULL: then the first that can is in *v. */
static const char *hard_fact(const struct routing *r, const struct routing_wish *w,
                             struct routing_verdict *v)
{
    const struct chat_request *q = w->chat;
    const char *fact = NULL;

    if (!w->serves || r->ladder.count == 0)
        return "not_served";
    if (!may_have_tools(r, q))
        return "tools";
    if (q->has_attachments)
        return "attachments";
    if (q->has_state)
        return "server_state";
    if (w->cannot != NULL)
        return "unsupported";
    if (q->last_text.ptr == NULL)
        return "no_user_text";
    v->rung = ladder_next(&r->ladder, q, w->limits, 0, &fact);
    if (v->rung < r->ladder.count)
        v->model = r->ladder.rungs[v->rung].model;
    return fact;
}

/* By the name that the client knows, or the one that the upstream does. */
static bool names(const char *patterns, const struct routing_wish *w)
{
    return conditions_model(patterns, w->chat->model) ||
           (w->alias.len > 0 && conditions_model(patterns, w->alias));
}

static bool is_local(const struct config_route *rule)
{
    return strcmp(rule->to, "local") == 0 || config_models_named(rule->to).len > 0;
}

/* What can not be told within the limits speaks for staying here: the rule applies when it says
 * local, and else not. */
static bool found(const struct routing *r, size_t i, struct span question)
{
    enum status st = r->regex[i] != NULL ? regex_find(r->regex[i], question) : ST_OK;

    return st == ST_OK || (st == ST_LIMIT && is_local(&r->config->routes[i]));
}

static bool applies(const struct routing *r, size_t i, const struct routing_wish *w)
{
    const struct config_route *rule = &r->config->routes[i];
    size_t n = w->chat->last_text.len;

    return conditions_path(rule->path, w->head) && conditions_header(rule->header, w->head) &&
           (rule->models[0] == '\0' || names(rule->models, w)) && n >= rule->bytes_min &&
           (rule->bytes_max == 0 || n <= rule->bytes_max) && found(r, i, w->chat->last_text);
}

/* The built-in model's answers are looked at before they are given out. */
static bool is_cascade(const struct routing *r)
{
    for (size_t i = 0; i < r->ladder.count; i++) {
        if (r->ladder.rungs[i].confidence_min > 0)
            return true;
    }
    return trial_wanted(r->config);
}

static struct routing_verdict by_rule(const struct config *c, const struct config_route *rule)
{
    struct routing_verdict v = {
        .tier = ROUTING_OPEN, .reason = "classifier", .rule = rule->name};

    if (strcmp(rule->to, "classifier") != 0) {
        v.tier = is_local(rule) ? ROUTING_LOCAL : ROUTING_UPSTREAM;
        v.reason = "rule";
        v.voice = config_models_named(rule->to);
        if (!config_models_find(c, v.voice, &v.model) &&
            !config_models_adapter(c, v.voice, &v.model))
            v.model = ROUTING_ANY;
    }
    return v;
}

const struct config_route *routing_rule(const struct routing *r, const struct routing_wish *w)
{
    for (size_t i = 0; i < r->config->route_count; i++) {
        if (applies(r, i, w))
            return &r->config->routes[i];
    }
    return NULL;
}

struct routing_verdict routing_settle(const struct routing *r, const struct routing_wish *w,
                                      const struct config_route *rule)
{
    const struct config *c = r->config;
    struct routing_verdict v = {.tier = ROUTING_NONE};
    const char *fact;

    if (rule != NULL)
        v = by_rule(c, rule);
    if (v.tier == ROUTING_NONE && c->route.models[0] != '\0' && names(c->route.models, w))
        v = (struct routing_verdict){.tier = ROUTING_OPEN, .reason = "classifier"};
    /* A rule that says local means it: what that model can not answer is refused, not sent. */
    if (v.tier != ROUTING_OPEN)
        return v;
    fact = hard_fact(r, w, &v);
    if (fact != NULL)
        return (struct routing_verdict){.tier = ROUTING_UPSTREAM, .reason = fact};
    if (!r->has_classifier && !is_cascade(r))
        return (struct routing_verdict){
            .tier = ROUTING_UPSTREAM, .reason = "no_classifier", .rule = v.rule};
    if (!r->has_classifier)
        v.reason = "first";
    return v;
}

/* --- what was learned --------------------------------------------------------------------- */

enum routing_tier routing_judge(const struct routing *r, const float *vector, struct span text,
                                struct classifier_verdict *out)
{
    double features[FEATURES_COUNT];

    *out = (struct classifier_verdict){0, 1};
    if (!r->has_classifier)
        return is_cascade(r) ? ROUTING_LOCAL : ROUTING_UPSTREAM;
    features_of(text, features);
    *out = classifier_judge(&r->classifier, r->has_vectors ? vector : NULL, features);
    return out->loss > r->line ? ROUTING_UPSTREAM : ROUTING_LOCAL;
}

const struct ladder *routing_ladder(const struct routing *r)
{
    return &r->ladder;
}

const struct classifier *routing_classifier(const struct routing *r)
{
    return r->has_classifier ? &r->classifier : NULL;
}

double routing_line(const struct routing *r)
{
    return r->line;
}
