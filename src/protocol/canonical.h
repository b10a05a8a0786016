/* Identity: which requests are the same, exactly, and which may be compared by
 * meaning. Pure; any thread. */
#ifndef PROTOCOL_CANONICAL_H
#define PROTOCOL_CANONICAL_H

#include "base/compiler.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

struct chat_request;
struct http_field;

/* What stands beside the body in a request's identity. */
struct identity {
    struct span protocol; /* "openai.chat" */
    struct span method, path, query;
    /* Headers that change an answer (OpenAI-Organization, …): all fields of the
     * request; canonical picks those it knows. */
    const struct http_field *fields;
    size_t field_count;
    struct span answerer;   /* upstream name and URL, or "local:" and the model's id */
    struct digest scope;    /* HMAC of the credential, or of a shared space's name */
    struct span name_space; /* x-ibid-namespace; narrows, never widens */
    struct span encoder;    /* encoder id: partition only */
    uint64_t epoch;         /* cache epoch */
};

/* `ctx` is a scratch digest context of the calling thread, `scratch` a buf that is
 * cleared. Over the identity and the request's canonical body (RFC 8785 in spirit),
 * every part with its length before it, the two kinds with a different beginning: so
 * no two different inputs read the same. */
enum status canonical_fingerprint(const struct chat_request *q, const struct identity *id,
                                  struct digest_ctx *ctx, struct buf *scratch,
                                  struct digest *out) MUST_CHECK;
/* The same with the last user text left out, and with encoder and epoch. ST_INVALID
 * for a request without a last user text. */
enum status canonical_partition(const struct chat_request *q, const struct identity *id,
                                struct digest_ctx *ctx, struct buf *scratch,
                                struct digest *out) MUST_CHECK;

#endif
