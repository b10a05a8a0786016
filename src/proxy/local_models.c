/* Each model is in one state, and only the functions under "states" change it. Reading and
 * letting go happen on one thread, one after the other, so that room that is being made is
 * there before it is used; what they left is taken over on the loop. */
#include "proxy/local_models.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "config/config_models.h"
#include "protocol/protocol.h"
#include "proxy/local_models_change.h"
#include "proxy/local_tiers.h"

/* One that failed is looked at again by who wants it after this. */
#define RETRY_US 5000000
/* Of the mean of speeds: what the last answer counts. */
#define SPEED_WEIGHT     0.2
#define SPEED_TOKENS_MIN 8
/* Of an answer, as long as it has given none; and of a question, of English. */
#define ANSWER_TOKENS 16
/* Speeds of a minute ago say nothing of now: a model that was too slow is tried again. */
#define SPEED_LASTS_US 60000000
#define BYTES_A_TOKEN  4

/* --- on the thread ---------------------------------------------------------------------- */

static void run_look(struct work *w, unsigned worker)
{
    struct tier *t = CONTAINER_OF(w, struct tier, work);

    (void)worker;
    t->result = local_loading_open(&t->settings, true, &t->loaded, &t->err);
}

static void run_load(struct work *w, unsigned worker)
{
    struct tier *t = CONTAINER_OF(w, struct tier, work);

    (void)worker;
    t->result = local_loading_open(&t->settings, false, &t->loaded, &t->err);
}

static void run_unload(struct work *w, unsigned worker)
{
    (void)worker;
    local_loading_close(&CONTAINER_OF(w, struct tier, work)->loaded);
}

/* --- states ------------------------------------------------------------------------------- */

static void go_on(struct local_models *m);

static void log_tier(enum log_level level, const char *event, const struct tier *t)
{
    log_at(level, NULL, kv_event(event), kv_str("model", t->settings.own.name),
           kv_u64("bytes", t->memory_bytes));
}

static void break_down(struct tier *t, const char *why)
{
    snprintf(t->why, sizeof(t->why), "%.511s", why);
    t->state = TIER_BROKEN;
    t->failures_total++;
    t->retry_us = loop_now_us(t->set->loop) + RETRY_US;
    log_at(LOG_WARN, NULL, kv_event("degraded"), kv_str("part", "local_model"),
           kv_str("model", t->settings.own.name), kv_str("why", t->why));
}

/* What it is, is known now. Not loaded. */
static bool get_known(struct tier *t, const struct local_loading *l)
{
    const uint64_t most = t->set->loaded_max_bytes;
    char why[256];

    t->info = l->info;
    t->speed = l->speed;
    t->memory_bytes = l->memory_bytes;
    snprintf(t->guessing, sizeof(t->guessing), "%s", l->guesser_trouble);
    local_voices_identify(&t->set->voices, (size_t)(t - t->set->tiers), &t->settings, l);
    t->state = TIER_UNLOADED;
    if (most == 0 || t->memory_bytes <= most)
        return true;
    snprintf(why, sizeof(why),
             "the model and its workers need %llu MiB, more than local.loaded_max_bytes lets "
             "all of them have",
             (unsigned long long)(t->memory_bytes >> 20));
    break_down(t, why);
    return false;
}

static void tell(struct tier *t, struct local_use *use)
{
    struct local_models *m = t->set;

    list_remove(&use->link);
    use->waits = false;
    t->waiting--;
    m->wait_s += (double)(loop_now_us(m->loop) - use->since_us) / 1e6;
    if (t->state == TIER_LOADED) {
        use->model = t->loaded.model;
        t->users++;
        t->pressing += !use->patient;
    }
    use->ready(use);
}

/* The patient ones, where nobody else is there. */
static void tell_patients(struct tier *t)
{
    while (!list_empty(&t->patients) &&
           ((t->state == TIER_LOADED && t->pressing == 0) || t->state == TIER_BROKEN))
        tell(t, CONTAINER_OF(t->patients.next, struct local_use, link));
}

static void on_idle(struct loop_msg *msg)
{
    struct tier *t = CONTAINER_OF(msg, struct tier, idle);

    t->is_idle_told = false;
    tell_patients(t);
}

/* Those who wait are told, with the model or without. One of them may be done with it at once,
 * and the model make room for another one: then the rest of them waits on. */
static void tell_waiters(struct tier *t)
{
    while (!list_empty(&t->waiters) && (t->state == TIER_LOADED || t->state == TIER_BROKEN))
        tell(t, CONTAINER_OF(t->waiters.next, struct local_use, link));
    tell_patients(t);
}

static void on_done(struct work *w, enum status st);

void local_models_work(struct tier *t, work_run_fn *run)
{
    assert(!t->working);
    if (work_submit(t->set->pool, &t->work, t->set->loop, run, on_done) == ST_OK) {
        t->working = true;
        t->set->busy++;
        return;
    }
    /* The queue has a place for each of them. */
    assert(false);
}

static void start(struct tier *t, enum tier_state state, work_run_fn *run)
{
    t->state = state;
    local_models_work(t, run);
}

static void want(struct tier *t)
{
    t->state = TIER_WANTED;
    list_append(&t->set->wanted, &t->wanted);
}

static void end_look(struct tier *t)
{
    if (t->result != ST_OK) {
        break_down(t, t->err.text);
        return;
    }
    (void)get_known(t, &t->loaded);
    local_loading_close(&t->loaded);
}

static void end_load(struct tier *t)
{
    struct local_models *m = t->set;

    m->load_s += (double)(loop_now_us(m->loop) - t->began_us) / 1e6;
    if (t->result != ST_OK) {
        break_down(t, t->err.text);
    } else if (!local_voices_match(&m->voices, (size_t)(t - m->tiers), &t->settings,
                                   &t->loaded)) {
        /* Requests that wait for it have the old one's name on what they would keep. */
        local_voices_identify(&m->voices, (size_t)(t - m->tiers), &t->settings, &t->loaded);
        local_loading_close(&t->loaded);
        break_down(t, "its file is another than before; it is read anew");
    } else {
        t->loads_total++;
        t->memory_bytes = t->loaded.memory_bytes;
        t->used_us = loop_now_us(m->loop);
        t->state = TIER_LOADED;
        log_tier(LOG_INFO, "model_loaded", t);
    }
    tell_waiters(t);
}

static void end_unload(struct tier *t)
{
    t->evictions_total++;
    t->state = TIER_UNLOADED;
    log_tier(LOG_INFO, "model_unloaded", t);
    if (t->waiting > 0)
        want(t);
}

static void on_last(struct loop_msg *msg)
{
    struct local_models *m = CONTAINER_OF(msg, struct local_models, last);
    void (*closed)(void *owner) = m->closed;
    void *owner = m->owner;

    bool told = m->change_told;

    for (size_t i = 0; i < m->count; i++)
        told = told || m->tiers[i].is_idle_told;
    if (told) {
        loop_defer(m->loop, &m->last, on_last); /* behind what is under way */
        return;
    }
    work_pool_close(m->pool);
    if (m->changing)
        local_models_change_drop(m);
    for (size_t i = 0; i < m->count; i++)
        local_voices_strip(&m->voices, i);
    for (size_t i = 0; i < m->count; i++)
        local_loading_close(&m->tiers[i].loaded);
    local_voices_release(&m->voices);
    free(m->tiers);
    free(m);
    closed(owner);
}

static void on_done(struct work *w, enum status st)
{
    struct tier *t = CONTAINER_OF(w, struct tier, work);
    struct local_models *m = t->set;

    (void)st; /* none is canceled */
    m->busy--;
    t->working = false;
    if (m->closing) {
        if (m->busy == 0)
            loop_defer(m->loop, &m->last, on_last);
        return;
    }
    if (t->change == CHANGE_READING)
        ; /* below */
    else if (t->state == TIER_LOOKING)
        end_look(t);
    else if (t->state == TIER_LOADING)
        end_load(t);
    else
        end_unload(t);
    if (t->change != CHANGE_NONE)
        local_models_change_step(t);
    go_on(m);
}

/* --- room --------------------------------------------------------------------------------- */

static bool is_there(const struct tier *t)
{
    return t->state >= TIER_LOADING;
}

static uint64_t bytes_there(const struct local_models *m)
{
    uint64_t n = 0;

    for (size_t i = 0; i < m->count; i++)
        n += is_there(&m->tiers[i]) ? m->tiers[i].memory_bytes : 0;
    return n;
}

static uint64_t bytes_going(const struct local_models *m)
{
    uint64_t n = 0;

    for (size_t i = 0; i < m->count; i++) {
        if (m->tiers[i].state == TIER_LEAVING || m->tiers[i].state == TIER_UNLOADING)
            n += m->tiers[i].memory_bytes;
    }
    return n;
}

/* What only grows stays when its sessions go. */
static void keep_counts(struct tier *t)
{
    struct decoder_counts *to = &t->set->gone;
    struct local_counts c;

    local_model_counts(t->loaded.model, &c);
    t->set->gone_pushed_out += c.pushed_out;
    to->passes += c.sessions.passes;
    to->columns += c.sessions.columns;
    to->reused += c.sessions.reused;
    to->evicted += c.sessions.evicted;
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++) {
        to->guessed[i] += c.sessions.guessed[i];
        to->right[i] += c.sessions.right[i];
    }
}

static void leave_if_idle(struct tier *t)
{
    if (t->state != TIER_LEAVING || t->users > 0 || t->change != CHANGE_NONE)
        return;
    keep_counts(t);
    local_voices_strip(&t->set->voices, (size_t)(t - t->set->tiers));
    start(t, TIER_UNLOADING, run_unload);
}

/* The one that is to make room: of those that are idle, or else of all, the one that was used
 * the longest ago. NULL: none is left. */
static struct tier *next_to_go(struct local_models *m)
{
    struct tier *best = NULL;

    for (size_t i = 0; i < m->count; i++) {
        struct tier *t = &m->tiers[i];

        if (t->state == TIER_LOADED &&
            (best == NULL || (t->users == 0) > (best->users == 0) ||
             ((t->users == 0) == (best->users == 0) && t->used_us < best->used_us)))
            best = t;
    }
    return best;
}

/* false: room is being made, or there is none to be made before somebody comes back. */
static bool has_room(struct local_models *m, const struct tier *wanted)
{
    struct tier *t;

    if (m->loaded_max_bytes == 0)
        return true;
    while (bytes_there(m) + wanted->memory_bytes > m->loaded_max_bytes) {
        if (bytes_there(m) - bytes_going(m) + wanted->memory_bytes <= m->loaded_max_bytes)
            return false;
        t = next_to_go(m);
        if (t == NULL)
            return false;
        t->state = TIER_LEAVING;
        leave_if_idle(t);
    }
    return true;
}

/* Those that wait for room are read in their order. */
static void go_on(struct local_models *m)
{
    while (!list_empty(&m->wanted)) {
        struct tier *t = CONTAINER_OF(m->wanted.next, struct tier, wanted);

        if (t->change != CHANGE_NONE || (t->waiting > 0 && !has_room(m, t)))
            return;
        list_remove(&t->wanted);
        t->state = TIER_UNLOADED;
        if (t->waiting == 0)
            continue;
        t->began_us = loop_now_us(m->loop);
        start(t, TIER_LOADING, run_load);
    }
}

void local_models_go_on(struct tier *t)
{
    leave_if_idle(t);
    go_on(t->set);
}

/* --- use ---------------------------------------------------------------------------------- */

enum status local_models_take(struct local_models *m, size_t model, struct local_use *use,
                              local_use_fn *ready)
{
    struct tier *t = &m->tiers[model];
    uint64_t now = loop_now_us(m->loop);

    assert(use->model == NULL && !use->waits);
    use->index = model;
    if (t->state == TIER_LOADED && !(use->patient && t->pressing > 0)) {
        t->users++;
        t->pressing += !use->patient;
        t->used_us = now;
        use->model = t->loaded.model;
        return ST_OK;
    }
    if (t->state == TIER_BROKEN || t->state == TIER_LOOKING)
        return ST_UNAVAILABLE;
    if (t->state == TIER_LOADING && now - t->began_us > m->load_timeout_us)
        return ST_TIMEOUT;
    use->ready = ready;
    use->waits = true;
    use->since_us = now;
    list_append(use->patient ? &t->patients : &t->waiters, &use->link);
    t->waiting++;
    m->waits_total++;
    if (t->state == TIER_UNLOADED)
        want(t);
    go_on(m);
    return ST_OVERLOAD;
}

void local_models_leave(struct local_models *m, struct local_use *use)
{
    struct tier *t = &m->tiers[use->index];

    if (use->waits) {
        use->waits = false;
        list_remove(&use->link);
        t->waiting--;
        m->wait_s += (double)(loop_now_us(m->loop) - use->since_us) / 1e6;
        go_on(m);
        return;
    }
    if (use->model == NULL)
        return;
    use->model = NULL;
    assert(t->users > 0);
    t->users--;
    t->pressing -= !use->patient;
    if (t->pressing == 0 && !list_empty(&t->patients) && !t->is_idle_told) {
        t->is_idle_told = true;
        loop_defer(m->loop, &t->idle, on_idle); /* not from within who gives it back */
    }
    t->used_us = loop_now_us(m->loop);
    leave_if_idle(t);
    /* Who waits for room may have it now from one that is idle. */
    if (t->users == 0)
        go_on(m);
}

static bool may_retry(const struct tier *t)
{
    return t->state == TIER_BROKEN && t->change == CHANGE_NONE &&
           loop_now_us(t->set->loop) >= t->retry_us;
}

uint32_t local_models_absent(struct local_models *m)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < m->count; i++) {
        struct tier *t = &m->tiers[i];

        if (may_retry(t))
            start(t, TIER_LOOKING, run_look);
        if (t->state == TIER_BROKEN || t->state == TIER_LOOKING)
            bits |= UINT32_C(1) << i;
    }
    return bits;
}

static double mean_of(double before, double now)
{
    return before > 0 ? before + SPEED_WEIGHT * (now - before) : now;
}

void local_models_note(struct local_models *m, size_t model, const struct decoder_result *r)
{
    struct tier *t = &m->tiers[model];
    uint32_t read = r->prompt_tokens - r->reused_tokens;

    t->noted_us = loop_now_us(m->loop);
    if (r->completion_tokens > 0)
        t->answer_tokens = mean_of(t->answer_tokens, r->completion_tokens);
    if (read >= SPEED_TOKENS_MIN && r->prompt_us > 0)
        t->prompt_per_s = mean_of(t->prompt_per_s, read * 1e6 / (double)r->prompt_us);
    if (r->completion_tokens >= SPEED_TOKENS_MIN && r->decode_us > 0)
        t->tokens_per_s =
            mean_of(t->tokens_per_s, r->completion_tokens * 1e6 / (double)r->decode_us);
}

/* Of the last message alone: what stands before it may have been read already. Nothing that is
 * not known makes it late. */
static bool is_late(const struct tier *t, const struct chat_request *q, uint64_t ms)
{
    bool lately = loop_now_us(t->set->loop) - t->noted_us < SPEED_LASTS_US;
    double read = lately && t->prompt_per_s > 0 ? t->prompt_per_s : t->speed.prompt_per_s;
    double written = lately && t->tokens_per_s > 0 ? t->tokens_per_s : t->speed.decode_per_s;
    double tokens = t->answer_tokens > 0 ? t->answer_tokens : ANSWER_TOKENS;
    double seconds = 0;

    if (q->has_max_tokens && (double)q->max_tokens < tokens)
        tokens = (double)q->max_tokens;
    if (read > 0)
        seconds += (double)q->last_text.len / BYTES_A_TOKEN / read;
    if (written > 0)
        seconds += tokens / written;
    return seconds * 1000 > (double)ms;
}

uint32_t local_models_late(const struct local_models *m, const struct chat_request *q,
                           uint64_t ms)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < m->count; i++)
        bits |= is_late(&m->tiers[i], q, ms) ? UINT32_C(1) << i : 0;
    return bits;
}

/* --- names -------------------------------------------------------------------------------- */

bool local_models_find(const struct local_models *m, struct span name, size_t *voice)
{
    return local_voices_find(&m->voices, name, voice);
}

size_t local_models_voices(const struct local_models *m)
{
    return m->voices.count;
}

struct span local_models_name(const struct local_models *m, size_t voice)
{
    return span_of(m->voices.list[voice]->name);
}

struct span local_models_parent(const struct local_models *m, size_t voice)
{
    const struct local_voice *v = m->voices.list[voice];

    return v->adapter == 0 ? (struct span){NULL, 0}
                           : local_models_name(m, local_voices_main(&m->voices, v->model));
}

struct span local_models_identity(const struct local_models *m, size_t voice)
{
    return span_of(m->voices.list[voice]->identity);
}

void local_models_info(const struct local_models *m, size_t voice, struct model_info *out)
{
    *out = m->tiers[m->voices.list[voice]->model].info;
}

size_t local_models_count(const struct local_models *m)
{
    return m->count;
}

size_t local_models_of(const struct local_models *m, size_t voice)
{
    return m->voices.list[voice]->model;
}

bool local_models_is_listed(const struct local_models *m, size_t voice)
{
    return local_voices_is_listed(&m->voices, voice);
}

size_t local_models_hold(struct local_models *m, size_t voice)
{
    local_voices_hold(&m->voices, voice);
    return voice;
}

void local_models_drop(struct local_models *m, size_t voice)
{
    local_voices_drop(&m->voices, voice);
}

bool local_models_adapter(const struct local_models *m, size_t voice,
                          const struct decoder_adapter **out)
{
    const struct local_voice *v = m->voices.list[voice];

    *out = v->adapter == 0 ? NULL
           : v->retired    ? v->worn
                           : m->tiers[v->model].loaded.adapters.list[v->adapter - 1].adapter;
    return v->adapter == 0 || *out != NULL;
}

size_t local_models_voice(const struct local_models *m, size_t model)
{
    return local_voices_main(&m->voices, model);
}

/* --- what is told ------------------------------------------------------------------------- */

void local_models_state(const struct local_models *m, size_t model,
                        struct local_models_state *out)
{
    static const char *const words[] = {
        [TIER_BROKEN] = "broken",     [TIER_LOOKING] = "broken",
        [TIER_UNLOADED] = "unloaded", [TIER_WANTED] = "loading",
        [TIER_LOADING] = "loading",   [TIER_LOADED] = "loaded",
        [TIER_LEAVING] = "unloading", [TIER_UNLOADING] = "unloading",
    };
    const struct tier *t = &m->tiers[model];
    bool broken = t->state == TIER_BROKEN || t->state == TIER_LOOKING;

    *out = (struct local_models_state){.word = words[t->state],
                                       .why = broken ? t->why : NULL,
                                       .guessing = t->guessing[0] != '\0' ? t->guessing : NULL,
                                       .memory_bytes = t->memory_bytes,
                                       .users = t->users,
                                       .waiting = t->waiting,
                                       .loads_total = t->loads_total,
                                       .failures_total = t->failures_total,
                                       .evictions_total = t->evictions_total,
                                       .tokens_per_s = t->tokens_per_s,
                                       .prompt_per_s = t->prompt_per_s,
                                       .own = &t->settings.own,
                                       .measured = &t->speed};
}

static void add_counts(struct local_counts *to, const struct local_counts *c)
{
    struct decoder_counts *s = &to->sessions;

    to->queued += c->queued;
    to->running += c->running;
    to->pushed_out += c->pushed_out;
    s->passes += c->sessions.passes;
    s->columns += c->sessions.columns;
    s->reused += c->sessions.reused;
    s->evicted += c->sessions.evicted;
    s->pages += c->sessions.pages;
    s->used += c->sessions.used;
    s->kept += c->sessions.kept;
    s->shared += c->sessions.shared;
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++) {
        s->guessed[i] += c->sessions.guessed[i];
        s->right[i] += c->sessions.right[i];
    }
}

void local_models_sums(const struct local_models *m, struct local_models_sums *out)
{
    *out = (struct local_models_sums){
        .loaded_bytes = bytes_there(m),
        .waits_total = m->waits_total,
        .wait_s = m->wait_s,
        .load_s = m->load_s,
        .counts = {.sessions = m->gone, .pushed_out = m->gone_pushed_out}};
    for (size_t i = 0; i < m->count; i++) {
        const struct tier *t = &m->tiers[i];
        struct local_counts c;

        if (t->state != TIER_LOADED && t->state != TIER_LEAVING)
            continue;
        local_model_counts(t->loaded.model, &c);
        add_counts(&out->counts, &c);
    }
}

/* --- the beginning, and the end ----------------------------------------------------------- */

/* Before the loop runs: what was to be there from the start is. */
static void open_tier(struct tier *t)
{
    struct local_models *m = t->set;
    bool now = strcmp(t->settings.own.load, "start") == 0;

    t->result = local_loading_open(&t->settings, !now, &t->loaded, &t->err);
    if (t->result != ST_OK) {
        break_down(t, t->err.text);
        return;
    }
    if (!get_known(t, &t->loaded) || !now ||
        (m->loaded_max_bytes > 0 && bytes_there(m) + t->memory_bytes > m->loaded_max_bytes)) {
        local_loading_close(&t->loaded);
        return;
    }
    t->state = TIER_LOADED;
    t->loads_total++;
}

static enum status init_tier(struct local_models *m, size_t i, const struct config *c)
{
    struct tier *t = &m->tiers[i];

    t->set = m;
    list_init(&t->waiters);
    list_init(&t->patients);
    list_init(&t->wanted);
    local_loading_settings(c, i, &t->settings);
    return local_voices_add(&m->voices, i, &t->settings);
}

enum status local_models_open(struct loop *loop, const struct config *c,
                              struct local_models **out)
{
    struct local_models *m = calloc(1, sizeof(*m));
    enum status st = ST_OK;

    *out = NULL;
    if (m == NULL)
        return ST_NOMEM;
    m->loop = loop;
    m->count = config_models_count(c);
    m->loaded_max_bytes = c->local.loaded_max_bytes;
    m->load_timeout_us = c->local.load_timeout_ms * 1000;
    list_init(&m->wanted);
    if (m->count == 0) {
        free(m);
        return ST_OK;
    }
    m->tiers = calloc(m->count, sizeof(*m->tiers));
    st = m->tiers != NULL ? ST_OK : ST_NOMEM;
    for (size_t i = 0; st == ST_OK && i < m->count; i++)
        st = init_tier(m, i, c);
    if (st == ST_OK)
        st = work_pool_open(&(struct work_pool_options){.threads = 1,
                                                        .queue_max = (unsigned)m->count,
                                                        .batch_max = 1,
                                                        .rank = WORK_BEHIND},
                            &m->pool);
    if (st != ST_OK) {
        local_voices_release(&m->voices);
        free(m->tiers);
        free(m);
        return st;
    }
    for (size_t i = 0; i < m->count; i++)
        open_tier(&m->tiers[i]);
    *out = m;
    return ST_OK;
}

void local_models_close(struct local_models *m, void (*closed)(void *owner), void *owner)
{
    m->closing = true;
    m->closed = closed;
    m->owner = owner;
    if (m->busy == 0)
        loop_defer(m->loop, &m->last, on_last);
}
