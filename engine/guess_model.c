#include "engine/guess_model.h"

#include <stdlib.h>

#include "base/clock.h"
#include "engine/sampler.h"

#define MEAN_STEP 0.125

static const struct engine_stop never = {NULL, NULL};

enum status guess_model_open(const struct decoder *d, unsigned threads,
                             struct guess_model **out)
{
    struct guess_model *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return ST_NOMEM;
    m->model = d;
    if (decoder_forward_init(&m->state, &d->weights, threads) != ST_OK) {
        guess_model_close(m);
        return ST_NOMEM;
    }
    *out = m;
    return ST_OK;
}

void guess_model_close(struct guess_model *m)
{
    decoder_forward_release(&m->state);
    free(m);
}

/* Brings a sequence up to all but the last token; a piece a pass at most. */
static bool catch_up(struct guess_model *m, const struct guess_model_task *t)
{
    struct decoder_run run = {.sequence = t->sequence};
    size_t behind;

    (void)kv_cache_reuse(t->sequence, t->ids, t->count);
    behind = t->count - 1 - t->sequence->length;
    if (behind == 0)
        return true;
    run.ids = t->ids + t->sequence->length;
    run.n = behind < QUANT_TOKENS ? behind : QUANT_TOKENS;
    return decoder_forward(&m->state, &run, 1, never) == ST_OK && behind <= QUANT_TOKENS;
}

/* One more token for each of them. */
static enum status guess_one(struct guess_model *m, const struct guess_model_task *const *tasks,
                             size_t count)
{
    const size_t vocabulary = m->model->weights.shape.vocabulary;
    struct decoder_run runs[DECODER_SEQUENCES_MAX];
    enum status st;

    for (size_t i = 0; i < count; i++) {
        const struct guesser *g = tasks[i]->guesser;
        const uint32_t *id =
            g->most == 0 ? &tasks[i]->ids[tasks[i]->count - 1] : &g->ids[g->most - 1];

        runs[i] = (struct decoder_run){
            .sequence = tasks[i]->sequence, .ids = id, .n = 1, .answers = 1};
    }
    st = decoder_forward(&m->state, runs, count, never);
    for (size_t i = 0; st == ST_OK && i < count; i++) {
        struct guesser *g = tasks[i]->guesser;

        g->ids[g->most++] = sampler_likeliest(m->state.logits + i * vocabulary, vocabulary);
    }
    return st;
}

void guess_model_run(struct guess_model *m, const struct guess_model_task *tasks, size_t count,
                     size_t n)
{
    const struct guess_model_task *ready[DECODER_SEQUENCES_MAX];
    size_t some = 0;

    for (size_t i = 0; i < count; i++) {
        tasks[i].guesser->most = tasks[i].guesser->taken = 0;
        tasks[i].guesser->source = DECODER_GUESS_MODEL;
        if (catch_up(m, &tasks[i]))
            ready[some++] = &tasks[i];
    }
    for (size_t k = 0; some > 0 && k < n; k++) {
        uint64_t t0 = clock_now_us();

        if (guess_one(m, ready, some) != ST_OK)
            return;
        t0 = clock_now_us() - t0;
        m->us += (m->us == 0 ? 1 : MEAN_STEP) * ((double)t0 - m->us);
    }
}
