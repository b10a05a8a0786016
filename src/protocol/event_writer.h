/* JSON and events in the making, piece by piece: the first failure sticks, so that a writer
 * is checked once, at its end. Thread of its buffer's owner. */
#ifndef PROTOCOL_EVENT_WRITER_H
#define PROTOCOL_EVENT_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/status.h"

struct json;

struct event_writer {
    struct buf *out; /* borrowed */
    enum status st;
};

/* Bytes as they are. */
void event_writer_put(struct event_writer *w, struct span s);
/* As a JSON string. */
void event_writer_text(struct event_writer *w, struct span s);
void event_writer_u64(struct event_writer *w, uint64_t n);
/* NULL is null. */
void event_writer_json(struct event_writer *w, const struct json *v);
/* ,"name": */
void event_writer_name(struct event_writer *w, struct span name);
/* The members of an object, each after a comma, but for those named in `skip`. */
void event_writer_others(struct event_writer *w, const struct json *v, const struct span *skip,
                         size_t n);

/* event: TYPE, data: {"type":"TYPE" and what is put next, until event_writer_end(). */
struct event_writer event_writer_begin(struct buf *out, struct span type);
/* data: { */
struct event_writer event_writer_begin_data(struct buf *out);
/* }, a blank line */
enum status event_writer_end(struct event_writer *w);

#endif
