/* Speed classes: how soon an answer is wanted, and who waits for whom. A rule of `routes` says
 * of which class a request is: `completion`, what an editor asks for while somebody types, ends
 * when the same session asks again; `batch` begins when the model writes for nobody else;
 * `interactive` is neither. Loop thread only. */
#ifndef PROXY_SPEED_H
#define PROXY_SPEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct config_route;
struct request;

/* SPEED_NONE: no rule says. The order is that of the words in `routes`. */
enum speed_class {
    SPEED_NONE,
    SPEED_COMPLETION,
    SPEED_INTERACTIVE,
    SPEED_BATCH,
    SPEED_CLASSES
};

struct speed {
    enum speed_class class;
    bool superseded;      /* the same session has asked for something else */
    uint64_t deadline_ms; /* 0: as anybody's */
    uint64_t session;     /* a hash of its name; 0: it has none */
};

struct speed_counts {
    uint64_t requests_total[SPEED_CLASSES];
    uint64_t misses_total[SPEED_CLASSES]; /* of the deadline */
    uint64_t superseded_total;
};

/* "completion", …; static. */
const char *speed_name(enum speed_class c);

/* NULL: no rule applies. */
void speed_settle(struct request *r, const struct config_route *rule);

/* How long who may be asked here has, where the upstream can be asked as well. */
uint64_t speed_patience_ms(const struct request *r);

/* What the same session asked for before is no longer wanted. */
void speed_supersede(struct request *r);

/* An answer was given, or none, after so long. */
void speed_count(struct request *r, uint64_t took_us);

#endif
