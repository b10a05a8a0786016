/* One model of an answer: what was said, how it ended, what it cost.
 *
 * It is made from an upstream's JSON body, collected from a stream, or built
 * from the built-in model's text, and always ends as the same thing, so that an
 * entry made from a stream replays as JSON and the other way round. What the
 * model does not name (reasoning, annotations, log-probabilities, unknown
 * fields) is kept with it as JSON and is replayed too. */
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
    X(TOO_LARGE, "too_large")

enum answer_verdict {
#define X(name, text) ANSWER_##name,
    ANSWER_VERDICT_MAP(X)
#undef X
};

struct collector;
struct protocol;

const char *answer_verdict_name(enum answer_verdict v);

struct answer {
    enum answer_verdict verdict;
    struct span model;         /* as the answerer named itself */
    struct span text;          /* message.content */
    struct span finish_reason; /* "stop", ... */
    bool has_usage;
    /* It came as a stream whose client did not ask for usage, so what it cost is not
     * known: not an answer for a client who would be told. */
    bool usage_withheld;
    uint64_t prompt_tokens, completion_tokens, total_tokens;
    /* The whole answer as one chat.completion JSON object, as the upstream wrote it but for
     * id and created, which have a fixed width so that write_answer() only has to put
     * them at known places: an exact hit must not parse anything. */
    struct span json;
    uint32_t id_at, created_at; /* offsets in json of their fixed-width values */
};

/* An answer as opaque bytes for the cache, and back (spans then point into
 * `bytes`, which must outlive *out). Versioned; an unknown version is
 * ST_INVALID, which callers treat as a miss. */
enum status answer_pack(struct buf *out, const struct answer *a) MUST_CHECK;
enum status answer_unpack(struct span bytes, struct answer *out) MUST_CHECK;

/* From the text of the built-in model. finish: "stop" or "length". */
enum status answer_from_text(struct arena *arena, struct span model, struct span text,
                             struct span finish, uint64_t prompt_tokens,
                             uint64_t completion_tokens, struct answer *out) MUST_CHECK;

/* --- collecting a stream beside its relay -------------------------------------- */

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
