/* The head of an answer: status, what the protocol needs, and the headers that
 * say who answered, on what evidence, and what it saved. */
#ifndef PROXY_RESPOND_H
#define PROXY_RESPOND_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/head.h"

struct request;

/* Our own fields and those of the answer at hand. */
#define RESPOND_FIELDS_MAX (HTTP_FIELDS_MAX + 16)

/* Begins with a count of 0; what is behind is never read, and too long to be set each time. */
struct respond_fields {
    struct http_field list[RESPOND_FIELDS_MAX];
    size_t count;
};

/* Values are borrowed until the head is written. A full list drops the field. */
void respond_add(struct respond_fields *f, struct span name, struct span value);

/* Cache-Status, Age, x-ibid-*: from the facts of the request. Values live in its
 * arena. */
void respond_add_facts(struct request *r, struct respond_fields *f);

/* The same for a stream of ours, with its type before them. */
void respond_add_stream(struct request *r, struct respond_fields *f);

/* A whole answer of ours; the stream ends with it. */
void respond_whole(struct request *r, unsigned status, struct span content_type,
                   struct span body);

/* An error in the protocol's shape (OpenAI's where the path is unknown). `type`,
 * `code`, `param` may be "". Returns nothing to decide: the answer is on its way. */
void respond_error(struct request *r, unsigned status, const char *type, const char *code,
                   const char *param, const char *message);

/* The body of such an error, for a request that never became one. */
void respond_error_body(struct buf *out, unsigned status, const char *type, const char *code,
                        const char *param, const char *message);

#endif
