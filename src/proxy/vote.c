#include "proxy/vote.h"

#include "base/arena.h"
#include "cache/agreement.h"
#include "config/config.h"
#include "proxy/local.h"
#include "proxy/local_model.h"
#include "proxy/local_models.h"
#include "proxy/prompt.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"
#include "proxy/trial.h"

/* Where the request asks for none: greedy samples would all be the same. */
#define TEMPERATURE      0.7f
#define SAMPLE_BYTES_MAX ((size_t)1 << 20)

struct sample {
    struct vote *vote;
    struct local_job *job; /* NULL when none is under way */
    struct buf text;       /* until its end */
    struct span said;      /* then; arena; empty: it has failed */
    struct decoder_result result;
};

struct vote {
    struct request *r;
    struct local_use use; /* until the last sample has ended, which may be after the request
                             has moved on to another model */
    unsigned count, open;
    bool waits, over; /* the first answer is there; the vote is counted, or called off */
    enum status st;   /* of the first answer */
    struct decoder_result result;
    struct sample samples[VOTE_MAX - 1];
};

static void on_text(void *owner, struct span text)
{
    struct sample *s = owner;

    if (buf_append(&s->text, text) != ST_OK)
        local_model_cancel(s->job);
}

/* What was said, in the arena; nothing where that is no answer. */
static void keep(struct sample *s, const struct decoder_result *result)
{
    struct request *r = s->vote->r;

    s->result = *result;
    if (r->thinks && !prompt_strip(&s->text))
        return;
    if (s->text.len > 0 && arena_copy(&r->arena, buf_span(&s->text), &s->said) != ST_OK)
        s->said = (struct span){NULL, 0};
}

static void on_end(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us)
{
    struct sample *s = owner;
    struct vote *v = s->vote;
    struct request *r = v->r;

    s->job = NULL;
    v->open--;
    local_job_ended(r, cpu_us);
    if (v->open == 0)
        local_models_leave(r->proxy->parts.local, &v->use);
    if (st == ST_OK && !r->closed && !v->over)
        keep(s, result);
    buf_release(&s->text);
    if (!request_drop(r) || v->over || !v->waits || v->open > 0)
        return;
    local_voted(r);
}

static const struct local_events events = {on_text, on_end};

static bool start(struct vote *v, const struct local_request *ask)
{
    struct request *r = v->r;
    struct sample *s = &v->samples[v->count];
    struct local_request q = *ask;

    *s = (struct sample){.vote = v};
    buf_init(&s->text, SAMPLE_BYTES_MAX);
    q.params.temperature = q.params.temperature > 0 ? q.params.temperature : TEMPERATURE;
    q.params.seed += v->count + 1;
    if (local_model_start(v->use.model, r->proxy->parts.loop, &q, &events, s, &s->job) != ST_OK)
        return false;
    request_hold(r);
    r->local_jobs++;
    v->count++;
    v->open++;
    return true;
}

/* A model that is in use is there: nobody waits for it. */
static void on_ready(struct local_use *use)
{
    (void)use;
}

static bool take_model(struct vote *v)
{
    struct local_models *models = v->r->proxy->parts.local;

    v->use.patient = v->r->use.patient;
    if (local_models_take(models, v->r->use.index, &v->use, on_ready) == ST_OK)
        return true;
    local_models_leave(models, &v->use);
    return false;
}

void vote_start(struct request *r, const struct local_request *ask)
{
    uint64_t samples = r->setup->config->route.vote;
    struct vote *v;

    if (samples < 2 || !trial_on(r))
        return;
    v = arena_alloc(&r->arena, sizeof(*v), _Alignof(struct vote));
    if (v == NULL)
        return;
    *v = (struct vote){.r = r};
    r->vote = v;
    if (!take_model(v))
        return;
    while (v->count + 1 < samples && start(v, ask))
        ;
    if (v->open == 0)
        local_models_leave(r->proxy->parts.local, &v->use);
}

bool vote_wait(struct request *r, enum status st, const struct decoder_result *result)
{
    struct vote *v = r->vote;

    if (v == NULL || v->count == 0)
        return false;
    v->st = st;
    v->result = *result;
    v->waits = true;
    if (st == ST_OK)
        return v->open > 0;
    vote_call_off(r);
    return false;
}

static bool agree(const struct request *r, struct span a, struct span b)
{
    struct agreement_text x, y;

    if (signs_same(a, b))
        return true;
    agreement_read(r->chat.last_text, a, &x);
    agreement_read(r->chat.last_text, b, &y);
    return agreement_of(&x, &y) == AGREEMENT_YES;
}

/* *with: how many say what the i-th of `texts` does, itself included. */
static size_t best_of(const struct request *r, const struct span *texts, size_t n, size_t *with)
{
    size_t best = 0;

    *with = 0;
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;

        for (size_t k = 0; k < n; k++)
            same += k == i || agree(r, texts[i], texts[k]);
        if (same > *with) {
            *with = same;
            best = i;
        }
    }
    return best;
}

enum status vote_count(struct request *r, struct decoder_result *result)
{
    struct vote *v = r->vote;
    struct trial_counts *counts = trial_counts(r->proxy->parts.trial);
    struct span texts[VOTE_MAX];
    const struct sample *from[VOTE_MAX] = {NULL}; /* NULL: the first answer */
    size_t n = 0, best, with;

    v->over = true;
    *result = v->result;
    if (!r->unanswered && arena_copy(&r->arena, buf_span(&r->recorded), &texts[n++]) != ST_OK)
        return ST_NOMEM;
    for (unsigned i = 0; i < v->count; i++) {
        if (v->samples[i].said.len == 0)
            continue;
        from[n] = &v->samples[i];
        texts[n++] = v->samples[i].said;
    }
    if (n < 2 && !r->unanswered)
        return ST_OK;
    counts->samples += n - !r->unanswered;
    if (n == 0)
        return ST_OK;
    best = best_of(r, texts, n, &with);
    counts->votes++;
    r->votes = (double)with / (double)n;
    if (from[best] == NULL)
        return ST_OK;
    counts->changed++;
    r->unanswered = false;
    *result = from[best]->result;
    buf_clear(&r->recorded);
    return buf_append(&r->recorded, texts[best]);
}

bool vote_is_open(const struct request *r)
{
    return r->vote != NULL && r->vote->open > 0;
}

void vote_cancel(struct request *r)
{
    struct vote *v = r->vote;

    if (v == NULL)
        return;
    for (unsigned i = 0; i < v->count; i++) {
        if (v->samples[i].job != NULL)
            local_model_cancel(v->samples[i].job);
    }
}

void vote_call_off(struct request *r)
{
    if (r->vote == NULL)
        return;
    r->vote->over = true;
    vote_cancel(r);
}
