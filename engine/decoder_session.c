/* Answers of a session. A pass takes the next token of every answer that is being written, and
 * pieces of the prompts of those that are not yet: small ones beside running answers, so that
 * these go on evenly. Prompts take turns, so that a short one does not wait for a long one. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/choice.h"
#include "engine/confidence.h"
#include "engine/constraint.h"
#include "engine/decoder_forward.h"
#include "engine/decoder_model.h"
#include "engine/decoder_schema.h"
#include "engine/engine.h"
#include "engine/guess.h"
#include "engine/guess_model.h"
#include "engine/outlet.h"
#include "engine/sampler.h"

/* Columns of prompts in a pass that also decodes, at most. */
#define PIECE_BESIDE (QUANT_TOKENS - DECODER_SEQUENCES_MAX)
/* Guesses must promise so much more than none. */
#define WORTH 1.04
/* Of the first guesses, before any was checked. */
static const struct guess_shares shares_first = {{0.6f, 0.4f, 0.6f}};

struct decoder_answer {
    struct decoder_session *session; /* borrowed */
    struct kv_sequence sequence;
    uint32_t *ids;                         /* owned: of the prompt, then of the answer */
    size_t prompt, count;                  /* of them: the prompt's, all */
    size_t pages;                          /* of the cache that are set aside for it */
    uint32_t most;                         /* tokens of the answer */
    const struct decoder_adapter *adapter; /* borrowed; NULL: none */
    bool no_end, no_guesses, confidence, ended;
    enum status status;
    struct sampler sampler;
    struct constraint constraint;
    struct choice choice; /* of no words: nobody asks */
    struct outlet outlet;
    struct engine_stop stop;
    struct guesser guesser;
    struct kv_sequence helped; /* in the cache of the model that guesses */
    struct decoder_result result;
    uint64_t began_us, answered_us; /* opened; its first token */
};

struct decoder_session {
    const struct decoder *model; /* borrowed */
    struct decoder_state state;
    struct kv_sequence plain;   /* of decoder_prefill() and decoder_step() */
    decoder_input_fn *on_input; /* NULL: nobody looks */
    void *arg;
    const struct decoder_adapter *adapter; /* of them */
    uint64_t passes, columns;
    uint64_t guessed[DECODER_GUESS_SOURCES], right[DECODER_GUESS_SOURCES];
    struct guess_shares shares;
    struct guess_model *helper;       /* owned; NULL: none */
    uint16_t *first_bytes;            /* owned; of the tokens; NULL: no schema was asked for */
    struct guess_cost cost;           /* of passes without prompts */
    size_t pages;                     /* set aside for answers */
    size_t turn;                      /* the place whose prompt comes first */
    size_t places;                    /* of answers */
    struct decoder_answer *answers[]; /* borrowed; NULL: a free place */
};

/* Whose keys and values may be taken again: those of the same scope and adapter. */
static uint64_t partition_of(uint64_t scope, const struct decoder_adapter *a)
{
    return (scope ^ (a != NULL ? decoder_adapter_partition(a) : 0)) & (UINT64_MAX >> 1);
}

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
    s->shares = shares_first;
    guess_cost_init(&s->cost);
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
    if (s->helper != NULL)
        guess_model_close(s->helper);
    decoder_forward_release(&s->state);
    free(s->first_bytes);
    free(s);
}

enum status decoder_session_guess_with(struct decoder_session *s, const struct decoder *small,
                                       unsigned threads)
{
    const struct decoder_shape *a = &s->model->weights.shape, *b = &small->weights.shape;

    if (b->context < a->context || b->sequences < a->sequences ||
        b->cache_tokens < a->cache_tokens || !decoder_same_vocabulary(s->model, small))
        return ST_INVALID;
    return guess_model_open(small, threads, &s->helper);
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
    memcpy(out->guessed, s->guessed, sizeof(out->guessed));
    memcpy(out->right, s->right, sizeof(out->right));
}

enum status decoder_prefill(struct decoder_session *s, const uint32_t *ids, size_t n,
                            struct engine_stop stop)
{
    const struct decoder_run run = {
        .sequence = &s->plain, .ids = ids, .n = n, .adapter = s->adapter};

    kv_cache_truncate(&s->plain, 0);
    return decoder_forward_feed(&s->state, &run, stop);
}

enum status decoder_step(struct decoder_session *s, uint32_t id)
{
    return decoder_steps(s, &id, 1);
}

enum status decoder_steps(struct decoder_session *s, const uint32_t *ids, size_t n)
{
    const struct decoder_run run = {
        .sequence = &s->plain, .ids = ids, .n = n, .answers = n, .adapter = s->adapter};

    if (n > decoder_forward_answers(&s->state.weights->shape))
        return ST_LIMIT;
    return decoder_forward(&s->state, &run, 1, (struct engine_stop){NULL, NULL});
}

void decoder_session_adapt(struct decoder_session *s, const struct decoder_adapter *a)
{
    s->adapter = a;
    s->plain.partition = partition_of(0, a);
}

const float *decoder_logits(const struct decoder_session *s)
{
    return s->state.logits;
}

/* The tensor, by where its bytes are. Of fused matrices the first is the tensor's begin. */
static void on_product(void *arg, const struct quant_matrix *w, const float *x, size_t n)
{
    const struct decoder_session *s = arg;
    const struct gguf *g = &s->model->gguf;

    for (size_t i = 0; i < g->tensor_count; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        size_t at = (size_t)((uintptr_t)w->data - (uintptr_t)t->data.ptr);
        size_t matrices = t->dims > 2 ? (size_t)t->shape[2] : 1;
        size_t bytes = t->data.len / matrices;

        if ((uintptr_t)w->data < (uintptr_t)t->data.ptr || at >= t->data.len || at % bytes != 0)
            continue;
        s->on_input(s->arg,
                    &(struct decoder_input){t->name, matrices, at / bytes, x, n, w->cols});
        return;
    }
}

void decoder_session_observe(struct decoder_session *s, decoder_input_fn *fn, void *arg)
{
    s->on_input = fn;
    s->arg = arg;
    s->state.on_product = fn != NULL ? on_product : NULL;
    s->state.arg = s;
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
    kv_cache_release(&a->helped);
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

/* The text becomes valid without more of the model. */
static void end_valid(struct decoder_answer *a)
{
    uint32_t tokens = 0;
    enum status st = constraint_end(&a->constraint, &a->outlet.held, &tokens);

    a->result.completion_tokens += tokens;
    if (st == ST_OK && outlet_pass(&a->outlet)) {
        end(a, ST_OK, DECODER_STOP);
        return;
    }
    outlet_end(&a->outlet);
    end(a, st, st == ST_OK ? DECODER_LENGTH : DECODER_CANCELED);
}

/* The next token; false: the answer has ended instead. */
static bool choose_token(struct decoder_answer *a, float *logits, uint32_t *id)
{
    struct constraint *c = &a->constraint;
    size_t vocabulary = a->session->model->weights.shape.vocabulary;
    uint32_t left = a->most - a->result.completion_tokens - 1;
    struct confidence_row row;

    if (a->choice.words > 0 && a->result.completion_tokens == 0)
        choice_look(&a->choice, logits, vocabulary, a->result.begins);
    if (a->confidence)
        confidence_look(logits, vocabulary, &row);
    if (c->walk == NULL) {
        *id = sampler_next(&a->sampler, logits, vocabulary);
    } else if (!constraint_next(c, &a->sampler, logits, id) ||
               (!is_end(a->session->model, *id) && !constraint_go(c, *id, left))) {
        end_valid(a);
        return false;
    }
    if (a->confidence)
        confidence_add(&a->result.confidence, &row, logits[*id]);
    return true;
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
    if (a->constraint.walk != NULL && constraint_is_done(&a->constraint)) {
        outlet_end(&a->outlet);
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
    if (q->ids == NULL && q->continues)
        st = decoder_fill_prompt(m, q, a->ids, context - 1, &a->prompt);
    else if (q->ids == NULL)
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

/* The text that the answer may be like, as tokens; more than the answer can have is no use. */
static enum status read_like(struct decoder_answer *a, const struct decoder_request *q)
{
    const struct decoder *m = a->session->model;
    size_t count = 0, cap = a->most;
    uint32_t *ids = NULL;
    enum status st = ST_OK;

    if (q->like.len > 0 && m->weights.shape.guessing != DECODER_GUESS_NEVER) {
        ids = malloc(cap * sizeof(*ids));
        st = ids != NULL ? decoder_tokenize(m, q->like, false, ids, cap, &count) : ST_NOMEM;
    }
    guess_init(&a->guesser, ids, st == ST_OK && count < cap ? count : cap, &a->session->shares);
    if (st != ST_OK || ids == NULL)
        a->guesser.count = 0;
    /* Without it the answer is the same. */
    return st == ST_NOMEM ? st : ST_OK;
}

static enum status constrain(struct decoder_answer *a, const struct decoder_schema *s)
{
    const struct decoder *m = a->session->model;
    uint32_t vocabulary = (uint32_t)m->weights.shape.vocabulary;

    if (a->session->first_bytes == NULL)
        a->session->first_bytes = constraint_first_bytes(m->tokens, vocabulary);
    if (a->session->first_bytes == NULL)
        return ST_NOMEM;
    a->constraint.first = a->session->first_bytes;
    a->constraint.tokens = m->tokens;
    a->constraint.ends = m->ends;
    a->constraint.end_count = m->end_count;
    a->constraint.vocabulary = vocabulary;
    return constraint_init(&a->constraint, s->schema, a->most);
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
    if (s->helper != NULL &&
        kv_cache_init(&a->helped, s->helper->state.cache, positions) != ST_OK)
        return ST_NOMEM;
    a->sequence.partition = a->helped.partition = partition_of(partition, a->adapter);
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
    a->confidence = q->confidence;
    a->no_guesses = q->no_guesses;
    a->stop = q->stop;
    a->began_us = clock_now_us();
    a->adapter = q->adapter;
    kv_cache_truncate(&s->plain, 0);
    outlet_init(&a->outlet, p->stop, p->stop_count, q->on_text, q->arg);
    st = read_prompt(a, q, h->context);
    if (st == ST_OK)
        st = choice_read(&a->choice, s->model, q->words, q->word_count);
    if (st == ST_OK)
        st = read_like(a, q);
    if (st == ST_OK)
        st = sampler_init(&a->sampler, p->temperature, p->top_p, p->top_k, p->seed,
                          h->vocabulary);
    if (st == ST_OK && q->schema != NULL)
        st = constrain(a, q->schema);
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
    constraint_release(&a->constraint);
    outlet_release(&a->outlet);
    guess_release(&a->guesser);
    free(a->ids);
    free(a);
}

/* --- passes --------------------------------------------------------------------------- */

struct plan {
    struct decoder_run runs[DECODER_SEQUENCES_MAX];
    struct decoder_answer *of[DECODER_SEQUENCES_MAX]; /* whose they are */
    size_t count, columns;
    size_t writing; /* of the runs: of answers, not of prompts */
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
                                               .answers = from + n == a->count,
                                               .adapter = a->adapter};
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

/* The run whose next guess has the best chance; p->count: none has one. */
static size_t best_guess(const struct plan *p, double *chance)
{
    size_t best = p->count;

    *chance = 0;
    for (size_t i = 0; i < p->count; i++) {
        const struct guesser *g = &p->of[i]->guesser;
        double c = g->taken < g->most ? (double)guess_chance(g, g->taken) : 0;

        if (c > *chance) {
            *chance = c;
            best = i;
        }
    }
    return best;
}

static void give_back(struct plan *p, const size_t *order, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        p->of[order[i]]->guesser.taken--;
    p->columns -= to - from;
}

/* As many guesses, the likeliest first, as bring the most tokens for their time. */
static void choose_guesses(struct decoder_session *s, struct plan *p)
{
    bool always = s->model->weights.shape.guessing == DECODER_GUESS_ALWAYS;
    double tokens = (double)p->count, chance, rate, most;
    size_t order[GUESS_MAX], n = 0, best = 0;

    most = WORTH * tokens / guess_cost_pass(&s->cost, p->columns);
    for (; n < GUESS_MAX; n++) {
        order[n] = best_guess(p, &chance);
        if (order[n] == p->count)
            break;
        p->of[order[n]]->guesser.taken++;
        p->columns++;
        tokens += chance;
        rate = tokens / guess_cost_pass(&s->cost, p->columns);
        if (always || rate > most) {
            most = rate;
            best = n + 1;
        }
    }
    give_back(p, order, best, n);
}

/* Tokens that the smaller model should write ahead of n answers of which nothing else is known:
 * as many as bring the most for the time of both models. */
static size_t guesses_worth(const struct decoder_session *s, const struct plan *p, size_t n,
                            double share)
{
    double alone = guess_cost_pass(&s->cost, p->columns), tokens = (double)p->count, chance = 1;
    double most = WORTH * tokens / alone,
           pass = s->cost.us > 0 ? s->helper->us / s->cost.us : 0;
    size_t best = 0;

    if (s->model->weights.shape.guessing == DECODER_GUESS_ALWAYS)
        return GUESS_MAX / n > 0 ? GUESS_MAX / n : 1;
    for (size_t k = 1; k * n <= GUESS_MAX; k++) {
        double us = guess_cost_pass(&s->cost, p->columns + k * n) + pass * (double)k;

        chance *= share;
        tokens += chance * (double)n;
        if (tokens / us > most) {
            most = tokens / us;
            best = k;
        }
    }
    return best;
}

/* The smaller model guesses where nothing else has. */
static void ask_helper(struct decoder_session *s, struct plan *p)
{
    struct guess_model_task tasks[DECODER_SEQUENCES_MAX];
    size_t n = 0, most = GUESS_MAX, k;
    double share = 0;

    for (size_t i = 0; i < p->count; i++) {
        struct decoder_answer *a = p->of[i];
        size_t left = a->most - a->result.completion_tokens - 1;

        if (a->guesser.most > 0 || a->no_guesses || left == 0 ||
            !guess_is_worth(&a->guesser, DECODER_GUESS_MODEL))
            continue;
        tasks[n++] = (struct guess_model_task){&a->helped, a->ids, a->count, &a->guesser};
        most = left < most ? left : most;
        a->guesser.source = DECODER_GUESS_MODEL;
        share += (double)guess_chance(&a->guesser, 0);
    }
    k = n > 0 ? guesses_worth(s, p, n, share / (double)n) : 0;
    if (k > 0)
        guess_model_run(s->helper, tasks, n, k < most ? k : most);
}

/* The runs of a plan have a token of an answer each; guesses of what follows are put behind. */
static void add_guesses(struct decoder_session *s, struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct decoder_answer *a = p->of[i];

        /* The last token that may come needs no guess behind it. */
        guess_next(&a->guesser, a->ids, a->prompt, a->count,
                   a->no_guesses ? 0 : a->most - a->result.completion_tokens - 1);
    }
    if (s->helper != NULL)
        ask_helper(s, p);
    choose_guesses(s, p);
    for (size_t i = 0; i < p->count; i++) {
        struct decoder_answer *a = p->of[i];
        size_t n = a->guesser.taken;

        memcpy(a->ids + a->count, a->guesser.ids, n * sizeof(*a->ids));
        p->runs[i].n += n;
        p->runs[i].answers += n;
    }
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
    if (p->count > 0 && s->model->weights.shape.guessing != DECODER_GUESS_NEVER)
        add_guesses(s, p);
    p->writing = p->count;
    most = p->columns > 0 && p->columns + PIECE_BESIDE < QUANT_TOKENS
               ? p->columns + PIECE_BESIDE
               : QUANT_TOKENS;
    s->turn++;
    for (size_t i = 0; i < s->places && p->columns < most; i++) {
        struct decoder_answer *a = s->answers[(s->turn + i) % s->places];

        if (a != NULL && !is_writing(a))
            add_piece(p, a, most - p->columns);
    }
}

/* A token comes of the logits of each column, up to the first whose guess was another. */
static void check_guesses(struct decoder_answer *a, size_t answers, float *logits)
{
    struct decoder_session *s = a->session;
    struct guesser *g = &a->guesser;
    size_t tokens = 0, right = 0;
    bool was_right = true;

    for (; tokens < answers && was_right && !a->ended; tokens++) {
        uint32_t id;

        if (!choose_token(a, logits, &id))
            break;
        was_right = tokens < g->taken && id == g->ids[tokens];
        right += was_right;
        take_token(a, id);
        logits += s->model->weights.shape.vocabulary;
    }
    a->result.guessed[g->source] += (uint32_t)g->taken;
    a->result.right[g->source] += (uint32_t)right;
    s->guessed[g->source] += g->taken;
    s->right[g->source] += right;
    guess_learn(g, right, tokens, &s->shares);
    /* What was computed for wrong ones is not of this answer. */
    if (!a->ended)
        kv_cache_truncate(&a->sequence, (uint32_t)a->count - 1);
    if (!a->ended && a->helped.length > a->count - 1)
        kv_cache_truncate(&a->helped, (uint32_t)a->count - 1);
}

/* What the pass has found: logits of the last columns of a run. */
static void take_answers(struct decoder_answer *a, const struct decoder_run *r, float *logits)
{
    a->result.work += r->n;
    if (r->answers == 0)
        return;
    if (a->answered_us == 0) {
        a->answered_us = clock_now_us();
        a->result.prompt_us = a->answered_us - a->began_us;
    }
    check_guesses(a, r->answers, logits);
}

void decoder_session_pass(struct decoder_session *s)
{
    float *logits = s->state.logits;
    struct plan p;
    enum status st;
    uint64_t t0;

    make_plan(s, &p);
    if (p.count == 0)
        return;
    t0 = clock_now_us();
    st = decoder_forward(&s->state, p.runs, p.count, (struct engine_stop){all_say_stop, &p});
    s->passes++;
    s->columns += p.columns;
    if (st == ST_OK && p.writing == p.count)
        guess_cost_add(&s->cost, p.columns, clock_now_us() - t0);
    for (size_t i = 0; i < p.count; i++) {
        if (st != ST_OK)
            end(p.of[i], st, DECODER_CANCELED);
        else
            take_answers(p.of[i], &p.runs[i], logits);
        logits += p.runs[i].answers * s->model->weights.shape.vocabulary;
    }
}

/* --- one alone ------------------------------------------------------------------------ */

enum status decoder_chat(struct decoder_session *s, const struct decoder_request *q,
                         struct decoder_result *out)
{
    struct decoder_answer *a;
    enum status st = decoder_answer_open(s, q, &a);

    *out = (struct decoder_result){.finish = DECODER_CANCELED};
    if (st != ST_OK)
        return st;
    while (!decoder_answer_ended(a, &st, out))
        decoder_session_pass(s);
    decoder_answer_close(a);
    return st;
}
