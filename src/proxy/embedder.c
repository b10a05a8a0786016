#include "proxy/embedder.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "rt/loop.h"

#define BATCH_MAX       32
#define LOOP_TURN_US    500         /* a busy loop has more turns than one in that time */
#define JOB_ARENA_BYTES (64 * 1024) /* questions of the candidates of one job */
/* A queue that has not been empty for so long stands: more comes than is done. A burst ends
 * sooner. (The rule of two patiences is that of Maurer 2015, Fail at Scale, ACM Queue 13(8),
 * after Nichols and Jacobson 2012, Controlling Queue Delay.) */
#define STANDS_AFTER_US 100000

/* One worker's own things; touched by that worker only. */
struct bench {
    struct encoder_session *session; /* opened at the first job */
    struct arena arena;
    float *vectors;         /* batch_max x dimensions */
    uint64_t keep_until_us; /* until then the core is not given away */
};

struct embedder {
    struct encoder *encoder; /* borrowed */
    struct work_pool *pool;
    uint32_t dimensions;
    unsigned workers;
    unsigned batch_max;
    _Atomic uint64_t texts, batches; /* statistics only: relaxed */
    _Atomic uint64_t empty_us;       /* when its queue was last seen empty; relaxed: a hint */
    struct bench benches[];
};

static struct embed_job *job_of(struct work *w)
{
    return CONTAINER_OF(w, struct embed_job, work);
}

/* What the stop predicate of a batch looks at. */
struct watch {
    struct work *first; /* of the batch */
    struct bench *bench;
};

/* A loop that shares this thread's core gets it every 20 us of work or so; the kernel alone
 * would let it wait for a slice of some milliseconds. Where others take what was meant for the
 * loop, this thread gives no more away than a fifth of its time. */
static void give_way(struct bench *b, struct loop *loop)
{
    uint64_t began = clock_now_us(), took;
    unsigned turns = loop_turns(loop);

    if (began < b->keep_until_us)
        return;
    sched_yield();
    took = clock_now_us() - began;
    if (took > LOOP_TURN_US && loop_turns(loop) - turns < took / LOOP_TURN_US)
        b->keep_until_us = began + 5 * took;
}

static bool batch_canceled(void *arg)
{
    struct watch *watch = arg;

    give_way(watch->bench, watch->first->home);
    /* Give up only when nobody of the batch waits any more. */
    for (struct work *w = watch->first; w != NULL; w = w->next) {
        if (!work_canceled(w))
            return false;
    }
    return true;
}

/* Neighbours, where they are not looked for elsewhere, and the decision. */
static void decide(struct bench *b, struct embed_job *job)
{
    const struct cache_query q = {.partition = &job->partition,
                                  .vector = job->vector,
                                  .question = job->text,
                                  .asked = job->asked,
                                  .threshold = job->threshold,
                                  .least = job->least,
                                  .floor = job->floor,
                                  .top_k = job->top_k,
                                  .now_ms = clock_wall_ms(),
                                  .neighbours = job->neighbours};
    uint64_t t0 = clock_thread_cpu_us();

    cache_decide(job->cache, &q, &b->arena, &job->decision,
                 job->keep_record ? &job->record : NULL);
    arena_reset(&b->arena);
    job->search_us += clock_thread_cpu_us() - t0;
}

static void finish(struct embedder *e, struct bench *b, struct embed_job *job,
                   const float *vector, uint64_t cpu_us)
{
    job->embed_cpu_us = cpu_us;
    if (job->status != ST_OK)
        return;
    job->vector = malloc(e->dimensions * sizeof(*job->vector));
    if (job->vector == NULL) {
        job->status = ST_NOMEM;
        return;
    }
    memcpy(job->vector, vector, e->dimensions * sizeof(*vector));
    job->dimensions = e->dimensions;
    if (job->search && !job->apart)
        decide(b, job);
}

static bool prepare(struct embedder *e, struct bench *b)
{
    if (b->vectors == NULL)
        b->vectors = malloc((size_t)e->batch_max * e->dimensions * sizeof(*b->vectors));
    if (b->session == NULL && encoder_session_open(e->encoder, &b->session) != ST_OK)
        b->session = NULL;
    return b->vectors != NULL && b->session != NULL;
}

static void note_empty(struct embedder *e, uint64_t now_us)
{
    if (work_pool_queued(e->pool) == 0)
        atomic_store_explicit(&e->empty_us, now_us, memory_order_relaxed);
}

/* Of those taken, the jobs that are worth a vector yet: `out`, as many as returned. Of the
 * others those that have one are decided, the rest end with ST_OVERLOAD. */
static size_t choose(struct embedder *e, struct bench *b, struct work *first,
                     struct embed_job **out)
{
    uint64_t now = clock_now_us();
    bool stands;
    size_t n = 0;

    note_empty(e, now);
    stands = now - atomic_load_explicit(&e->empty_us, memory_order_relaxed) > STANDS_AFTER_US;
    for (struct work *w = first; w != NULL; w = w->next) {
        struct embed_job *job = job_of(w);

        if (job->neighbours != NULL) {
            decide(b, job);
            continue;
        }
        job->embed_cpu_us = job->search_us = 0;
        job->status = ST_OVERLOAD;
        if (!stands || job->wait_max_us == 0 || now - job->submitted_us <= job->wait_max_us)
            out[n++] = job;
    }
    return n;
}

static void run_batch(struct work *first, unsigned worker)
{
    struct embedder *e = work_pool_owner(first->pool);
    struct bench *b = &e->benches[worker];
    struct embed_job *jobs[BATCH_MAX];
    struct span texts[BATCH_MAX];
    enum status each[BATCH_MAX], st = ST_NOMEM;
    struct watch watch = {first, b};
    struct engine_stop stop = {batch_canceled, &watch};
    uint64_t t0 = clock_thread_cpu_us(), cpu_us;
    size_t n = choose(e, b, first, jobs);

    assert(n <= e->batch_max);
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        each[i] = ST_INTERNAL;
        texts[i] = jobs[i]->text;
    }
    if (prepare(e, b))
        st = encoder_embed(b->session, texts, n, b->vectors, each, stop);
    cpu_us = (clock_thread_cpu_us() - t0) / n;
    atomic_fetch_add_explicit(&e->texts, n, memory_order_relaxed);
    atomic_fetch_add_explicit(&e->batches, 1, memory_order_relaxed);
    for (size_t i = 0; i < n; i++) {
        jobs[i]->status = st == ST_OK ? each[i] : st;
        finish(e, b, jobs[i], b->vectors + i * e->dimensions, cpu_us);
    }
}

/* --- neighbours that the store looks for -------------------------------------------------- */

static void on_done(struct work *w, enum status st);

static void end(struct embed_job *job, enum status st)
{
    if (job->neighbours != NULL) {
        neighbours_release(job->neighbours);
        free(job->neighbours);
        job->neighbours = NULL;
    }
    job->done(job, st);
}

/* A miss; the vector is good for storing the answer. */
static void end_without(struct embed_job *job)
{
    job->decision = (struct decision){.reason = "index_unavailable"};
    end(job, ST_OK);
}

static void on_neighbours(struct neighbours *n, enum status st)
{
    struct embed_job *job = n->owner;

    job->looking = false;
    if (st == ST_CANCELED)
        end(job, st);
    else if (st != ST_OK || work_submit(job->work.pool, &job->work, job->work.home, run_batch,
                                        on_done) != ST_OK)
        end_without(job);
}

static void look_for_neighbours(struct embed_job *job)
{
    struct neighbours *n = calloc(1, sizeof(*n));

    job->neighbours = n;
    if (n == NULL) {
        end_without(job);
        return;
    }
    n->query = (struct neighbours_query){.partition = job->partition,
                                         .vector = job->vector,
                                         .dimensions = job->dimensions,
                                         .top_k = job->top_k,
                                         .floor = job->floor};
    n->done = on_neighbours;
    n->owner = job;
    job->looking = cache_find_neighbours(job->cache, n) == ST_OK;
    if (!job->looking)
        end_without(job);
}

/* --- from outside ------------------------------------------------------------------------- */

static void on_done(struct work *w, enum status st)
{
    struct embed_job *job = job_of(w);

    /* It made room for another tenant's: as if it had waited too long. */
    if (st == ST_OVERLOAD) {
        job->status = st;
        if (job->neighbours == NULL)
            job->embed_cpu_us = job->search_us = 0;
        st = ST_OK;
    }
    if (st == ST_OK && job->status == ST_OK && job->apart && job->neighbours == NULL)
        look_for_neighbours(job);
    else
        end(job, st);
}

enum status embedder_open(struct encoder *encoder, const struct embedder_options *o,
                          struct embedder **out)
{
    struct embedder *e = calloc(1, sizeof(*e) + o->workers * sizeof(e->benches[0]));
    struct model_info info;
    enum status st;

    if (e == NULL)
        return ST_NOMEM;
    encoder_info(encoder, &info);
    e->encoder = encoder;
    e->dimensions = info.dimensions;
    e->workers = o->workers;
    e->batch_max = o->batch_max < BATCH_MAX ? o->batch_max : BATCH_MAX;
    for (unsigned i = 0; i < o->workers; i++)
        arena_init(&e->benches[i].arena, JOB_ARENA_BYTES, JOB_ARENA_BYTES);
    st = work_pool_open(&(struct work_pool_options){.threads = o->workers,
                                                    .queue_max = o->queue_max,
                                                    .batch_max = e->batch_max,
                                                    .rank = WORK_BEHIND,
                                                    .fair = true,
                                                    .owner = e},
                        &e->pool);
    if (st != ST_OK) {
        free(e);
        return st;
    }
    *out = e;
    return ST_OK;
}

void embedder_close(struct embedder *e)
{
    work_pool_close(e->pool);
    for (unsigned i = 0; i < e->workers; i++) {
        if (e->benches[i].session != NULL)
            encoder_session_close(e->benches[i].session);
        free(e->benches[i].vectors);
        arena_release(&e->benches[i].arena);
    }
    free(e);
}

enum status embedder_submit(struct embedder *e, struct embed_job *job, struct loop *home,
                            void (*done)(struct embed_job *, enum status))
{
    job->done = done;
    job->vector = NULL;
    job->record = NULL;
    job->neighbours = NULL;
    job->apart = job->search && cache_has_index_apart(job->cache);
    job->looking = false;
    job->status = ST_CANCELED;
    job->submitted_us = clock_now_us();
    job->work.tenant = work_tenant(job->tenant.bytes);
    note_empty(e, job->submitted_us);
    return work_submit(e->pool, &job->work, home, run_batch, on_done);
}

void embedder_cancel(struct embed_job *job)
{
    if (job->looking)
        neighbours_cancel(job->neighbours);
    else
        work_cancel(&job->work);
}

void embedder_job_release(struct embed_job *job)
{
    free(job->vector);
    free(job->record);
    job->vector = NULL;
    job->record = NULL;
}

void embedder_info(const struct embedder *e, struct model_info *out)
{
    encoder_info(e->encoder, out);
}

uint32_t embedder_tokens(const struct embedder *e, struct span text)
{
    size_t n = 0;
    uint32_t none;

    return encoder_tokenize(e->encoder, text, &none, 0, &n) == ST_OK ? (uint32_t)n : 0;
}

uint32_t embedder_dimensions(const struct embedder *e)
{
    return e->dimensions;
}

unsigned embedder_queued(struct embedder *e)
{
    return work_pool_queued(e->pool);
}

uint64_t embedder_pushed_out(struct embedder *e)
{
    return work_pool_pushed_out(e->pool);
}

void embedder_counts(struct embedder *e, uint64_t *texts, uint64_t *batches)
{
    *texts = atomic_load_explicit(&e->texts, memory_order_relaxed);
    *batches = atomic_load_explicit(&e->batches, memory_order_relaxed);
}
