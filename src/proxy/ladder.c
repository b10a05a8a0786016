#include "proxy/ladder.h"

#include <string.h>

#include "config/config_models.h"
#include "protocol/protocol.h"
#include "router/features.h"
#include "router/language.h"

/* A token of English is about four bytes; a text with fewer a token overruns the context all
 * the same, and then the next one is asked after the fact. */
#define BYTES_A_TOKEN 4

static void add(struct ladder *l, const struct config *c, size_t model)
{
    struct ladder_rung *r = &l->rungs[l->count++];
    struct config_model m;

    config_models_get(c, model, &m);
    *r = (struct ladder_rung){.model = model,
                              .context_max = m.context_max,
                              .json = m.json,
                              .tools = m.tools,
                              .code = m.code,
                              .confidence_min = m.confidence_min};
    memcpy(r->languages, m.languages, sizeof(r->languages));
}

void ladder_init(struct ladder *l, const struct config *c)
{
    struct span list = span_of(c->route.ladder), name;
    size_t model;

    l->count = 0;
    while ((name = config_word(&list)).len > 0 &&
           l->count < sizeof(l->rungs) / sizeof(l->rungs[0])) {
        if (config_models_find(c, name, &model))
            add(l, c, model);
    }
    if (l->count == 0 && config_models_count(c) > 0)
        add(l, c, 0);
}

static size_t bytes_of(const struct chat_request *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->turn_count; i++)
        n += q->turns[i].text.len;
    return n;
}

static bool has_code(struct span text)
{
    double features[FEATURES_COUNT];

    features_of(text, features);
    return features[FEATURE_CODE] > 0;
}

static bool knows(const struct ladder_rung *r, struct span text)
{
    struct span list = span_of(r->languages), word, language;

    if (list.len == 0)
        return true;
    language = span_of(language_of(text));
    if (language.len == 0)
        return true; /* nothing speaks against it */
    while ((word = config_word(&list)).len > 0) {
        if (span_eq(word, language))
            return true;
    }
    return false;
}

static const char *fact_of(const struct ladder_rung *r, const struct chat_request *q,
                           struct ladder_limits limits)
{
    if ((limits.absent >> r->model & 1) != 0)
        return "not_served";
    if (q->has_tool_turns || (q->has_tools && !(r->tools && q->must_call_tool)))
        return "tools";
    if (bytes_of(q) / BYTES_A_TOKEN > r->context_max)
        return "context";
    if (!r->json && q->form == CHAT_JSON)
        return "json";
    if (!r->code && has_code(q->last_text))
        return "code";
    if (!knows(r, q->last_text))
        return "language";
    return (limits.late >> r->model & 1) != 0 ? "deadline" : NULL;
}

size_t ladder_next(const struct ladder *l, const struct chat_request *q,
                   struct ladder_limits limits, size_t from, const char **fact)
{
    *fact = NULL;
    for (size_t i = from; i < l->count; i++) {
        *fact = fact_of(&l->rungs[i], q, limits);
        if (*fact == NULL)
            return i;
    }
    return l->count;
}
