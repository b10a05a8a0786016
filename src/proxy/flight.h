/* Identical requests in flight: the first leads, the others wait for its answer
 * instead of asking the same thing again. Keys hold the scope, so nobody waits
 * for a stranger. Loop thread only. */
#ifndef PROXY_FLIGHT_H
#define PROXY_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/status.h"

struct entry;
struct lease;
struct request;

#define FLIGHTS_BUCKETS 1024

struct flight {
    struct digest key;
    struct digest credential; /* the leader's */
    struct request *leader;
    struct list_node link;      /* in its bucket */
    struct list_node followers; /* struct request.flight_link */
    struct lease *lease;        /* owned: among replicas; NULL: none */
};

struct flights {
    struct list_node buckets[FLIGHTS_BUCKETS];
};

void flight_init(struct flights *f);

/* The flight under way for `key`, or NULL. */
struct flight *flight_find(struct flights *f, const struct digest *key);

/* `leader` now answers for everyone who asks the same. */
enum status flight_lead(struct flights *f, struct request *leader) MUST_CHECK;

/* `r` waits: flight_land() resumes it. */
void flight_follow(struct flight *f, struct request *r);
/* `r` waits no more (its client left, or its patience ended). */
void flight_leave(struct request *r);

/* The leader's answer is there (`e`, each follower gets a reference of its own), or
 * it is not to be shared (NULL: the followers go their own ways). Safe when
 * `leader` leads nothing. */
void flight_land(struct request *leader, struct entry *e);
/* The leader's client left before there was an answer: the first who waits leads from now
 * on, so that one client that leaves does not let all others loose on the upstream. */
void flight_pass_on(struct request *leader);

#endif
