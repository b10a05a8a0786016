/* The judge on this machine: the chance that a model's answer begins with "Yes". It costs the
 * prompt, of which the examples are computed once, and one token; it runs when nobody waits for
 * the model. */
#include "base/compiler.h"
#include "config/config.h"
#include "engine/engine.h"
#include "proxy/judge_desk.h"
#include "proxy/local_model.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"

/* Nobody's requests have it: what is computed for a judge is shared with judges alone. */
static const struct digest scope = {.bytes = {'j', 'u', 'd', 'g', 'e'}};

static void on_text(void *owner, struct span text)
{
    (void)owner;
    (void)text;
}

static void on_end(void *owner, enum status st, const struct decoder_result *result,
                   uint64_t cpu_us)
{
    struct judge *j = owner;
    struct proxy *p = j->proxy;
    double bias = p->parts.config->judge.local_bias;

    j->local = NULL;
    local_models_leave(p->parts.local, &j->use);
    j->counts.cpu_s += (double)cpu_us / 1e6;
    p->account.cost_local_s += (double)cpu_us / 1e6;
    judge_verdict(j, st == ST_OK ? judge_case_chance(result, bias) : JUDGE_FAILED);
    p->judging--;
    pipeline_request_gone(p); /* the judge may be gone with it */
}

static const struct local_events events = {on_text, on_end};

static bool start(struct judge *j)
{
    struct proxy *p = j->proxy;
    struct decoder_turn *turns;
    struct local_request q = {.params = {.top_p = 1, .max_tokens = 1},
                              .words = judge_case_words,
                              .word_count = JUDGE_WORDS,
                              .scope = &scope,
                              .tenant = &scope};

    arena_reset(&j->texts);
    turns =
        arena_alloc(&j->texts, JUDGE_TURNS_MAX * sizeof(*turns), _Alignof(struct decoder_turn));
    if (turns == NULL ||
        judge_case_turns(&j->job->what, &j->texts, turns, &q.turn_count) != ST_OK)
        return false;
    q.turns = turns;
    if (local_model_start(j->use.model, p->parts.loop, &q, &events, j, &j->local) != ST_OK)
        return false;
    p->judging++;
    return true;
}

static void on_ready(struct local_use *use)
{
    struct judge *j = CONTAINER_OF(use, struct judge, use);

    if (use->model != NULL && start(j))
        return;
    local_models_leave(j->proxy->parts.local, use);
    judge_verdict(j, JUDGE_FAILED);
}

bool judge_local_ask(struct judge *j)
{
    struct local_models *m = j->proxy->parts.local;
    const char *name = j->proxy->parts.config->judge.local_model;
    size_t voice = 0;
    enum status st;

    if (m == NULL || (name[0] != '\0' && !local_models_find(m, span_of(name), &voice)))
        return false;
    j->use = (struct local_use){.patient = true};
    st = local_models_take(m, local_models_of(m, voice), &j->use, on_ready);
    if (st == ST_OVERLOAD || (st == ST_OK && start(j)))
        return true;
    local_models_leave(m, &j->use);
    return false;
}

bool judge_local_cancel(struct judge *j)
{
    if (j->local != NULL) {
        local_model_cancel(j->local);
        return true;
    }
    local_models_leave(j->proxy->parts.local, &j->use);
    return false;
}
