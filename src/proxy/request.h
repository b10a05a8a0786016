/* One request: a fixed list of steps walked from the top to the bottom.
 *
 * A step does its part and says what comes next. The order of the steps is the
 * architecture of the proxy and stands in one table (pipeline.c); a step knows
 * nothing of its neighbours, only the facts that earlier steps left here. A step
 * that has to wait starts one operation, returns STEP_WAIT, and its callback
 * calls request_resume(): that is the only way back in, so there is one place to
 * look for "who moves this on".
 *
 * Lifetime: a request is freed when it is closed and no operation is in flight.
 * Every started operation is bracketed by request_hold() and, first thing in its
 * callback, request_drop(). Loop thread only. */
#ifndef PROXY_REQUEST_H
#define PROXY_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/span.h"
#include "base/status.h"
#include "cache/cache.h"
#include "protocol/answer.h"
#include "protocol/protocol.h"
#include "proxy/beside.h"
#include "proxy/charge.h"
#include "proxy/controls.h"
#include "proxy/embedder.h"
#include "proxy/follow.h"
#include "proxy/hedge.h"
#include "proxy/local_models.h"
#include "proxy/pace.h"
#include "proxy/routing.h"
#include "proxy/screen.h"
#include "proxy/source.h"
#include "proxy/speed.h"
#include "rt/timer.h"

struct attempt;
struct collector;
struct content_decoder;
struct flight;
struct gather;
struct http_call;
struct http_head;
struct http_stream;
struct decoder_schema;
struct decoder_turn;
struct local_job;
struct proxy;
struct request;
struct setup;
struct trace;
struct upstream;
struct unveil;
struct upstream_place;
struct vault;
struct vote;
struct vectors;

enum step_result {
    STEP_NEXT, /* go on with the following step, now */
    STEP_WAIT, /* an operation is in flight; request_resume() will come */
    STEP_DONE, /* the answer is on its way; nothing left to decide */
};

struct step {
    const char *name; /* in logs and in the per-step latency metric */
    enum step_result (*enter)(struct request *r);
    /* The client went away while the step waited, or the program ends. NULL: the
     * step never waits. */
    void (*cancel)(struct request *r);
};

/* An answer after its end. */
enum stale_use { STALE_NONE, STALE_REVALIDATE, STALE_ERROR };

/* How the answer's bytes flow to the client once it is chosen. */
struct answer_flow {
    struct answer_stamp stamp; /* id and created of an answer that we write */
    size_t cursor;             /* of a replayed stream */
    bool made;                 /* … its last event too */
    bool paced;                /* … which waits, as bytes, for its time */
    struct pace pace;
    uint64_t events; /* of the built-in model's stream, so far */
    bool head_sent;
    bool marked;    /* a stream of ours has its "metadata" */
    bool line_open; /* the last byte relayed ended no line */
    bool is_events; /* the upstream's: an event stream of a dialect we know */
    bool waits;     /* relayed: the client has to read first */
};

struct request {
    /* where we are */
    const struct step *step; /* the current one; ends at .enter == NULL */
    unsigned in_flight;      /* operations started, callback not yet run */
    bool walking;            /* a step is running: guards against re-entry */
    bool waiting;            /* current step returned STEP_WAIT */
    bool closed;             /* the stream is gone: client left or answer sent */

    /* who and where */
    struct proxy *proxy;          /* borrowed; outlives every request */
    struct setup *setup;          /* owned reference: the settings it began with */
    struct http_stream *stream;   /* borrowed; NULL once closed */
    const struct http_head *head; /* borrowed from the stream: not after close */
    struct list_node link;        /* in proxy->requests */
    struct arena arena;
    uint64_t started_us;
    uint64_t step_us;    /* when the current step began */
    bool timed;          /* also steps that do not wait are timed */
    struct trace *trace; /* arena; NULL: it is not traced */

    /* body (cached routes: whole; otherwise streams to the upstream) */
    const struct protocol *protocol; /* NULL: relayed untouched */
    const struct protocol *dialect;  /* what our errors are spelled in, relayed or not */
    struct buf body;
    bool body_complete;
    bool oversize; /* a cached route's body beyond the limit: relayed untouched */

    /* decode */
    struct chat_request chat;

    /* choose */
    struct span stripped;      /* off the path: it named the upstream; of the configuration */
    struct upstream *upstream; /* who would answer; borrowed; NULL: none takes it */
    struct span alias; /* by which the request named its model; empty: by its own name */
    const struct json *wishes; /* the body as it came, when members of it end here; else NULL */

    /* screen, veil */
    struct screen_result screen;
    struct vault *vault;   /* what placeholders stand for; arena; NULL: nothing is replaced */
    struct unveil *unveil; /* owned: of the answer on its way; NULL: not begun */

    /* admit */
    struct controls controls;
    struct digest credential; /* HMAC of what the client authenticates with */
    struct digest scope;
    bool to_local;    /* a model on this machine would answer, not the upstream */
    size_t voice;     /* which one: local_models_find() */
    bool holds_voice; /* held_voice stays what it is to the end of this */
    size_t held_voice;
    size_t rung;                   /* its place on the ladder, where ibid chose it */
    uint32_t absent;               /* models that are out of the question: bit i, the i-th */
    uint32_t late;                 /* and those that would answer too late, of who may answer */
    struct routing_verdict routed; /* by rules and what was learned; ROUTING_OPEN until route */
    const char *rule;   /* of the operator's, that applies; of the setup; NULL: none */
    struct speed speed; /* how soon it is wanted */
    unsigned examples;  /* that the built-in model was shown */
    const struct decoder_turn *shown; /* these: pairs of turns; in the arena */
    size_t shown_count;               /* pairs, the operator's included */
    double sure;                      /* of the built-in model's answer; 0: not known (yet) */
    struct attempt *attempt;          /* … that answer; NULL: none was looked at */
    bool thinks;                      /* the model was asked to: prompt_strip() */
    bool unanswered;                  /* … and has come to no answer */
    unsigned local_jobs;              /* of the built-in model, under way */
    struct vote *vote;                /* arena; NULL: none */
    double votes;                     /* share of the samples that say the same; 0: no vote */
    enum beside beside;
    struct timer beside_timer;
    bool judged;            /* by what was learned: `enough` is set, and both may be asked */
    double enough;          /* P(the built-in model is) */
    bool may_read;          /* an exact entry may answer */
    bool may_read_semantic; /* a near one may */
    bool may_store;         /* the answer may become an entry */
    bool timely; /* what is asked is of the moment, and kept for a short time: record_unfit() */
    bool may_store_semantic; /* … to be found by meaning */
    const char *miss_reason; /* why nothing stored answered; static */

    /* rewrite: what is asked, without what was said before; arena. ptr NULL: the last text is
     * compared, with the conversation as it is. See rewrite_question(). */
    struct span alone;

    /* exact, flight, lookup */
    struct digest key, partition;
    struct cache_get get;
    bool store_silent;        /* it did not answer this request in time, or at all */
    struct entry *entry;      /* owned reference: the entry that answers */
    struct entry *stale;      /* owned reference: may answer should the upstream fail */
    enum stale_use stale_use; /* of `entry`, when it answers */
    unsigned failed_status;   /* the upstream's, in whose place it does; 0: none came */
    enum source source;
    struct gather *gather;        /* gather; NULL: not several inputs */
    struct flight *flight;        /* the flight this request leads or follows */
    struct list_node flight_link; /* among the followers */
    struct follow_part follow;    /* … while the answer is on its way */
    bool leads;                   /* of `flight` */
    struct embed_job embed;       /* vector, decision, and what they cost */
    bool embed_started, embed_done;
    uint64_t decision_id;       /* in proxy->journal; JOURNAL_NONE: not there */
    struct cache_get neighbour; /* compare: a neighbour is read from the store */
    struct entry *compared;     /* … owned reference, until then: what is compared with it */
    struct timer deadline;      /* of the step that waits */

    /* the answer on its way */
    struct charge charge; /* what it comes to */
    struct answer_flow flow;
    struct upstream_place *place; /* forward: where it is asked; borrowed */
    struct http_call *call;       /* forward; NULL when none is under way */
    struct http_call *rival;      /* hedge: a second one, while either may answer */
    struct upstream_place *rival_place;
    hedge_call_fn *hedge_start;
    bool hedged;                     /* r->call is the second one, and the first has failed */
    struct collector *collector;     /* owned: an event stream is collected beside */
    struct buf recorded;             /* a JSON answer is collected beside */
    struct content_decoder *decoder; /* owned: of a coded answer, before either */
    bool recording;
    bool streams; /* forward: the body goes out as it comes in, and is not kept */
    bool upload_ended;
    bool tunnel;                   /* both sides are bytes now: a WebSocket */
    bool timed_out;                /* local: the deadline came */
    uint64_t patience_us;          /* local: when it will; 0: not begun */
    bool tried;                    /* local: its answer is looked at before it is given out */
    struct local_use use;          /* local: the model, or the wait for it */
    struct local_job *local;       /* local; NULL when none is under way */
    struct decoder_schema *schema; /* local: of its answer; owned until its end, or NULL */
    struct vectors *vectors;       /* vectors; NULL when none is under way */
};

/* From a freelist of the proxy. NULL when memory is out. */
struct request *request_open(struct proxy *p, struct http_stream *s);
/* One that no client waits for: closed from the beginning, and held once; gone with the last
 * request_drop(). It has no head yet, and is not walked. A reference of its own to `setup` is
 * taken. */
struct request *request_open_detached(struct proxy *p, struct setup *setup);

void request_start(struct request *r, const struct step *steps);

/* From an operation's callback, after request_drop(). */
void request_resume(struct request *r);

/* From such a callback: the step that waited is entered once more. */
void request_again(struct request *r);

/* From such a callback too: the answer is on its way, the walk is over. */
void request_finish(struct request *r);

/* The stream is gone. Cancels the current step if it waits. Never called from
 * inside a step. May free the request. */
void request_close(struct request *r);

void request_hold(struct request *r);

/* Returns false if the request is closed: then it may be gone already and the
 * callback must return at once. */
bool request_drop(struct request *r) MUST_CHECK;

/* Frees what the freelist keeps (at the end of the proxy). */
void request_pool_release(struct proxy *p);

#endif
