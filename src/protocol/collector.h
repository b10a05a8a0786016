/* A stream becomes one whole answer, beside its relay: the collector knows the framing, a
 * dialect's fold what its events say. What comes out is the answer as JSON of the dialect,
 * judged like one that came whole. */
#ifndef PROTOCOL_COLLECTOR_H
#define PROTOCOL_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "protocol/answer.h"

struct collector;
struct json;
struct protocol;

/* How a dialect's events fold into an answer. */
struct fold {
    size_t state_bytes; /* of its state, which is zeroed first */
    /* The terminal event is "[DONE]", which is no JSON. */
    bool done_marker;
    /* `limit`: about the bytes that may be kept. */
    void (*init)(void *state, size_t limit);
    void (*release)(void *state);
    /* One event; `root` is gone after the call. Sets *terminal at the last one. Anything
     * but STORABLE says why this stream can not be kept. */
    enum answer_verdict (*event)(void *state, struct span name, const struct json *root,
                                 bool *terminal);
    /* The whole answer as JSON. INCOMPLETE when the events do not make one; TOO_LARGE. */
    enum answer_verdict (*render)(void *state, struct buf *out);
};

/* bytes_max bounds what is kept; beyond it the verdict is TOO_LARGE and nothing
 * more is kept. ST_NOMEM. */
enum status collector_open(const struct protocol *p, size_t bytes_max,
                           struct collector **out) MUST_CHECK;
void collector_close(struct collector *c);
/* Raw body bytes of the event stream, in any chunking. Never fails: trouble
 * becomes the verdict. */
void collector_feed(struct collector *c, struct span bytes);
/* May an event of ours be written at this point of the relayed bytes? When not,
 * the caller first closes the half-sent event with a blank line. */
bool collector_between_events(const struct collector *c);
/* The body ended by its framing (`framed`) or was cut. */
enum status collector_finish(struct collector *c, bool framed, struct arena *arena,
                             struct answer *out) MUST_CHECK;

#endif
