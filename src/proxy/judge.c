#include "proxy/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/decision_record.h"
#include "config/config.h"
#include "protocol/answer.h"
#include "proxy/journal.h"
#include "proxy/judge_desk.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "rt/loop.h"

#define MINUTE_US 60000000

const char *judge_name(enum judge_who who)
{
    return who == JUDGE_LOCAL ? "local" : "upstream";
}

enum status judge_open(struct proxy *p, struct judge **out)
{
    struct judge *j = calloc(1, sizeof(*j));

    if (j == NULL)
        return ST_NOMEM;
    j->proxy = p;
    list_init(&j->queue);
    arena_init(&j->texts, 4096, 16 * JUDGE_LOCAL_BYTES);
    *out = j;
    return ST_OK;
}

const struct judge_counts *judge_counts(const struct judge *j)
{
    return &j->counts;
}

static const struct config *config_of(const struct judge *j)
{
    return j->proxy->parts.config;
}

/* --- what follows ------------------------------------------------------------------------- */

enum verdict { NO, YES, UNSURE };

static enum verdict verdict_of(const struct judge *j, double yes)
{
    double sure = config_of(j)->judge.sure;

    if (yes >= sure)
        return YES;
    return yes <= 1 - sure ? NO : UNSURE;
}

/* A label; whoever was first to say so has the word. */
static void label(struct judge *j, const struct judge_job *job, bool same)
{
    struct proxy *p = j->proxy;
    const struct journal_item *item = journal_find(&p->journal, job->decision);

    if (item == NULL || item->judged != 0 || item->report != JOURNAL_UNREPORTED)
        return;
    journal_judge(&p->journal, job->decision, same, judge_name(job->who));
    if (job->lesson.judged)
        cache_learn(p->parts.cache, &job->partition, &job->lesson, same);
}

static void take_out(struct judge *j, const struct judge_job *job)
{
    if (cache_remove_everywhere(j->proxy->parts.cache, &job->key, &job->partition) != ST_OK)
        return; /* the store will say so */
    j->counts.removed++;
}

static void follow(struct judge *j, const struct judge_job *job, double yes)
{
    enum verdict v = verdict_of(j, yes);

    if (v == UNSURE) {
        j->counts.unsure[job->who]++;
        return;
    }
    if (v == YES)
        j->counts.yes[job->who]++;
    else
        j->counts.no[job->who]++;
    if (job->what.about == JUDGE_SAME)
        label(j, job, v == YES);
    else if (v == NO)
        take_out(j, job);
}

/* --- one after the other ------------------------------------------------------------------ */

static void on_deadline(struct timer *t)
{
    struct judge *j = CONTAINER_OF(t, struct judge, deadline);
    bool later = j->job->who == JUDGE_LOCAL ? judge_local_cancel(j) : judge_upstream_cancel(j);

    if (!later)
        judge_verdict(j, JUDGE_FAILED);
}

static bool has_budget(struct judge *j)
{
    uint64_t now = loop_now_us(j->proxy->parts.loop);

    if (j->minute_us == 0 || now - j->minute_us >= MINUTE_US) {
        j->minute_us = now > 0 ? now : 1;
        j->asked = 0;
    }
    if (j->asked >= config_of(j)->judge.per_minute)
        return false;
    j->asked++;
    return true;
}

static bool ask(struct judge *j)
{
    if (j->job->who == JUDGE_LOCAL)
        return judge_local_ask(j);
    if (has_budget(j))
        return judge_upstream_ask(j);
    j->counts.over_budget++;
    return false;
}

static void drop(struct judge *j)
{
    free(j->job);
    j->job = NULL;
}

static void run(struct judge *j)
{
    uint64_t failed;

    while (j->job == NULL && !j->stopped && !list_empty(&j->queue)) {
        struct list_node *n = j->queue.next;

        list_remove(n);
        j->queued--;
        j->job = CONTAINER_OF(n, struct judge_job, link);
        failed = j->counts.over_budget;
        if (ask(j)) {
            timer_start(j->proxy->parts.loop, &j->deadline,
                        config_of(j)->judge.deadline_ms * 1000, on_deadline);
            return;
        }
        j->counts.failed[j->job->who] += failed == j->counts.over_budget;
        drop(j);
    }
}

void judge_verdict(struct judge *j, double yes)
{
    timer_stop(j->proxy->parts.loop, &j->deadline);
    if (yes < 0)
        j->counts.failed[j->job->who]++;
    else if (!j->stopped)
        follow(j, j->job, yes);
    drop(j);
    run(j);
}

void judge_stop(struct judge *j)
{
    j->stopped = true;
    while (!list_empty(&j->queue)) {
        struct list_node *n = j->queue.next;

        list_remove(n);
        free(CONTAINER_OF(n, struct judge_job, link));
    }
    j->queued = 0;
    if (j->job == NULL)
        return;
    timer_stop(j->proxy->parts.loop, &j->deadline);
    if (j->job->who == JUDGE_LOCAL ? judge_local_cancel(j) : judge_upstream_cancel(j))
        return;
    drop(j);
}

void judge_close(struct judge *j)
{
    if (j == NULL)
        return;
    arena_release(&j->texts);
    free(j);
}

/* --- cases -------------------------------------------------------------------------------- */

/* The job, with copies of the texts, no more of them than a judge is shown. NULL: no memory. */
static struct judge_job *make(enum judge_who who, enum judge_about about, struct span first,
                              struct span second)
{
    size_t a = first.len < JUDGE_UPSTREAM_BYTES + 4 ? first.len : JUDGE_UPSTREAM_BYTES + 4;
    size_t b = second.len < JUDGE_UPSTREAM_BYTES + 4 ? second.len : JUDGE_UPSTREAM_BYTES + 4;
    struct judge_job *job = calloc(1, sizeof(*job) + a + b);
    char *text;

    if (job == NULL)
        return NULL;
    text = (char *)(job + 1);
    memcpy(text, first.ptr, a);
    memcpy(text + a, second.ptr, b);
    job->who = who;
    job->what = (struct judge_case){about, {text, a}, {text + a, b}};
    return job;
}

static void submit(struct judge *j, struct judge_job *job)
{
    list_append(&j->queue, &job->link);
    j->queued++;
    run(j);
}

static bool has_room(struct judge *j)
{
    bool room = !j->stopped && !j->proxy->draining && j->queued < config_of(j)->judge.queue_max;

    j->counts.full += !room;
    return room;
}

/* What may not leave this machine, or whose client wants nothing kept of it, no other upstream
 * is told. */
static bool may_ask(struct judge *j, const struct request *r, enum judge_who who)
{
    bool may = who == JUDGE_LOCAL || !(r->to_local || r->screen.found || r->controls.no_store ||
                                       r->controls.route == ROUTE_LOCAL);

    j->counts.kept_private += !may;
    return may;
}

/* "local" or "upstream"; anything else: no model is asked. */
static bool read_who(const char *setting, enum judge_who *who)
{
    *who = strcmp(setting, "upstream") == 0 ? JUDGE_UPSTREAM : JUDGE_LOCAL;
    return *who == JUDGE_UPSTREAM || strcmp(setting, "local") == 0;
}

/* What a guard refused is not in doubt. */
static bool is_grey(const struct decision *d, double width)
{
    return d->has_candidate && fabs(d->probability - d->threshold) <= width &&
           (d->hit || strcmp(d->reason, "below_threshold") == 0 ||
            strcmp(d->reason, "explored") == 0);
}

static const struct decision_candidate *candidate_of(const struct decision_record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (digest_eq(&r->candidates[i].key, &r->decision.key))
            return &r->candidates[i];
    }
    return NULL;
}

void judge_decision(struct request *r)
{
    const struct config *c = r->setup->config;
    struct judge *j = r->proxy->judge;
    const struct decision_candidate *near;
    const struct journal_item *item;
    struct judge_job *job;
    enum judge_who who;

    if (r->decision_id == JOURNAL_NONE || !read_who(c->judge.grey, &who) ||
        !is_grey(&r->embed.decision, c->judge.width))
        return;
    item = journal_find(&r->proxy->journal, r->decision_id);
    near = item != NULL && item->judged == 0 ? candidate_of(item->record) : NULL;
    if (near == NULL || !may_ask(j, r, who) || !has_room(j))
        return;
    job = make(who, JUDGE_SAME, item->record->question, near->question);
    if (job == NULL)
        return;
    job->decision = r->decision_id;
    job->lesson = r->embed.decision.lesson;
    job->partition = r->partition;
    job->scope = r->scope;
    submit(j, job);
}

void judge_stored(struct request *r, const struct answer *a, const struct entry *e)
{
    struct judge *j = r->proxy->judge;
    struct judge_job *job;
    enum judge_who who;

    if (!read_who(r->setup->config->judge.admission, &who) || r->chat.last_text.len == 0 ||
        a->text.len == 0 || r->chat.form == CHAT_JSON)
        return;
    if (!may_ask(j, r, who) || !has_room(j))
        return;
    job = make(who, JUDGE_ANSWERS, r->chat.last_text, a->text);
    if (job == NULL)
        return;
    job->key = e->key;
    job->partition = e->partition;
    job->scope = r->scope;
    submit(j, job);
}

void judge_reported(struct judge *j, const struct journal_item *item, bool right)
{
    for (enum judge_who who = 0; who < JUDGE_COUNT; who++) {
        if (item->judged == 0 || strcmp(item->judge, judge_name(who)) != 0)
            continue;
        if (item->same == right)
            j->counts.agreed[who]++;
        else
            j->counts.disagreed[who]++;
    }
}
