#include "proxy/screen.h"

#include <stdio.h>
#include <string.h>

#include "http/head.h"
#include "privacy/texts.h"
#include "proxy/proxy.h"
#include "proxy/respond.h"
#include "proxy/setup.h"
#include "proxy/steps.h"
#include "proxy/upstream.h"

void screen_init(struct screen *s)
{
    *s = (struct screen){.unread_total = 0};
    buf_init(&s->out, 0);
    buf_init(&s->scratch, 0);
}

void screen_limit(struct screen *s, size_t body_max_bytes)
{
    s->out.limit = body_max_bytes;
    s->scratch.limit = 2 * body_max_bytes;
}

void screen_release(struct screen *s)
{
    buf_release(&s->out);
    buf_release(&s->scratch);
}

enum config_rule screen_rule(const struct request *r, const struct find *f)
{
    const struct config *c = r->setup->config;
    enum config_rule rule = f->class == PRIVACY_PATTERN
                                ? config_pattern_rule(c, &c->patterns[f->pattern])
                                : r->setup->rules.of[f->class];

    /* One of the operator's own: nothing leaves by it. */
    if (rule > RULE_COUNT && r->upstream != NULL && r->upstream->own->trusted)
        return RULE_COUNT;
    return rule;
}

struct look {
    struct request *r;
    char *refused;
    size_t cap;
    enum privacy_class *what;
    enum config_rule worst;
};

static enum status look_at(void *owner, const struct texts_walk *w, struct span text,
                           bool is_name, struct buf *out, bool *changed)
{
    struct look *x = owner;
    struct screen *s = &x->r->proxy->screen;
    struct screen_result *result = &x->r->screen;
    const struct find *list;
    enum status st;
    size_t n;

    (void)out;
    (void)changed;
    if (!texts_is_written(w, text, is_name))
        return ST_OK;
    st = finder_scan(x->r->setup->finder, text, &list, &n);
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        enum config_rule rule = screen_rule(x->r, &list[i]);

        if (rule == RULE_OFF)
            continue;
        s->found[list[i].class][rule]++;
        result->found = true;
        result->replace |= rule == RULE_REPLACE;
        result->local |= rule == RULE_LOCAL;
        result->in_clear |= rule != RULE_REPLACE;
        x->worst = rule > x->worst ? rule : x->worst;
        if (rule == RULE_REFUSE && x->refused[0] == '\0') {
            texts_path(w, x->refused, x->cap);
            *x->what = list[i].class;
        }
    }
    return st;
}

enum status screen_look(struct request *r, char *refused, size_t cap, enum privacy_class *what)
{
    struct screen *s = &r->proxy->screen;
    struct look x = {r, refused, cap, what, RULE_OFF};
    enum status st;

    refused[0] = '\0';
    if (r->setup->finder == NULL)
        return ST_OK;
    st = texts_walk(r->chat.body, look_at, &x, &s->scratch, NULL);
    if (r->screen.found)
        s->requests[x.worst]++;
    return st;
}

/* Nobody can look into it. */
static enum step_result refuse_unread(struct request *r)
{
    r->proxy->screen.unread_total++;
    respond_error(r, 403, "invalid_request_error", "private_unread", "",
                  r->oversize ? "the body is larger than limits.body_max_bytes, so that nobody "
                                "can look for personal data in it; see privacy.unread"
                              : "ibid does not read requests of this kind, so that nobody can "
                                "look for personal data in it; see privacy.unread");
    return STEP_DONE;
}

static bool goes_unread(const struct request *r)
{
    const struct setup *s = r->setup;

    if (!s->rules.strict || s->config->privacy.relay_unread || r->protocol != NULL)
        return false;
    if (r->upstream != NULL && r->upstream->own->trusted)
        return false;
    return r->head->framing != HTTP_NO_BODY ||
           http_head_get(r->head, SPAN("upgrade")).ptr != NULL;
}

static enum step_result refuse_limit(struct request *r, enum status st)
{
    const char *stuck = finder_stuck(r->setup->finder);
    char text[192];

    if (st == ST_NOMEM || stuck == NULL)
        snprintf(text, sizeof(text), "%s",
                 st == ST_NOMEM ? "no memory to look for personal data"
                                : "more personal data than can be kept track of in a request");
    else
        snprintf(text, sizeof(text),
                 "the pattern '%.64s' of privacy_patterns takes too long on a text of this "
                 "request",
                 stuck);
    respond_error(r, st == ST_NOMEM ? 503 : 403,
                  st == ST_NOMEM ? "server_error" : "invalid_request_error", "private_data", "",
                  text);
    return STEP_DONE;
}

/* What of this request is somebody's own business, and may it go where it is going? */
enum step_result screen_enter(struct request *r)
{
    enum privacy_class what = PRIVACY_EMAIL;
    char refused[64], text[192];
    enum status st;

    if (r->setup->finder == NULL)
        return STEP_NEXT;
    if (goes_unread(r))
        return refuse_unread(r);
    if (r->protocol == NULL)
        return STEP_NEXT;
    st = screen_look(r, refused, sizeof(refused), &what);
    if (st != ST_OK && (r->setup->rules.strict || st != ST_LIMIT))
        return refuse_limit(r, st);
    r->screen.found |= st != ST_OK;
    r->screen.in_clear |= st != ST_OK;
    if (refused[0] == '\0')
        return STEP_NEXT;
    snprintf(text, sizeof(text),
             "personal data or a secret (%s) in '%s'; privacy.%s does not let it pass",
             privacy_class_name(what), refused, privacy_class_name(what));
    respond_error(r, 403, "invalid_request_error", "private_data", refused, text);
    return STEP_DONE;
}
