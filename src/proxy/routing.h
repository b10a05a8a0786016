/* Which tier a question is for, the built-in model or the upstream, where the settings leave
 * that to ibid: first what the request must have, then the operator's rules, then what was
 * learned. Loop thread only. */
#ifndef PROXY_ROUTING_H
#define PROXY_ROUTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "proxy/ladder.h"
#include "router/classifier.h"

struct chat_request;
struct config;
struct config_route;
struct http_head;
struct routing;

enum routing_tier {
    ROUTING_NONE,     /* none of its business: who answers is settled without it */
    ROUTING_LOCAL,    /* the built-in model */
    ROUTING_UPSTREAM, /* the upstream */
    ROUTING_OPEN,     /* either: routing_judge() says when the vector is there */
};

#define ROUTING_ANY SIZE_MAX

struct routing_verdict {
    enum routing_tier tier;
    const char *reason; /* one word: "tools", "rule", "classifier"; static */
    const char *rule;   /* its name, when it was one; borrowed from the settings */
    size_t model;      /* of ROUTING_LOCAL and ROUTING_OPEN: whose it is, as in config_models.h;
                          ROUTING_ANY: no particular one's */
    struct span voice; /* of ROUTING_LOCAL: the model or the adapter that the rule names;
                          borrowed from the settings; empty: it names none */
    size_t rung;       /* of ROUTING_OPEN: its place on the ladder */
};

/* `default_text`: the classifier that ships, empty: none does. `encoder_id`: whose vectors will
 * be judged; empty: there will be none. *out is NULL when nothing is left to it. `why` is said
 * on failure, and on ST_OK when it is not empty: what will not be as the settings want it. */
enum status routing_open(const struct config *c, struct span default_text,
                         struct span encoder_id, struct routing **out, char *why,
                         size_t why_cap) MUST_CHECK;
void routing_close(struct routing *r);

/* What is known before the question is looked up. `head` NULL: there is none, so no rule that
 * asks for a path or a header applies. */
struct routing_wish {
    const struct http_head *head;
    const struct chat_request *chat;
    struct span alias;           /* by which it named its model; empty: by chat->model */
    bool serves;                 /* models on this machine answer in this dialect */
    struct ladder_limits limits; /* which of them can not have it */
    const char *cannot;          /* why it can not answer this one; NULL: it can */
};

/* `rule`: of routing_rule(). */
struct routing_verdict routing_settle(const struct routing *r, const struct routing_wish *w,
                                      const struct config_route *rule);

/* The first rule that applies, whoever answers; NULL: none. Borrowed from the settings. */
const struct config_route *routing_rule(const struct routing *r, const struct routing_wish *w);

/* For ROUTING_OPEN. `vector` may be NULL. ROUTING_LOCAL or ROUTING_UPSTREAM; without a
 * classifier the built-in model first where its answers are looked at, else the upstream. */
enum routing_tier routing_judge(const struct routing *r, const float *vector, struct span text,
                                struct classifier_verdict *out);

/* The models that a question may be left to, one after the other. */
const struct ladder *routing_ladder(const struct routing *r);

/* NULL: none. */
const struct classifier *routing_classifier(const struct routing *r);
/* The loss above which the upstream is asked. */
double routing_line(const struct routing *r);

#endif
