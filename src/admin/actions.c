#include "admin/actions.h"

#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/call.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/list.h"
#include "cache/decision_record.h"
#include "cache/explain.h"
#include "config/config.h"
#include "http/server.h"
#include "proxy/journal.h"
#include "proxy/judge.h"
#include "proxy/proxy.h"
#include "proxy/trial.h"

#define JSON_DEPTH     4
#define PAGE_MAX_BYTES (4 * 1024 * 1024)

#define NO_SUCH_DECISION                                                                       \
    "no such decision is kept: the id is that of x-ibid-request, and explain.bytes_max says "  \
    "how many are"

static const struct journal_item *find_item(const struct admin_call *c, struct span id)
{
    return journal_find(&c->view->proxy->journal, journal_id_read(id));
}

/* Closes the object and sends it. */
static void respond_page(struct admin_call *c, struct json_writer *w)
{
    json_writer_close(w, '}');
    json_writer_raw(w, SPAN("\n"));
    if (w->st == ST_OK)
        call_respond(c, 200, JSON_TYPE, buf_span(w->out));
    else
        call_refuse(c, 500, "the answer does not fit its buffer");
}

/* --- explain ---------------------------------------------------------------------- */

static void write_key(struct json_writer *w, const char *name, const struct digest *key)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(key->bytes, DIGEST_BYTES, hex);
    json_writer_text(w, name, span_of(hex));
}

/* `e` is scratch. */
static void write_candidate(struct json_writer *w, const struct decision_record *r,
                            const struct decision_candidate *c, bool texts,
                            struct explanation *e)
{
    json_writer_open(w, NULL, '{');
    write_key(w, "entry", &c->key);
    if (texts)
        json_writer_text(w, "question", c->question);
    json_writer_real(w, "similarity", (double)c->similarity);
    json_writer_real(w, "probability", c->probability);
    json_writer_text(w, "reason", span_of(c->reason != NULL ? c->reason : "not_needed"));
    explain_pair(r->question, c->question, c->similarity, e);
    explain_write(w, e, texts);
    json_writer_close(w, '}');
}

static void write_traffic(struct json_writer *w, const struct decision *d)
{
    json_writer_open(w, "traffic", '{');
    json_writer_u64(w, "lookups", d->traffic.lookups);
    json_writer_u64(w, "refused", d->traffic.refused);
    json_writer_real(w, "moved", d->moved);
    json_writer_close(w, '}');
}

static void write_decision(struct json_writer *w, const struct journal_item *item, bool texts,
                           struct explanation *e)
{
    const struct decision_record *r = item->record;
    char id[JOURNAL_ID_DIGITS + 1];

    journal_id_write(item->id, id);
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "request", span_of(id));
    json_writer_u64(w, "at_ms", r->at_ms);
    if (texts)
        json_writer_text(w, "question", r->question);
    if (texts && r->asked.len > 0)
        json_writer_text(w, "asked", r->asked);
    json_writer_bool(w, "rewritten", r->asked.len > 0);
    json_writer_bool(w, "hit", r->decision.hit);
    json_writer_bool(w, "served", item->served);
    json_writer_text(w, "reason", span_of(r->decision.reason));
    write_key(w, "entry", &r->decision.key);
    json_writer_real(w, "similarity", (double)r->decision.similarity);
    json_writer_real(w, "probability", r->decision.probability);
    json_writer_real(w, "threshold", r->decision.threshold);
    json_writer_real(w, "floor", (double)r->floor);
    write_traffic(w, &r->decision);
    if (item->judged != 0) {
        json_writer_text(w, "judged_by", span_of(item->judge));
        json_writer_bool(w, "judged_same", item->same);
    }
    json_writer_open(w, "candidates", '[');
    for (size_t i = 0; i < r->count; i++)
        write_candidate(w, r, &r->candidates[i], texts, e);
    json_writer_close(w, ']');
}

void actions_explain(struct admin_call *c)
{
    const struct journal_item *item = find_item(c, c->rest);
    struct explanation *e;
    struct json_writer w;
    struct buf out;

    if (item == NULL) {
        call_refuse(c, 404, NO_SUCH_DECISION);
        return;
    }
    e = malloc(sizeof(*e));
    if (e == NULL) {
        call_refuse(c, 500, "out of memory");
        return;
    }
    buf_init(&out, PAGE_MAX_BYTES);
    w = (struct json_writer){&out, ST_OK, false};
    write_decision(&w, item, c->view->proxy->parts.config->explain.show_questions, e);
    respond_page(c, &w);
    buf_release(&out);
    free(e);
}

/* The candidate that was the hit; of no hit, the one that was reported on. */
static const struct decision_candidate *hit_of(const struct decision_record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (digest_eq(&r->candidates[i].key, &r->decision.key))
            return &r->candidates[i];
    }
    return NULL;
}

/* --- judged decisions ------------------------------------------------------------- */

/* Of one answer: a page fits its buffer. */
#define JUDGED_MAX 8192

static void write_judged(struct json_writer *w, const struct journal_item *item)
{
    const struct decision_record *r = item->record;
    const struct decision_candidate *c = hit_of(r);
    char id[JOURNAL_ID_DIGITS + 1];

    if (c == NULL)
        return;
    journal_id_write(item->id, id);
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "request", span_of(id));
    json_writer_real(w, "similarity", (double)c->similarity);
    json_writer_real(w, "probability", c->probability);
    json_writer_text(w, "reason", span_of(c->reason != NULL ? c->reason : "not_needed"));
    json_writer_bool(w, "same", item->same);
    json_writer_text(w, "by", span_of(item->judge));
    json_writer_close(w, '}');
}

static bool read_after(struct span query, uint64_t *after)
{
    static const struct span name = {"after=", 6};

    *after = 0;
    if (query.len == 0)
        return true;
    if (query.len <= name.len || query.len > name.len + 18 ||
        memcmp(query.ptr, name.ptr, name.len) != 0)
        return false;
    for (size_t i = name.len; i < query.len; i++) {
        if (query.ptr[i] < '0' || query.ptr[i] > '9')
            return false;
        *after = *after * 10 + (uint64_t)(query.ptr[i] - '0');
    }
    return true;
}

void actions_decisions(struct admin_call *c)
{
    const struct proxy *p = c->view->proxy;
    const struct journal *j = &p->journal;
    uint64_t after, last;
    struct json_writer w;
    struct buf out;

    if (!read_after(http_stream_head(c->stream)->query, &after)) {
        call_refuse(c, 400, "the query knows after=NUMBER, that of 'next'");
        return;
    }
    /* An ibid that was started anew counts from the beginning. */
    if (after > j->judged)
        after = 0;
    last = j->judged - after > JUDGED_MAX ? after + JUDGED_MAX : j->judged;
    buf_init(&out, PAGE_MAX_BYTES);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "next", last);
    json_writer_bool(&w, "judges",
                     cache_bounded(p->parts.cache) != NULL ||
                         strcmp(p->parts.config->judge.grey, "off") != 0 ||
                         p->parts.config->cache.semantic == SEMANTIC_SHADOW);
    json_writer_open(&w, "decisions", '[');
    for (struct list_node *n = j->items.next; n != &j->items; n = n->next) {
        const struct journal_item *item = CONTAINER_OF(n, struct journal_item, link);

        if (item->judged > after && item->judged <= last)
            write_judged(&w, item);
    }
    json_writer_close(&w, ']');
    respond_page(c, &w);
    buf_release(&out);
}

/* --- feedback --------------------------------------------------------------------- */

struct feedback {
    struct span request;
    bool wrong, evict;
};

/* NULL, or what is wrong with it. */
static const char *read_feedback(struct admin_call *c, struct feedback *out)
{
    struct span verdict;
    struct json_error err;
    struct json *body;

    if (json_parse(http_stream_arena(c->stream), buf_span(&c->body), JSON_DEPTH, &body, &err) !=
            ST_OK ||
        body->type != JSON_OBJECT)
        return "the body must be a JSON object";
    out->request = json_str(json_get(body, SPAN("request")));
    verdict = json_str(json_get(body, SPAN("verdict")));
    out->wrong = span_eq(verdict, SPAN("wrong"));
    out->evict = false;
    if (out->request.ptr == NULL)
        return "'request' must be the id of x-ibid-request";
    if (!out->wrong && !span_eq(verdict, SPAN("right")))
        return "'verdict' must be 'wrong' or 'right'";
    if (json_get(body, SPAN("evict")) != NULL &&
        !json_bool(json_get(body, SPAN("evict")), &out->evict))
        return "'evict' must be true or false";
    if (out->evict && !out->wrong)
        return "'evict' goes with the verdict 'wrong'";
    return NULL;
}

static void take_feedback(struct admin_call *c, const struct feedback *f,
                          const struct journal_item *item, const struct decision_candidate *hit)
{
    const struct decision_record *r = item->record;
    struct proxy *p = c->view->proxy;
    struct cache *cache = p->parts.cache;
    enum status st = f->wrong ? cache_refuse(cache, &r->partition, r->question, hit->question)
                              : cache_allow(cache, &r->partition, r->question, hit->question);
    bool evicted = false;
    struct json_writer w;
    struct buf out;

    if (st == ST_NOMEM || st == ST_LIMIT) {
        call_refuse(c, 503, "out of memory");
        return;
    }
    cache_learn(cache, &r->partition, &r->decision.lesson, !f->wrong);
    judge_reported(p->judge, item, !f->wrong);
    journal_report(&p->journal, journal_id_read(f->request),
                   f->wrong ? JOURNAL_WRONG : JOURNAL_RIGHT);
    if (f->wrong)
        p->account.feedback_wrong_total++;
    else
        p->account.feedback_right_total++;
    if (f->evict) {
        evicted = cache_remove_everywhere(cache, &hit->key, &r->partition) == ST_OK;
        p->account.removed_total++;
    }
    buf_init(&out, 1024);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_bool(&w, "refused", f->wrong);
    /* Whether it holds after a restart. */
    json_writer_bool(&w, "kept", st != ST_UNAVAILABLE);
    json_writer_bool(&w, "evicted", evicted);
    write_key(&w, "entry", &hit->key);
    respond_page(c, &w);
    buf_release(&out);
}

/* What the cascade and the router learn from has a line more. */
static void told_attempt(struct admin_call *c)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, 256);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    json_writer_bool(&w, "learned", true);
    respond_page(c, &w);
    buf_release(&out);
}

void actions_feedback(struct admin_call *c)
{
    const struct decision_candidate *hit;
    const struct journal_item *item;
    struct feedback f;
    const char *trouble = read_feedback(c, &f);

    if (trouble != NULL) {
        call_refuse(c, 400, trouble);
        return;
    }
    if (journal_id_read(f.request) == JOURNAL_NONE) {
        call_refuse(c, 404, NO_SUCH_DECISION);
        return;
    }
    audit_call_detail(c, "request=%.*s verdict=%s%s", JOURNAL_ID_DIGITS, f.request.ptr,
                      f.wrong ? "wrong" : "right", f.evict ? " evict" : "");
    if (!f.evict &&
        trial_report(c->view->proxy->parts.trial, journal_id_read(f.request), !f.wrong)) {
        told_attempt(c);
        return;
    }
    item = find_item(c, f.request);
    if (item == NULL) {
        call_refuse(c, 404, NO_SUCH_DECISION);
        return;
    }
    hit = hit_of(item->record);
    if (!item->record->decision.hit || hit == NULL)
        call_refuse(c, 409, "that decision was no hit: there is nothing to report");
    else
        take_feedback(c, &f, item, hit);
}
