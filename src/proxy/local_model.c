#include "proxy/local_model.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http/head.h"
#include "rt/loop.h"
#include "rt/work.h"

#define NAME_MAX_BYTES 128
/* Text that the loop has not fetched yet; an answer is bounded by max_tokens, so
 * this is only met when the loop is stuck. */
#define PENDING_MAX_BYTES (1024 * 1024)

struct local_model {
    struct decoder *decoder; /* borrowed */
    struct work_pool *pool;
    char name[NAME_MAX_BYTES];
    char identity[NAME_MAX_BYTES];
    unsigned workers, threads;
    uint32_t max_tokens;
    struct decoder_session *sessions[]; /* one a worker, opened at its first job */
};

struct local_job {
    struct work work;
    struct loop *home;
    const struct decoder_turn *turns; /* borrowed */
    size_t turn_count;
    struct decoder_params params;
    const struct local_events *events;
    void *owner;

    pthread_mutex_t mutex; /* guards pending and posted */
    struct buf pending;    /* made by the worker, not yet fetched */
    bool posted;           /* `text` is under way to the loop */
    struct loop_msg text;

    /* the worker's, until done */
    enum status status;
    struct decoder_result result;
    uint64_t cpu_us;
};

static void deliver(struct local_job *j)
{
    struct buf text;

    pthread_mutex_lock(&j->mutex);
    j->posted = false;
    text = j->pending;
    buf_init(&j->pending, PENDING_MAX_BYTES);
    pthread_mutex_unlock(&j->mutex);
    if (text.len > 0 && !work_canceled(&j->work))
        j->events->on_text(j->owner, buf_span(&text));
    buf_release(&text);
}

static void on_text_posted(struct loop_msg *m)
{
    deliver(CONTAINER_OF(m, struct local_job, text));
}

/* On the worker. */
static void on_text(void *arg, struct span text)
{
    struct local_job *j = arg;
    bool post = false;

    pthread_mutex_lock(&j->mutex);
    if (buf_append(&j->pending, text) != ST_OK)
        j->status = ST_LIMIT;
    else if (!j->posted)
        post = j->posted = true;
    pthread_mutex_unlock(&j->mutex);
    if (post)
        loop_post(j->home, &j->text, on_text_posted);
}

static bool should_stop(void *arg)
{
    struct local_job *j = arg;

    return work_canceled(&j->work) || j->status != ST_OK;
}

static void run(struct work *first, unsigned worker)
{
    struct local_job *j = CONTAINER_OF(first, struct local_job, work);
    struct local_model *m = work_pool_owner(first->pool);
    struct engine_stop stop = {should_stop, j};
    uint64_t t0 = clock_thread_cpu_us();
    enum status st = ST_OK;

    if (m->sessions[worker] == NULL)
        st = decoder_session_open(m->decoder, m->threads, &m->sessions[worker]);
    if (st == ST_OK)
        st = decoder_chat(m->sessions[worker], j->turns, j->turn_count, &j->params, on_text, j,
                          stop, &j->result);
    if (j->status == ST_OK)
        j->status = st;
    j->cpu_us = clock_thread_cpu_us() - t0;
}

/* Messages of one thread keep their order, so every piece of text was delivered
 * before this; what is pending now came without a post of its own. */
static void on_done(struct work *w, enum status st)
{
    struct local_job *j = CONTAINER_OF(w, struct local_job, work);

    deliver(j);
    if (st == ST_OK)
        st = j->status;
    j->events->on_end(j->owner, st, &j->result, j->cpu_us);
    pthread_mutex_destroy(&j->mutex);
    buf_release(&j->pending);
    free(j);
}

enum status local_model_open(struct decoder *decoder, const struct local_model_options *o,
                             struct local_model **out)
{
    struct local_model *m = calloc(1, sizeof(*m) + o->workers * sizeof(m->sessions[0]));
    struct model_info info;
    enum status st;

    if (m == NULL)
        return ST_NOMEM;
    decoder_info(decoder, &info);
    m->decoder = decoder;
    m->workers = o->workers;
    m->threads = o->threads;
    m->max_tokens = o->max_tokens;
    snprintf(m->name, sizeof(m->name), "%s", o->name);
    snprintf(m->identity, sizeof(m->identity), "local:%s %s", info.id, o->chat_template);
    st = work_pool_open(&(struct work_pool_options){.threads = o->workers,
                                                    .queue_max = o->queue_max,
                                                    .batch_max = 1,
                                                    .background = true,
                                                    .owner = m},
                        &m->pool);
    if (st != ST_OK) {
        free(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

void local_model_close(struct local_model *m)
{
    work_pool_close(m->pool);
    for (unsigned i = 0; i < m->workers; i++) {
        if (m->sessions[i] != NULL)
            decoder_session_close(m->sessions[i]);
    }
    free(m);
}

bool local_model_is(const struct local_model *m, struct span name)
{
    return http_name_eq(name, span_of(m->name));
}

struct span local_model_name(const struct local_model *m)
{
    return span_of(m->name);
}

struct span local_model_identity(const struct local_model *m)
{
    return span_of(m->identity);
}

uint32_t local_model_max_tokens(const struct local_model *m)
{
    return m->max_tokens;
}

void local_model_info(const struct local_model *m, struct model_info *out)
{
    decoder_info(m->decoder, out);
}

unsigned local_model_queued(struct local_model *m)
{
    return work_pool_queued(m->pool);
}

enum status local_model_start(struct local_model *m, struct loop *home,
                              const struct decoder_turn *turns, size_t n,
                              const struct decoder_params *params,
                              const struct local_events *events, void *owner,
                              struct local_job **out)
{
    struct local_job *j = calloc(1, sizeof(*j));
    enum status st;

    if (j == NULL)
        return ST_NOMEM;
    j->home = home;
    j->turns = turns;
    j->turn_count = n;
    j->params = *params;
    j->events = events;
    j->owner = owner;
    buf_init(&j->pending, PENDING_MAX_BYTES);
    if (pthread_mutex_init(&j->mutex, NULL) != 0) {
        free(j);
        return ST_NOMEM;
    }
    st = work_submit(m->pool, &j->work, home, run, on_done);
    if (st != ST_OK) {
        pthread_mutex_destroy(&j->mutex);
        free(j);
        return st;
    }
    *out = j;
    return ST_OK;
}

void local_model_cancel(struct local_job *job)
{
    work_cancel(&job->work);
}
