/* Puts the values back where an answer has their placeholders: in every text of a JSON body,
 * and in streams, where a placeholder may be spread over events. An event whose text ends in
 * what may be the beginning of one waits for the next event of the same text, and gives it
 * that end; nothing else waits, and no event is added or lost.
 *
 * A value that stands in JSON within a text (a call's arguments) is escaped for it. One
 * thread at a time. */
#ifndef PRIVACY_RESTORER_H
#define PRIVACY_RESTORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct restorer;
struct vault;

enum restorer_form {
    RESTORER_JSON,   /* one document: nothing comes out before its end */
    RESTORER_EVENTS, /* text/event-stream, of JSON */
    RESTORER_LINES,  /* JSON a line */
    RESTORER_TEXT,   /* anything else: the bytes themselves */
};

/* `vault` outlives it. `bytes_max`: of a document, or of an event. ST_NOMEM. */
enum status restorer_open(const struct vault *vault, enum restorer_form form, size_t bytes_max,
                          struct restorer **out) MUST_CHECK;
void restorer_close(struct restorer *r);

/* Appends what is ready. ST_LIMIT: beyond bytes_max, or *out is full. */
enum status restorer_feed(struct restorer *r, struct span bytes, struct buf *out) MUST_CHECK;
/* The rest; what is half an event is given out as it is with `whole`, and not otherwise. */
enum status restorer_finish(struct restorer *r, bool whole, struct buf *out) MUST_CHECK;

/* Values put back so far. */
uint64_t restorer_count(const struct restorer *r);

#endif
