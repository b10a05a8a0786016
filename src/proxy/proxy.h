/* What the requests of one loop share, and the way in: a listener hands a
 * connection to the server, the server a request to the pipeline.
 *
 * Everything here belongs to the loop thread. The parts that other threads touch
 * (cache, encoder, model) say so in their own headers. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/span.h"
#include "base/status.h"
#include "proxy/account.h"
#include "proxy/again.h"
#include "proxy/ahead.h"
#include "proxy/catch_up.h"
#include "proxy/credential.h"
#include "proxy/flight.h"
#include "proxy/hedge.h"
#include "proxy/journal.h"
#include "proxy/models_merge.h"
#include "proxy/screen.h"

struct access_log;
struct cache;
struct config;
struct connector;
struct embedder;
struct http_server;
struct io;
struct judge;
struct ledger;
struct ledger_keeper;
struct local_models;
struct loop;
struct otlp;
struct request;
struct setup;
struct trial;

/* The parts, opened by the program. Those that may be missing are NULL. */
struct proxy_parts {
    struct setup *setup; /* the proxy takes a reference of its own */
    const struct config
        *config; /* of it, set by the proxy; a request has its own (request.h) */
    struct loop *loop;
    struct cache *cache;
    struct embedder *embedder;     /* NULL: no semantic cache */
    struct local_models *local;    /* NULL: no model on this machine */
    struct trial *trial;           /* NULL: no answer of a model here is looked at */
    struct access_log *access_log; /* NULL: none */
    struct otlp *otlp;             /* NULL: nobody is told of traces */
    struct span encoder_id;        /* part of every partition */
    struct span encoder_name;      /* as clients name it */
    struct span version;           /* of the program */
    struct span secret;            /* keys the scopes; borrowed */
    struct ledger *ledger;         /* never NULL */
    struct ledger_keeper *keeper;  /* of it; NULL: it is not kept */
};

struct proxy {
    struct proxy_parts parts;
    struct http_server *server;
    struct credentials credentials;
    struct flights flights;
    struct account account;
    struct screen screen;
    struct hedge_counts hedges;
    struct models_memos models;   /* lists of upstreams */
    struct journal journal;       /* the last decisions */
    struct digest_ctx digest_ctx; /* scratch of the loop thread */
    struct buf scratch;           /* canonical bytes of the request at hand */
    struct list_node requests;    /* live ones, closed but busy ones included */
    uint32_t request_count;
    struct list_node spare; /* freelist */
    uint32_t spare_count;
    struct again_slot again[AGAIN_SLOTS];
    struct ahead_slot ahead[AHEAD_SLOTS];
    uint64_t refreshes; /* requests without a client, among `requests` */
    struct catch_up catch_up;
    struct judge *judge; /* owned */
    uint32_t judging;    /* cases that a model here judges, beside all requests */
    bool draining, cutting;
    void (*drained)(void *owner);
    void (*closed)(void *owner);
    void *owner;
};

enum status proxy_open(const struct proxy_parts *parts, struct proxy **out) MUST_CHECK;

/* Requests that begin from now on are answered under `setup`; those in flight end under the
 * one they have. On failure (upstream.accept_file can not be read, no memory) nothing has
 * changed. */
enum status proxy_adopt(struct proxy *p, struct setup *setup) MUST_CHECK;

/* A new client connection; takes ownership of `io`. */
void proxy_accept(struct proxy *p, struct io *io, const char *peer);

/* Ready is over: idle connections close, the others finish. `drained` comes once,
 * later. */
void proxy_drain(struct proxy *p, void (*drained)(void *owner), void *owner);
/* The same when another process serves in our place (http_server_retire()). */
void proxy_retire(struct proxy *p, void (*drained)(void *owner), void *owner);
/* Draining took too long: answers under way break off now, each as its client can see
 * it. What does not end by that is cut by proxy_close(). */
void proxy_cut(struct proxy *p);
/* Cuts what is left, waits for operations in flight, then `closed` once, later;
 * the proxy is gone then. */
void proxy_close(struct proxy *p, void (*closed)(void *owner), void *owner);

/* The pipeline says that a request, or a lesson, came to its end. */
void proxy_requests_gone(struct proxy *p);

#endif
