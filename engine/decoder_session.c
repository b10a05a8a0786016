/* Answers of a session. A pass takes the next token of every answer that is being written, and
 * pieces of the prompts of those that are not yet: small ones beside running answers, so that
 * these go on evenly. Prompts take turns, so that a short one does not wait for a long one. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/decoder_forward.h"
#include "engine/decoder_model.h"
#include "engine/engine.h"
#include "engine/outlet.h"
#include "engine/sampler.h"

/* Columns of prompts in a pass that also decodes. */
#define PIECE_BESIDE (QUANT_TOKENS - DECODER_SEQUENCES_MAX)

struct decoder_answer {
    struct decoder_session *session; /* borrowed */
    struct kv_sequence sequence;
    uint32_t *ids;        /* owned: of the prompt, then of the answer */
    size_t prompt, count; /* of them: the prompt's, all */
    size_t pages;         /* of the cache that are set aside for it */
    uint32_t most;        /* tokens of the answer */
    bool no_end, ended;
    enum status status;
    struct sampler sampler;
    struct outlet outlet;
    struct engine_stop stop;
    struct decoder_result result;
    uint64_t began_us, answered_us; /* opened; its first token */
};

struct decoder_session {
    const struct decoder *model; /* borrowed */
    struct decoder_state state;
    struct kv_sequence plain; /* of decoder_prefill() and decoder_step() */
    uint64_t passes, columns;
    size_t pages;                     /* set aside for answers */
    size_t turn;                      /* the place whose prompt comes first */
    size_t places;                    /* of answers */
    struct decoder_answer *answers[]; /* borrowed; NULL: a free place */
};

/* --- sessions ------------------------------------------------------------------------- */

enum status decoder_session_open(const struct decoder *d, unsigned threads,
                                 struct decoder_session **out)
{
    size_t places = d->weights.shape.sequences > 0 ? d->weights.shape.sequences : 1;
    struct decoder_session *s = calloc(1, sizeof(*s) + places * sizeof(s->answers[0]));
    enum status st;

    if (s == NULL)
        return ST_NOMEM;
    s->model = d;
    s->places = places;
    st = decoder_forward_init(&s->state, &d->weights, threads);
    if (st == ST_OK)
        st = kv_cache_init(&s->plain, s->state.cache, d->weights.shape.context);
    if (st != ST_OK) {
        decoder_session_close(s);
        return ST_NOMEM;
    }
    *out = s;
    return ST_OK;
}

void decoder_session_close(struct decoder_session *s)
{
    kv_cache_release(&s->plain);
    decoder_forward_release(&s->state);
    free(s);
}

void decoder_session_counts(const struct decoder_session *s, struct decoder_counts *out)
{
    struct kv_counts kv;

    kv_cache_counts(s->state.cache, &kv);
    *out = (struct decoder_counts){.passes = s->passes,
                                   .columns = s->columns,
                                   .reused = kv.reused,
                                   .evicted = kv.evicted,
                                   .pages = kv.pages,
                                   .used = kv.used,
                                   .kept = kv.kept,
                                   .shared = kv.shared};
}

enum status decoder_prefill(struct decoder_session *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop)
{
    kv_cache_truncate(&s->plain, 0);
    return decoder_forward_feed(&s->state, &s->plain, ids, n, stop);
}

enum status decoder_step(struct decoder_session *s, uint32_t id)
{
    return decoder_steps(s, &id, 1);
}

enum status decoder_steps(struct decoder_session *s, const uint32_t *ids, size_t n)
{
    const struct decoder_run run = {.sequence = &s->plain, .ids = ids, .n = n, .answers = n};

    if (n > decoder_forward_answers(&s->state.weights->shape))
        return ST_LIMIT;
    return decoder_forward(&s->state, &run, 1, (struct engine_stop){NULL, NULL});
}

const float *decoder_logits(const struct decoder_session *s)
{
    return s->state.logits;
}

/* --- one answer ----------------------------------------------------------------------- */

static bool is_end(const struct decoder *m, uint32_t id)
{
    for (size_t i = 0; i < m->end_count; i++) {
        if (m->ends[i] == id)
            return true;
    }
    return false;
}

static void free_place(struct decoder_answer *a)
{
    struct decoder_session *s = a->session;

    for (size_t i = 0; i < s->places; i++) {
        if (s->answers[i] == a)
            s->answers[i] = NULL;
    }
    s->pages -= a->pages;
    a->pages = 0;
    kv_cache_release(&a->sequence);
}

/* Its place and its pages are another's from now on. */
static void end(struct decoder_answer *a, enum status st, enum decoder_finish finish)
{
    a->ended = true;
    a->status = st;
    a->result.finish = finish;
    a->result.decode_us = a->answered_us > 0 ? clock_now_us() - a->answered_us : 0;
    free_place(a);
}

/* One more token of the answer. */
static void take_token(struct decoder_answer *a, uint32_t id)
{
    const struct decoder *m = a->session->model;
    enum status st;

    a->result.completion_tokens++;
    if (is_end(m, id) && !a->no_end) {
        outlet_end(&a->outlet);
        end(a, ST_OK, DECODER_STOP);
        return;
    }
    st = tokenizer_decode(m->tokens, id, &a->outlet.held);
    if (st != ST_OK) {
        end(a, st, DECODER_CANCELED);
        return;
    }
    if (outlet_pass(&a->outlet)) {
        end(a, ST_OK, DECODER_STOP);
        return;
    }
    if (a->result.completion_tokens == a->most) {
        outlet_end(&a->outlet);
        end(a, ST_OK, DECODER_LENGTH);
        return;
    }
    a->ids[a->count++] = id;
}

static enum status read_prompt(struct decoder_answer *a, const struct decoder_request *q,
                               uint32_t context)
{
    const struct decoder *m = a->session->model;
    uint32_t *ids;
    enum status st = ST_OK;

    a->ids = malloc(context * sizeof(*a->ids));
    if (a->ids == NULL)
        return ST_NOMEM;
    /* One place is needed for the first token of the answer. */
    if (q->ids == NULL)
        st = chat_template_encode(&m->chat, m->tokens, q->turns, q->turn_count, a->ids,
                                  context - 1, &a->prompt);
    else if (q->id_count == 0 || q->id_count > context - 1)
        st = ST_LIMIT;
    else
        memcpy(a->ids, q->ids, (a->prompt = q->id_count) * sizeof(*a->ids));
    if (st != ST_OK)
        return st;
    a->count = a->prompt;
    a->result.prompt_tokens = (uint32_t)a->prompt;
    a->most = context - (uint32_t)a->prompt + 1;
    if (q->params.max_tokens > 0 && q->params.max_tokens < a->most)
        a->most = q->params.max_tokens;
    ids = realloc(a->ids, (a->prompt + a->most) * sizeof(*a->ids));
    a->ids = ids != NULL ? ids : a->ids;
    return ST_OK;
}

/* So many pages that nothing is missing before its end, whatever the others do. */
static enum status take_place(struct decoder_answer *a, uint64_t partition)
{
    struct decoder_session *s = a->session;
    uint32_t positions = (uint32_t)a->prompt + a->most - 1;
    size_t pages = (positions + ATTEND_PAGE - (size_t)1) / ATTEND_PAGE + 1, i = 0;

    while (i < s->places && s->answers[i] != NULL)
        i++;
    if (i == s->places || s->pages + pages > decoder_forward_pages(&s->model->weights.shape))
        return ST_OVERLOAD;
    if (kv_cache_init(&a->sequence, s->state.cache, positions) != ST_OK)
        return ST_NOMEM;
    a->sequence.partition = partition & (UINT64_MAX >> 1);
    a->pages = pages;
    s->pages += pages;
    s->answers[i] = a;
    return ST_OK;
}

enum status decoder_answer_open(struct decoder_session *s, const struct decoder_request *q,
                                struct decoder_answer **out)
{
    const struct decoder_shape *h = &s->model->weights.shape;
    const struct decoder_params *p = &q->params;
    struct decoder_answer *a = calloc(1, sizeof(*a));
    enum status st;

    if (a == NULL)
        return ST_NOMEM;
    a->session = s;
    a->no_end = q->no_end;
    a->stop = q->stop;
    a->began_us = clock_now_us();
    kv_cache_truncate(&s->plain, 0);
    outlet_init(&a->outlet, p->stop, p->stop_count, q->on_text, q->arg);
    st = read_prompt(a, q, h->context);
    if (st == ST_OK)
        st = sampler_init(&a->sampler, p->temperature, p->top_p, p->top_k, p->seed,
                          h->vocabulary);
    if (st == ST_OK)
        st = take_place(a, q->partition);
    if (st != ST_OK) {
        decoder_answer_close(a);
        return st;
    }
    *out = a;
    return ST_OK;
}

bool decoder_answer_ended(const struct decoder_answer *a, enum status *st,
                          struct decoder_result *out)
{
    *st = a->status;
    *out = a->result;
    return a->ended;
}

void decoder_answer_close(struct decoder_answer *a)
{
    free_place(a);
    sampler_release(&a->sampler);
    outlet_release(&a->outlet);
    free(a->ids);
    free(a);
}

/* --- passes --------------------------------------------------------------------------- */

struct plan {
    struct decoder_run runs[DECODER_SEQUENCES_MAX];
    struct decoder_answer *of[DECODER_SEQUENCES_MAX]; /* whose they are */
    size_t count, columns;
};

static bool says_stop(const struct decoder_answer *a)
{
    return a->stop.fn != NULL && a->stop.fn(a->stop.arg);
}

/* Only what all of them have given up is not worth its end. */
static bool all_say_stop(void *arg)
{
    const struct plan *p = arg;

    for (size_t i = 0; i < p->count; i++) {
        if (!says_stop(p->of[i]))
            return false;
    }
    return true;
}

static bool is_writing(const struct decoder_answer *a)
{
    return a->sequence.length + (size_t)1 == a->count && a->answered_us > 0;
}

static void add_run(struct plan *p, struct decoder_answer *a, size_t n)
{
    size_t from = a->sequence.length;

    p->of[p->count] = a;
    p->runs[p->count++] = (struct decoder_run){.sequence = &a->sequence,
                                               .ids = a->ids + from,
                                               .n = n,
                                               .answers = from + n == a->count};
    p->columns += n;
}

/* Of a prompt, up to `most` columns; none of what another has computed meanwhile. */
static void add_piece(struct plan *p, struct decoder_answer *a, size_t most)
{
    size_t left;

    a->result.reused_tokens += kv_cache_reuse(&a->sequence, a->ids, a->count);
    left = a->count - a->sequence.length;
    add_run(p, a, left < most ? left : most);
}

static void make_plan(struct decoder_session *s, struct plan *p)
{
    size_t most;

    p->count = p->columns = 0;
    for (size_t i = 0; i < s->places; i++) {
        if (s->answers[i] != NULL && says_stop(s->answers[i]))
            end(s->answers[i], ST_CANCELED, DECODER_CANCELED);
        if (s->answers[i] != NULL && is_writing(s->answers[i]))
            add_run(p, s->answers[i], 1);
    }
    most = p->columns > 0 ? p->columns + PIECE_BESIDE : QUANT_TOKENS;
    s->turn++;
    for (size_t i = 0; i < s->places && p->columns < most; i++) {
        struct decoder_answer *a = s->answers[(s->turn + i) % s->places];

        if (a != NULL && !is_writing(a))
            add_piece(p, a, most - p->columns);
    }
}

/* What the pass has found: logits of the last columns of a run. */
static void take_answers(struct decoder_answer *a, const struct decoder_run *r,
                         const float *logits)
{
    size_t n = a->session->model->weights.shape.vocabulary;

    a->result.work += r->n;
    if (r->answers == 0)
        return;
    if (a->answered_us == 0) {
        a->answered_us = clock_now_us();
        a->result.prompt_us = a->answered_us - a->began_us;
    }
    take_token(a, sampler_next(&a->sampler, logits, n));
}

void decoder_session_pass(struct decoder_session *s)
{
    const float *logits = s->state.logits;
    struct plan p;
    enum status st;

    make_plan(s, &p);
    if (p.count == 0)
        return;
    st = decoder_forward(&s->state, p.runs, p.count, (struct engine_stop){all_say_stop, &p});
    s->passes++;
    s->columns += p.columns;
    for (size_t i = 0; i < p.count; i++) {
        if (st != ST_OK)
            end(p.of[i], st, DECODER_CANCELED);
        else
            take_answers(p.of[i], &p.runs[i], logits);
        logits += p.runs[i].answers * s->model->weights.shape.vocabulary;
    }
}

/* --- one alone ------------------------------------------------------------------------ */

enum status decoder_chat(struct decoder_session *s, const struct decoder_turn *turns, size_t n,
                         const struct decoder_params *p, decoder_text_fn *on_text, void *arg,
                         struct engine_stop stop, struct decoder_result *out)
{
    const struct decoder_request q = {.turns = turns,
                                      .turn_count = n,
                                      .params = *p,
                                      .on_text = on_text,
                                      .arg = arg,
                                      .stop = stop};
    struct decoder_answer *a;
    enum status st = decoder_answer_open(s, &q, &a);

    *out = (struct decoder_result){.finish = DECODER_CANCELED};
    if (st != ST_OK)
        return st;
    while (!decoder_answer_ended(a, &st, out))
        decoder_session_pass(s);
    decoder_answer_close(a);
    return st;
}
