/* A replayed stream in the making. Its events are numbered; each call of
 * answer_write_stream() writes the next ones, until there are bytes enough. A dialect walks
 * over all of its events each time and writes those that are due:
 *
 *     if (event_run_due(r))
 *         r->st = write_an_event(r->out, ...);
 *
 * What it walks over is the answer as the client gets it, with its new id and time. */
#ifndef PROTOCOL_EVENT_RUN_H
#define PROTOCOL_EVENT_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct answer;
struct answer_stamp;
struct json;

struct event_run {
    struct buf *out; /* borrowed, like what follows */
    const struct answer *answer;
    const struct answer_stamp *stamp;
    bool include_usage;
    size_t from, next; /* the first event that is wanted; the one at hand */
    size_t end_bytes;  /* of out: then it is enough */
    enum status st;
    bool full;
};

/* Should the event at hand be written? Counts it. */
bool event_run_due(struct event_run *r) MUST_CHECK;

/* Takes the next natural piece of a text off its front: a word with the spaces after it.
 * Characters are never split. */
struct span event_run_piece(struct span *text);

#endif
