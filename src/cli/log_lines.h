/* Lines of other programs' logs: which request, and which answer. Pure. */
#ifndef CLI_LOG_LINES_H
#define CLI_LOG_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/json.h"
#include "base/span.h"
#include "base/status.h"

/* The requests of an OpenAI batch, by custom_id: its answers are in a file of their own. */
struct log_requests {
    struct log_request *list; /* owned, in order once sorted */
    size_t count, room;
    struct arena texts;
};

struct log_request {
    struct span id, path, body;
};

void log_lines_requests_init(struct log_requests *r);
/* NULL, or what is wrong with the line (static). */
const char *log_lines_request_add(struct log_requests *r, struct arena *scratch,
                                  struct span line);
/* Once all are there. NULL, or what is wrong with them. */
const char *log_lines_requests_sort(struct log_requests *r);
void log_lines_requests_release(struct log_requests *r);

enum log_line_kind {
    LOG_LINE_ENTRY,    /* of `ibid cache export`: `frame` is its text */
    LOG_LINE_EXCHANGE, /* path, body and answer */
    LOG_LINE_FAILED,   /* an exchange without a good answer */
};

struct log_line {
    enum log_line_kind kind;
    struct span frame;
    struct span path; /* ptr NULL: the line does not say */
    struct buf body, answer;
    uint64_t created_ms; /* 0: the line does not say */
};

void log_lines_init(struct log_line *l, size_t bytes_max);
void log_lines_release(struct log_line *l);

/* What the line says, until `scratch` is reset: an exported entry; an answer of an OpenAI batch
 * (`requests`, or NULL); {request, response}; LiteLLM's {messages, model_parameters, response};
 * Langfuse's {input, output, modelParameters}. `path`: of those that do not say theirs. NULL,
 * or what is wrong with it (static). */
const char *log_lines_read(struct log_line *l, const struct log_requests *requests,
                           struct span path, struct arena *scratch, struct span line);

#endif
