/* One model of an answer: what was said, how it ended, what it cost.
 *
 * It is made from an upstream's JSON body, collected from a stream, or built
 * from the built-in model's text, and always ends as the same thing, so that an
 * entry made from a stream replays as JSON and the other way round. What the
 * model does not name (tool calls, reasoning, annotations, log-probabilities,
 * unknown fields) is kept with it in the dialect's own JSON and is replayed too: a
 * request's identity holds its dialect, so it is never given out in another one. */
#ifndef PROTOCOL_ANSWER_H
#define PROTOCOL_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

/* Why an answer may not be stored; ANSWER_STORABLE when it may. The names are
 * the values of a metric's label. */
#define ANSWER_VERDICT_MAP(X)                                                                  \
    X(STORABLE, "storable")                                                                    \
    X(INCOMPLETE, "incomplete") /* no terminal event, or framing cut */                        \
    X(ERROR, "error")           /* an error object, alone or within a stream */                \
    X(TRUNCATED, "truncated")   /* finish_reason length */                                     \
    X(FILTERED, "filtered")     /* finish_reason content_filter */                             \
    X(REFUSED, "refused")       /* refusal field */                                            \
    X(TOOL_CALL, "tool_call")                                                                  \
    X(EMPTY, "empty")                                                                          \
    X(CHOICES, "choices") /* other than exactly one */                                         \
    X(MALFORMED, "malformed")                                                                  \
    X(UNKNOWN, "unknown_event") /* of a kind that we can not fold */                           \
    X(TOO_LARGE, "too_large")

enum answer_verdict {
#define X(name, text) ANSWER_##name,
    ANSWER_VERDICT_MAP(X)
#undef X
};

struct json;
struct protocol;
struct protocol_text;

const char *answer_verdict_name(enum answer_verdict v);

/* Fresh identity of an answer that we write: letters for its id, and its time. */
#define ANSWER_ID_LETTERS 29

struct answer_stamp {
    char letters[ANSWER_ID_LETTERS + 1]; /* random; NUL-terminated */
    uint64_t created_s;                  /* Unix seconds */
};

void answer_stamp_new(struct answer_stamp *out, uint64_t wall_ms);

struct answer;
/* Sets cached_tokens, which are no more than the prompt's, from a member of the usage; NULL:
 * none. */
void answer_set_cached(struct answer *a, const struct json *v);

enum answer_time {
    ANSWER_TIME_NONE,
    ANSWER_TIME_UNIX,    /* ten digits of seconds, which last until 2286 */
    ANSWER_TIME_RFC3339, /* "2026-01-31T12:00:00.000000Z" */
};

#define ANSWER_UNIX_BYTES    10
#define ANSWER_RFC3339_BYTES 27

/* What of a whole answer each replay gets anew, by the names of its members. Both have a
 * fixed width, so that answer_write() only has to put them at known places: an exact hit
 * must not parse anything. */
struct answer_shape {
    struct span object;    /* of the member "object", which is put right; empty: no such */
    struct span id;        /* empty: the id is kept */
    struct span id_prefix; /* "chatcmpl-", before the letters */
    unsigned id_letters;   /* at most ANSWER_ID_LETTERS */
    struct span time;      /* empty: the time is kept */
    enum answer_time time_form;
    /* Does the id name something that the upstream keeps? Then both are left as they are.
     * NULL: never. */
    bool (*names_state)(const struct json *root);
};

struct answer {
    enum answer_verdict verdict;
    struct span model;         /* as the answerer named itself */
    struct span text;          /* what was said, of its first part */
    struct span finish_reason; /* in the dialect's words */
    bool has_usage;
    /* It came as a stream whose client did not ask for usage, so what it cost is not
     * known: not an answer for a client who would be told. */
    bool usage_withheld;
    uint64_t prompt_tokens, completion_tokens, total_tokens;
    uint64_t cached_tokens; /* of the prompt's: read from the upstream's own cache of prompts */
    /* The whole answer in its dialect, as the upstream wrote it but for what each replay
     * gets anew. */
    struct span json;
    uint32_t id_at, id_letters; /* where in json, and how many; 0 letters: none */
    uint32_t time_at;
    enum answer_time time_form;
};

/* An answer as opaque bytes for the cache, and back (spans then point into
 * `bytes`, which must outlive *out). Versioned; an unknown version is
 * ST_INVALID, which callers treat as a miss. */
enum status answer_pack(struct buf *out, const struct answer *a) MUST_CHECK;
enum status answer_unpack(struct span bytes, struct answer *out) MUST_CHECK;

/* A whole body of the upstream. *out is set on ST_OK and says by itself whether it may be
 * stored; json is there for a storable one and for a tool's call. */
enum status answer_read(const struct protocol *p, struct arena *arena, struct span body,
                        struct answer *out) MUST_CHECK;

/* A text of the built-in model; json is there whatever the verdict. */
enum status answer_from_text(const struct protocol *p, struct arena *arena,
                             const struct protocol_text *t, struct answer *out) MUST_CHECK;

/* The whole answer for a client. */
enum status answer_write(struct buf *out, const struct answer *a,
                         const struct answer_stamp *stamp) MUST_CHECK;
/* The next events of a replayed stream until about `budget` bytes were appended; *cursor
 * starts at 0; *done after the terminal event. */
enum status answer_write_stream(const struct protocol *p, struct buf *out,
                                const struct answer *a, const struct answer_stamp *stamp,
                                bool include_usage, size_t *cursor, size_t budget,
                                bool *done) MUST_CHECK;

/* An answer's time as its form has it; ANSWER_RFC3339_BYTES are enough. Returns the bytes. */
size_t answer_time_write(enum answer_time form, uint64_t unix_s, char *out);

#endif
