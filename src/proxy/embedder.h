/* The encoder pool: text in, unit vector and the cache's decision out. Embedding
 * and searching are one job on one worker, so a semantic look-up is one hop to a
 * worker and one back. Jobs that wait are taken together and embedded in one
 * batch. Where the store keeps the vectors (cache_has_index_apart()) it is asked in between,
 * by the loop: embedded on a worker, searched for there, decided on a worker. */
#ifndef PROXY_EMBEDDER_H
#define PROXY_EMBEDDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/cache.h"
#include "rt/work.h"

struct embedder;
struct encoder;
struct loop;
struct model_info;

/* Embed in the owner. Input above, output below; owned by a worker between
 * embedder_submit() and done. */
struct embed_job {
    struct work work;
    void (*done)(struct embed_job *job, enum status st);
    void *owner; /* the caller's */

    struct span text;
    struct digest tenant; /* tenants take turns */
    struct span asked;    /* of struct cache_query */
    /* While the queue stands: longer than this it does not wait, and ends with ST_OVERLOAD.
     * 0: for as long as it takes. */
    uint64_t wait_max_us;
    uint64_t submitted_us; /* the embedder's */
    bool search;           /* also look for neighbours and decide */
    struct digest partition;
    double threshold, least; /* of struct cache_query */
    float floor;
    struct cache *cache;
    uint32_t top_k;
    bool keep_record; /* of what is looked at */

    /* ST_OK; ST_LIMIT: text beyond the window; ST_INVALID; ST_OVERLOAD: wait_max_us, or it made
     * room in a full queue. The vector may be there all the same when the neighbours were not
     * to be had: `decision` says "index_unavailable" then. */
    enum status status;
    float *vector; /* owned by the job until embedder_job_release() */
    uint32_t dimensions;
    struct decision decision;       /* when `search` and ST_OK */
    struct decision_record *record; /* likewise; owned as the vector is, NULL: none */
    uint64_t embed_cpu_us;          /* this job's share of its batch */
    uint64_t search_us;             /* CPU of look-up and decision */

    /* The embedder's, where the store keeps the vectors. */
    struct neighbours *neighbours; /* owned; NULL: not looked for yet */
    bool apart;                    /* they are to be looked for */
    bool looking;                  /* they are being looked for: no worker has the job */
};

struct embedder_options {
    unsigned workers;
    unsigned queue_max;
    unsigned batch_max; /* texts taken together */
};

enum status embedder_open(struct encoder *encoder, const struct embedder_options *o,
                          struct embedder **out) MUST_CHECK;
/* Joins the workers; every job in flight is still delivered by its loop. */
void embedder_close(struct embedder *e);

/* ST_OK: done comes once, later, on `home`, with ST_OK (see job->status) or
 * ST_CANCELED. ST_OVERLOAD: the queue is full. */
enum status embedder_submit(struct embedder *e, struct embed_job *job, struct loop *home,
                            void (*done)(struct embed_job *, enum status)) MUST_CHECK;
void embedder_cancel(struct embed_job *job);
void embedder_job_release(struct embed_job *job);

void embedder_info(const struct embedder *e, struct model_info *out);
/* Of a text, those that are added included; 0 when it can not be told. */
uint32_t embedder_tokens(const struct embedder *e, struct span text);
uint32_t embedder_dimensions(const struct embedder *e);
unsigned embedder_queued(struct embedder *e);
/* Jobs that made room for another tenant's. */
uint64_t embedder_pushed_out(struct embedder *e);
/* Texts embedded and batches run so far; any thread. */
void embedder_counts(struct embedder *e, uint64_t *texts, uint64_t *batches);

#endif
