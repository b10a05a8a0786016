#include "proxy/local_model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "rt/loop.h"
#include "rt/work.h"

/* Text that the loop has not fetched yet; an answer is bounded by max_tokens, so
 * this is only met when the loop is stuck. */
#define PENDING_MAX_BYTES (1024 * 1024)
#define REST_MAX_US       900000.0
#define NAP_US            50000.0

/* One worker's own things, and what others may read of them. */
struct desk {
    struct decoder_session *session; /* opened at the first job */
    struct local_job *held;          /* taken, but there is no room for it yet; or NULL */
    bool full;                       /* there will be none before an answer ends */
    struct local_job **jobs;         /* owned: [sequences], being written */
    size_t count;
    /* statistics only: relaxed */
    _Atomic uint64_t holding, running, passes, columns, reused, evicted, pages, used, kept,
        shared, guessed[DECODER_GUESS_SOURCES], right[DECODER_GUESS_SOURCES];
};

struct local_model {
    struct decoder *decoder;       /* borrowed */
    const struct decoder *guesser; /* borrowed; NULL: none */
    struct work_pool *pool;
    struct work_pool *counting; /* NULL: nobody has asked for a count */
    unsigned queue_max;         /* of each */
    enum work_rank rank;
    unsigned workers, threads, sequences;
    double cpu_share;
    uint32_t max_tokens;
    struct desk desks[]; /* one a worker */
};

struct local_job {
    struct work work;
    struct loop *home;
    struct local_request request;
    uint64_t partition;
    const struct local_events *events;
    void *owner;

    pthread_mutex_t mutex; /* guards pending and posted */
    struct buf pending;    /* made by the worker, not yet fetched */
    bool posted;           /* `text` is under way to the loop */
    struct loop_msg text;

    /* the worker's, until done */
    struct decoder_answer *answer;
    enum status status;
    struct decoder_result result;
    uint64_t work_before; /* of the answer, before this pass */
    uint64_t cpu_us;
};

/* --- text ----------------------------------------------------------------------------- */

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

/* --- on the worker -------------------------------------------------------------------- */

static struct local_job *job_of(struct work *w)
{
    return CONTAINER_OF(w, struct local_job, work);
}

static enum status open_answer(const struct desk *d, struct local_job *j)
{
    const struct decoder_request q = {.turns = j->request.turns,
                                      .turn_count = j->request.turn_count,
                                      .continues = j->request.continues,
                                      .params = j->request.params,
                                      .partition = j->partition,
                                      .like = j->request.like,
                                      .adapter = j->request.adapter,
                                      .schema = j->request.schema,
                                      .confidence = j->request.confidence,
                                      .words = j->request.words,
                                      .word_count = j->request.word_count,
                                      .on_text = on_text,
                                      .arg = j,
                                      .stop = {should_stop, j}};
    uint64_t t0 = clock_thread_cpu_us();
    enum status st = decoder_answer_open(d->session, &q, &j->answer);

    j->cpu_us += clock_thread_cpu_us() - t0;
    return st;
}

static void finish(struct local_job *j, enum status st)
{
    if (j->status == ST_OK)
        j->status = st;
    work_finish(&j->work);
}

/* Jobs that wait become answers as long as there is room for them, in their order. */
static void admit(struct local_model *m, struct desk *d)
{
    while (d->count < m->sequences) {
        struct work *w = d->held != NULL ? NULL : work_next(m->pool);
        struct local_job *j = w != NULL ? job_of(w) : d->held;
        enum status st;

        if (j == NULL)
            return;
        d->held = j;
        if (d->full && !work_canceled(&j->work))
            return;
        st = work_canceled(&j->work) ? ST_CANCELED : open_answer(d, j);
        d->full = st == ST_OVERLOAD;
        if (d->full)
            return;
        d->held = NULL;
        if (st == ST_OK)
            d->jobs[d->count++] = j;
        else
            finish(j, st);
    }
}

/* The time of a pass is each answer's by its columns. */
static void run_pass(struct desk *d, unsigned threads)
{
    uint64_t t0 = clock_thread_cpu_us(), took, columns = 0;
    struct decoder_result r;
    enum status st;

    decoder_session_pass(d->session);
    /* The other threads of the session have worked, or waited for it, as long. */
    took = (clock_thread_cpu_us() - t0) * threads;
    for (size_t i = 0; i < d->count; i++) {
        (void)decoder_answer_ended(d->jobs[i]->answer, &st, &r);
        columns += r.work - d->jobs[i]->work_before;
    }
    for (size_t i = 0; i < d->count && columns > 0; i++) {
        (void)decoder_answer_ended(d->jobs[i]->answer, &st, &r);
        d->jobs[i]->cpu_us += took * (r.work - d->jobs[i]->work_before) / columns;
        d->jobs[i]->work_before = r.work;
    }
}

static void let_go(struct desk *d)
{
    size_t left = 0;

    for (size_t i = 0; i < d->count; i++) {
        struct local_job *j = d->jobs[i];
        enum status st;

        if (!decoder_answer_ended(j->answer, &st, &j->result)) {
            d->jobs[left++] = j;
            continue;
        }
        decoder_answer_close(j->answer);
        finish(j, st);
        d->full = false;
    }
    d->count = left;
}

static void set(_Atomic uint64_t *to, uint64_t v)
{
    atomic_store_explicit(to, v, memory_order_relaxed);
}

static void publish(struct desk *d)
{
    struct decoder_counts c;

    decoder_session_counts(d->session, &c);
    set(&d->holding, d->held != NULL);
    set(&d->running, d->count);
    set(&d->passes, c.passes);
    set(&d->columns, c.columns);
    set(&d->reused, c.reused);
    set(&d->evicted, c.evicted);
    set(&d->pages, c.pages);
    set(&d->used, c.used);
    set(&d->kept, c.kept);
    set(&d->shared, c.shared);
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++) {
        set(&d->guessed[i], c.guessed[i]);
        set(&d->right[i], c.right[i]);
    }
}

static enum status open_session(const struct local_model *m, struct desk *d)
{
    enum status st = decoder_session_open(m->decoder, m->threads, &d->session);

    if (st != ST_OK) {
        d->session = NULL;
        return st;
    }
    if (m->guesser != NULL)
        st = decoder_session_guess_with(d->session, m->guesser, m->threads);
    if (st == ST_OK)
        return st;
    decoder_session_close(d->session);
    d->session = NULL;
    return st;
}

static bool is_waited_for(const struct desk *d)
{
    for (size_t i = 0; i < d->count; i++) {
        if (!work_canceled(&d->jobs[i]->work))
            return true;
    }
    return false;
}

/* For as long that the time since began_us is its share, and no longer than REST_MAX_US; in
 * short naps, so that answers that nobody waits for any more end soon. */
static void rest(const struct local_model *m, const struct desk *d, uint64_t began_us)
{
    double us = (double)(clock_now_us() - began_us) * (1 / m->cpu_share - 1);

    if (m->cpu_share >= 1)
        return;
    if (us > REST_MAX_US)
        us = REST_MAX_US;
    while (us > 0 && is_waited_for(d)) {
        double nap_us = us < NAP_US ? us : NAP_US;
        struct timespec t = {.tv_sec = 0, .tv_nsec = (long)(nap_us * 1000)};

        (void)nanosleep(&t, NULL);
        us -= nap_us;
    }
}

static void run(struct work *first, unsigned worker)
{
    struct local_model *m = work_pool_owner(first->pool);
    struct desk *d = &m->desks[worker];
    enum status st = ST_OK;

    if (d->session == NULL)
        st = open_session(m, d);
    if (st != ST_OK) {
        finish(job_of(first), st);
        return;
    }
    d->held = job_of(first);
    do {
        uint64_t began_us = clock_now_us();

        admit(m, d);
        publish(d);
        if (d->count > 0)
            run_pass(d, m->threads);
        let_go(d);
        rest(m, d, began_us);
    } while (d->count > 0 || d->held != NULL);
    publish(d);
}

/* --- on the loop ---------------------------------------------------------------------- */

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

/* --- counting: on a worker of its own, since those of the model may be full of answers ------
 */

/* No token has less than a byte of a text, and there are some between the turns. */
#define COUNT_BETWEEN_TURNS 64

/* Of a conversation beyond the context, too. */
static enum status count_prompt(const struct local_model *m, struct local_job *j)
{
    const struct local_request *q = &j->request;
    uint64_t t0 = clock_thread_cpu_us();
    size_t cap = COUNT_BETWEEN_TURNS, count = 0;
    enum status st = ST_NOMEM;
    uint32_t *ids;

    for (size_t i = 0; i < q->turn_count; i++)
        cap += q->turns[i].role.len + q->turns[i].text.len + COUNT_BETWEEN_TURNS;
    ids = malloc(cap * sizeof(*ids));
    if (ids != NULL)
        st = decoder_chat_tokens(m->decoder, q->turns, q->turn_count, ids, cap, &count);
    free(ids);
    j->result.prompt_tokens = (uint32_t)count;
    j->cpu_us += clock_thread_cpu_us() - t0;
    return st;
}

static void run_count(struct work *first, unsigned worker)
{
    struct local_job *j = job_of(first);

    (void)worker;
    if (!work_canceled(first))
        j->status = count_prompt(work_pool_owner(first->pool), j);
}

/* The pool opens with the first one. */
static enum status submit_count(struct local_model *m, struct local_job *j)
{
    enum status st = ST_OK;

    if (m->counting == NULL)
        st = work_pool_open(&(struct work_pool_options){.threads = 1,
                                                        .queue_max = m->queue_max,
                                                        .batch_max = 1,
                                                        .rank = m->rank,
                                                        .fair = true,
                                                        .owner = m},
                            &m->counting);
    return st == ST_OK ? work_submit(m->counting, &j->work, j->home, run_count, on_done) : st;
}

static void free_model(struct local_model *m)
{
    for (unsigned i = 0; i < m->workers; i++) {
        if (m->desks[i].session != NULL)
            decoder_session_close(m->desks[i].session);
        free(m->desks[i].jobs);
    }
    free(m);
}

enum status local_model_open(struct decoder *decoder, const struct local_model_options *o,
                             struct local_model **out)
{
    struct local_model *m = calloc(1, sizeof(*m) + o->workers * sizeof(m->desks[0]));
    enum status st = ST_OK;

    if (m == NULL)
        return ST_NOMEM;
    m->decoder = decoder;
    m->guesser = o->guesser;
    m->workers = o->workers;
    m->threads = o->threads;
    m->sequences = o->sequences;
    m->cpu_share = o->cpu_share;
    m->max_tokens = o->max_tokens;
    m->queue_max = o->queue_max;
    m->rank = o->rank;
    for (unsigned i = 0; i < o->workers && st == ST_OK; i++) {
        m->desks[i].jobs = calloc(o->sequences, sizeof(struct local_job *));
        st = m->desks[i].jobs != NULL ? ST_OK : ST_NOMEM;
    }
    if (st == ST_OK)
        st = work_pool_open(&(struct work_pool_options){.threads = o->workers,
                                                        .queue_max = o->queue_max,
                                                        .batch_max = 1,
                                                        .rank = o->rank,
                                                        .lasting = true,
                                                        .fair = true,
                                                        .owner = m},
                            &m->pool);
    if (st != ST_OK) {
        free_model(m);
        return st;
    }
    *out = m;
    return ST_OK;
}

void local_model_close(struct local_model *m)
{
    work_pool_close(m->pool);
    if (m->counting != NULL)
        work_pool_close(m->counting);
    free_model(m);
}

uint32_t local_model_max_tokens(const struct local_model *m)
{
    return m->max_tokens;
}

bool local_model_fills(const struct local_model *m)
{
    return decoder_fill_known(m->decoder);
}

static uint64_t get(_Atomic uint64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

void local_model_counts(struct local_model *m, struct local_counts *out)
{
    struct decoder_counts *c = &out->sessions;

    *out = (struct local_counts){.queued = work_pool_queued(m->pool),
                                 .pushed_out = work_pool_pushed_out(m->pool)};
    for (unsigned i = 0; i < m->workers; i++) {
        struct desk *d = &m->desks[i];

        out->queued += get(&d->holding);
        out->running += get(&d->running);
        c->passes += get(&d->passes);
        c->columns += get(&d->columns);
        c->reused += get(&d->reused);
        c->evicted += get(&d->evicted);
        c->pages += get(&d->pages);
        c->used += get(&d->used);
        c->kept += get(&d->kept);
        c->shared += get(&d->shared);
        for (size_t k = 0; k < DECODER_GUESS_SOURCES; k++) {
            c->guessed[k] += get(&d->guessed[k]);
            c->right[k] += get(&d->right[k]);
        }
    }
}

/* A scope is a keyed hash: a part of it tells as little, and two do not meet by chance. */
static uint64_t partition_of(const struct digest *scope)
{
    uint64_t v;

    memcpy(&v, scope->bytes, sizeof(v));
    return v;
}

enum status local_model_start(struct local_model *m, struct loop *home,
                              const struct local_request *q, const struct local_events *events,
                              void *owner, struct local_job **out)
{
    struct local_job *j = calloc(1, sizeof(*j));
    enum status st;

    if (j == NULL)
        return ST_NOMEM;
    j->home = home;
    j->request = *q;
    j->partition = partition_of(q->scope);
    j->work.tenant = work_tenant(q->tenant->bytes);
    j->events = events;
    j->owner = owner;
    buf_init(&j->pending, PENDING_MAX_BYTES);
    if (pthread_mutex_init(&j->mutex, NULL) != 0) {
        free(j);
        return ST_NOMEM;
    }
    st = q->count ? submit_count(m, j) : work_submit(m->pool, &j->work, home, run, on_done);
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
