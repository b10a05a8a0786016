/* A protocol is a wire dialect: how one API spells a request, an answer, a stream of
 * events and an error. One const table per dialect; what all share (keeping an answer,
 * giving it out, collecting a stream) is in answer.h and collector.h.
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

struct answer;       /* protocol/answer.h */
struct answer_shape; /* protocol/answer.h */
struct answer_stamp; /* protocol/answer.h */
struct event_run;    /* protocol/event_run.h */
struct fold;         /* protocol/collector.h */
struct form_rules;   /* protocol/form.h */
struct json;

/* A request as it came, for decode(). */
struct protocol_request {
    struct span path, query, body;
    unsigned depth_max; /* of nesting, 1..JSON_DEPTH_MAX */
};

/* One message as text, for the built-in model. */
struct chat_turn {
    struct span role; /* as sent: "system", "developer", "user", "assistant", "tool", ... */
    struct span text; /* its text parts joined by a newline */
};

/* A function that may be called. */
struct chat_tool {
    struct span name, description; /* description: may be empty */
    const struct json *parameters; /* a JSON schema; NULL: it takes none */
};

/* What an answer is asked to look like. */
enum chat_form { CHAT_TEXT, CHAT_JSON, CHAT_OTHER };

/* What the steps need to know of a request. Spans live in the arena. */
struct chat_request {
    const struct json *body; /* the whole request, as parsed */
    struct span model;
    bool stream;
    bool include_usage; /* a stream is to end with what it cost */

    const struct chat_turn *turns;
    size_t turn_count;
    bool continues; /* turns[0] is a text that goes on in the answer, which stands between it
                       and turns[1], where there is one */

    /* Last user text: all text parts of the last message when its role is user,
     * joined by a newline. ptr NULL when there is none (other last role, or a
     * user message without text, or with the result of a tool). */
    struct span last_text;

    /* The request's identity (canonical.h): the body without the fields that only
     * matter to the transport, and the same with the last user text taken out. */
    const struct json *exact_form;
    const struct json *partition_form; /* NULL until protocol_hollow() */

    /* what makes semantic or any reuse unsafe */
    uint64_t choices;         /* n; 1 when absent */
    bool has_tools;           /* tools or functions offered */
    bool has_tool_turns;      /* a message with a call of a tool, or with its result */
    bool ends_in_tool_result; /* the last message is one, or holds one */
    bool has_attachments;     /* any part that is not text */
    bool has_state;           /* it reads or changes something that the upstream keeps */
    bool store_false;         /* "store": false */

    /* what the built-in model can not do */
    bool must_call_tool; /* one of `tools`; without any, `unsupported` says why */
    const struct chat_tool *tools;
    size_t tool_count;
    bool wants_logprobs;
    const char *unsupported; /* something else, as a sentence; static; NULL: nothing */

    enum chat_form form;
    const struct json
        *schema; /* CHAT_JSON: that the answer is to be valid of; NULL: any object */

    /* sampling, for cacheability and for the built-in model */
    bool has_temperature, has_top_p, has_seed, has_max_tokens;
    double temperature, top_p;
    uint64_t seed, max_tokens;
    const struct span *stop;
    size_t stop_count;

    /* what vectors are asked of, when they are */
    const struct span *inputs;
    size_t input_count;
    size_t batch_count; /* inputs that are kept each on its own; 0: one, or not so */
    bool has_dimensions, base64;
    uint64_t dimensions;
};

/* Why a request was refused, for the client. */
struct protocol_error {
    char param[64];    /* "messages[2].content"; empty: none */
    char message[192]; /* for people; names the field and what it should be */
};

/* An error of ours. All but the message may be empty. */
struct protocol_failure {
    unsigned status; /* 0: within a stream that has begun */
    struct span type, code, param, message;
};

/* A function that the built-in model calls. */
struct protocol_call {
    struct span id; /* letters and digits, new for each call; a dialect adds its prefix */
    struct span name, arguments; /* arguments: JSON */
};

/* A text of the built-in model, whole. */
struct protocol_text {
    struct span model, text;
    const struct protocol_call *call; /* in place of the text; NULL: none */
    struct span finish;               /* "stop" or "length" */
    uint64_t prompt_tokens, completion_tokens;
};

/* Vectors of the built-in encoder, one of each input. */
struct protocol_vectors {
    struct span model;
    const float *const *list;
    size_t count;
    uint32_t dimensions;
    bool base64; /* as the bytes of little-endian floats, where a dialect has that */
    uint64_t prompt_tokens;
};

/* A stream of a text that is being made. */
struct protocol_live {
    /* The events before the text, with one piece of it, and after it. `a` is the whole
     * answer, as from answer_from_text(). *next numbers the events, where a dialect does; it
     * starts at 0. */
    enum status (*begin)(struct buf *out, struct span model, const struct answer_stamp *stamp,
                         uint64_t *next);
    enum status (*delta)(struct buf *out, struct span model, const struct answer_stamp *stamp,
                         struct span text, uint64_t *next);
    enum status (*finish)(struct buf *out, const struct answer *a,
                          const struct answer_stamp *stamp, bool include_usage, uint64_t *next);
};

enum protocol_framing {
    FRAMING_EVENTS, /* text/event-stream */
    FRAMING_LINES,  /* application/x-ndjson: a JSON value a line */
};

struct protocol {
    const char *name;   /* "openai.chat": configuration, logs, metrics, identities */
    const char *method; /* "POST" */
    bool (*serves)(struct span path);
    enum protocol_framing framing; /* of its streams */

    /* Client bytes -> request. ST_INVALID with *err: a 400 that names the field. */
    enum status (*decode)(struct arena *arena, const struct protocol_request *in,
                          struct chat_request *out, struct protocol_error *err);
    /* How its requests are compared by meaning. NULL: never. */
    const struct form_rules *comparable;

    /* What a whole answer says: sets all of *a but json and its marks. */
    void (*judge)(const struct json *root, struct answer *a);
    const struct answer_shape *shape; /* what of it each replay gets anew */

    /* Streams: events -> whole answer, and back. NULL: not kept. */
    const struct fold *fold;
    void (*replay)(struct event_run *r, const struct json *root);

    /* The built-in model's text as a whole answer. NULL: it does not serve this. */
    enum status (*render)(struct buf *out, const struct protocol_text *t);
    const struct protocol_live *live; /* and as a stream; there when render() is */
    /* The built-in encoder's vectors. NULL: this is no request for any. */
    enum status (*write_vectors)(struct buf *out, const struct protocol_vectors *v);
    /* How many tokens the conversation has for the built-in model. NULL: that is not what is
     * asked. */
    enum status (*write_count)(struct buf *out, uint64_t tokens);
    /* Its requests may have several inputs: embeddings_batch.h takes them apart. */
    bool batched;
    /* It asks about a model, not for anything of it. */
    bool about_model;

    /* Our own failures in the shape this dialect's SDKs understand: as a body, or as an
     * event inside a stream that has begun, which is not its terminal event. */
    enum status (*write_error)(struct buf *out, const struct protocol_failure *f);
    enum status (*write_stream_error)(struct buf *out, const struct protocol_failure *f);
};

/* NULL when no protocol serves this route (then it is relayed untouched). */
const struct protocol *protocol_find(struct span method, struct span path);
/* Whose errors a client of this path understands, whether we serve it or not; never NULL. */
const struct protocol *protocol_spoken(struct span path);
/* By name; NULL when unknown. */
const struct protocol *protocol_named(struct span name);
/* All of them, in order; NULL past the end. */
const struct protocol *protocol_at(size_t i);

/* Does `path` end in `tail` ("/chat/completions") behind one of the beginnings that OpenAI's
 * own API has, or Azure's: /v1, /openai/v1, /openai/deployments/NAME? */
bool protocol_openai_path(struct span path, struct span tail);

/* Makes partition_form, which only a look-up by meaning needs. ST_INVALID without last_text,
 * and for a dialect that is never compared so. */
enum status protocol_hollow(const struct protocol *p, struct arena *arena,
                            struct chat_request *q) MUST_CHECK;

/* … as if the last message were the first one of the conversation: with what the developer
 * says, without what was said before. ST_INVALID too where that can not be told. */
enum status protocol_alone(const struct protocol *p, struct arena *arena,
                           struct chat_request *q) MUST_CHECK;

/* "text/event-stream" or "application/x-ndjson". */
struct span protocol_stream_type(const struct protocol *p);

extern const struct protocol openai_chat_protocol, openai_responses_protocol,
    openai_completions_protocol, openai_embeddings_protocol, openai_moderations_protocol,
    anthropic_messages_protocol, anthropic_count_protocol, ollama_chat_protocol,
    ollama_chat_generate_protocol, ollama_embed_protocol, ollama_embed_old_protocol,
    ollama_show_protocol, gemini_content_protocol, gemini_content_stream_protocol;

#endif
