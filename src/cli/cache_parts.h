/* The parts of ibid that work on stored answers, without a listener: for a command that does
 * so and ends. */
#ifndef CLI_CACHE_PARTS_H
#define CLI_CACHE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/seal.h"
#include "proxy/ledger.h"
#include "proxy/ledger.h"

struct cache_send;
struct config;
struct connector;
struct embedder;
struct encoder;
struct encoder_session;
struct entry;
struct loop;
struct proxy;
struct store;
struct setup;

struct cache_parts {
    const struct config *config; /* borrowed */
    struct loop *loop;           /* all owned */
    struct connector *connector;
    struct store *store;     /* NULL: entries are handed to `send` */
    struct cache_send *send; /* NULL: they are stored here */
    struct encoder *encoder; /* NULL: no semantic cache */
    struct encoder_session *session;
    struct embedder *embedder;
    struct setup *setup;
    struct ledger ledger; /* of the proxy; nothing is answered, so nothing is counted */
    struct proxy *proxy;
    struct buf secret;
    struct seal_ring seal; /* empty: nothing is sealed */
    char encoder_id[128];
    uint64_t submitted; /* entries given to the store */
};

/* Loop, and a way for entries: the store, or where that belongs to an ibid that runs (or is its
 * memory) that ibid, at `admin` or, when that is NULL, at admin.listen. */
bool cache_parts_open_sink(struct cache_parts *p, const struct config *c,
                           const char *admin) MUST_CHECK;
/* Loop and store; false: what is wrong was said on stderr. cache_parts_close() either way. */
bool cache_parts_open_store(struct cache_parts *p, const struct config *c) MUST_CHECK;
/* And what makes entries of requests and answers. */
bool cache_parts_open_proxy(struct cache_parts *p) MUST_CHECK;
void cache_parts_close(struct cache_parts *p);

/* Stores it, with the vector of its question when that is missing and may be. The store gets
 * no more at a time than it takes. false: it did not take them in time. Releases `e`. */
bool cache_parts_put(struct cache_parts *p, struct entry *e) MUST_CHECK;
/* All that was given is written; false: not in time. */
bool cache_parts_settle(struct cache_parts *p) MUST_CHECK;
/* Of what was given, how many the store refused or dropped. */
uint64_t cache_parts_lost(const struct cache_parts *p);

#endif
