/* A stream on its way to who asked first, for those who ask the same meanwhile: they get its
 * bytes as they come, from the first one on, each as fast as its client reads. When the one
 * who asked first leaves, the call goes on for the others.
 *
 * The first bytes are kept for those who may still come, and those that not all have taken, up
 * to a window; the upstream waits for the slowest beyond that, and who comes too late for the
 * first byte waits for the end (flight.h). Loop thread only. */
#ifndef PROXY_FOLLOW_H
#define PROXY_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct follow;
struct request;

/* Of a request: the stream it has others follow, or the one it follows. */
struct follow_part {
    struct follow *led;      /* its own answer; NULL: nobody can follow */
    struct follow *followed; /* another's; NULL: none */
    size_t taken;            /* of that one's bytes */
    bool waits;              /* for its client to read */
    bool kept;               /* its client has left, the call goes on for others */
};

/* The head of the leader's answer is out: those who wait for it and can have its bytes begin.
 */
void follow_open(struct request *leader);
/* One that comes now. false: it has to wait for the end. It holds nothing yet. */
bool follow_join(struct request *leader, struct request *r);

/* The next bytes. */
void follow_feed(struct request *leader, struct span data);
/* Are there too many that somebody has not read? forward_go_on() comes when that may have
 * changed. */
bool follow_full(struct request *leader);
/* The stream has ended well, and the leader's charge is known. */
void follow_end(struct request *leader);
/* It has broken off; `last` ends what was sent, in the dialect's words. */
void follow_break(struct request *leader, struct span last);

/* Is the leader's call still wanted by others than its own client? */
bool follow_wanted(const struct request *leader);

/* The follower's client has read what it was sent. */
void follow_drained(struct request *r);
/* The follower's client is gone; its hold is dropped. */
void follow_leave(struct request *r);

#endif
