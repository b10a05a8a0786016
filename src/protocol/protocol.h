/* A protocol is a wire dialect: how one API spells a chat request, an answer, a
 * stream of deltas and an error. One const table per dialect.
 *
 * Everything here is a pure function of bytes: no I/O, no global state, no
 * connection, no cache. Any thread. */
#ifndef PROTOCOL_PROTOCOL_H
#define PROTOCOL_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct answer;    /* protocol/answer.h */
struct collector; /* protocol/answer.h */
struct json;

/* One message as text, for the built-in model. */
struct chat_turn {
    struct span role; /* as sent: "system", "developer", "user", "assistant", "tool", ... */
    struct span text; /* its text parts joined by a newline */
};

/* What the steps need to know of a request. Spans live in the arena. */
struct chat_request {
    const struct json *body; /* the whole request, as parsed */
    struct span model;
    bool stream;
    bool include_usage; /* stream_options.include_usage */

    const struct chat_turn *turns;
    size_t turn_count;

    /* Last user text: all text parts of the last message when its role is user,
     * joined by a newline. ptr NULL when there is none (other last role, or a
     * user message without text). */
    struct span last_text;

    /* The request's identity (canonical.h): the body without the fields that only
     * matter to the transport, and the same with the last user text taken out. */
    const struct json *exact_form;
    const struct json *partition_form; /* NULL until hollow() made it */

    /* what makes semantic or any reuse unsafe */
    uint64_t choices;     /* n; 1 when absent */
    bool has_tools;       /* tools or functions offered */
    bool has_tool_turns;  /* a message with tool_calls or of role tool/function */
    bool has_attachments; /* any part that is not text */
    bool store_false;     /* "store": false */

    /* sampling, for cacheability and for the built-in model */
    bool has_temperature, has_top_p, has_seed, has_max_tokens;
    double temperature, top_p;
    uint64_t seed, max_tokens;
    const struct span *stop;
    size_t stop_count;
};

/* Why a request was refused, for the client. */
struct protocol_error {
    char param[64];    /* "messages[2].content"; empty: none */
    char message[192]; /* for people; names the field and what it should be */
};

/* Ids and times of answers are written with a fixed width: "chatcmpl-" and so many
 * letters; ten digits of Unix seconds, which last until 2286. */
#define ANSWER_ID_RANDOM     29
#define ANSWER_ID_BYTES      (9 + ANSWER_ID_RANDOM)
#define ANSWER_CREATED_BYTES 10

/* Fresh identity of an answer we write. */
struct answer_stamp {
    char id[ANSWER_ID_BYTES + 1]; /* "chatcmpl-…", NUL-terminated */
    uint64_t created_s;           /* Unix seconds */
};

struct protocol {
    const char *name;   /* "openai.chat": configuration, logs, metrics */
    const char *method; /* "POST" */
    const char *path;   /* "/v1/chat/completions" */

    /* Client bytes -> request. ST_INVALID with *err: a 400 that names the field.
     * depth_max: of nesting, 1..JSON_DEPTH_MAX. */
    enum status (*decode)(struct arena *arena, struct span body, unsigned depth_max,
                          struct chat_request *out, struct protocol_error *err);

    /* Makes partition_form, which only a look-up by meaning needs. ST_INVALID without
     * last_text. */
    enum status (*hollow)(struct arena *arena, struct chat_request *q);

    /* Upstream bytes -> answer. A whole JSON body at once; *out always gets set on
     * ST_OK and says by itself whether it may be stored (answer.h). */
    enum status (*read_answer)(struct arena *arena, struct span body, struct answer *out);

    /* Answer -> client bytes, whole. */
    enum status (*write_answer)(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp);
    /* The next events of a replayed stream until about `budget` bytes were
     * appended; *cursor starts at 0; *done after the terminal event. */
    enum status (*write_stream)(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage,
                                size_t *cursor, size_t budget, bool *done);

    /* A stream that is being made (built-in model): the first event, a piece of
     * text, and the end (finish reason, usage when asked, terminal event). */
    enum status (*write_begin)(struct buf *out, struct span model,
                               const struct answer_stamp *stamp);
    enum status (*write_delta)(struct buf *out, struct span model,
                               const struct answer_stamp *stamp, struct span text);
    enum status (*write_finish)(struct buf *out, const struct answer *a,
                                const struct answer_stamp *stamp, bool include_usage);

    /* Our own failures in the shape this dialect's SDKs understand. `param` and
     * `code` may be empty. */
    enum status (*write_error)(struct buf *out, unsigned status, struct span type,
                               struct span code, struct span param, struct span message);
    /* The same as an event inside a stream that has begun. Not a terminal event. */
    enum status (*write_stream_error)(struct buf *out, struct span type, struct span message);
};

/* NULL when no protocol serves this route (then it is relayed untouched). */
const struct protocol *protocol_find(struct span method, struct span path);
/* By name; NULL when unknown. */
const struct protocol *protocol_named(struct span name);

void protocol_stamp_new(struct answer_stamp *out, uint64_t wall_ms);

extern const struct protocol openai_chat_protocol;

#endif
