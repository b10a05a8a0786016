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

/* `ctx` is a scratch digest context of the calling thread, `scratch` a cleared
 * buf. Fingerprint: the canonical body without transport-only fields, and the
 * identity. Partition: the same with the last user text replaced by a
 * placeholder (a bare string equals one text part). Both are prefixed by what
 * they are, so that they can never be equal. partition may be NULL. */
enum status canonical_identity(const struct chat_request *q, const struct identity *id,
                               struct digest_ctx *ctx, struct buf *scratch,
                               struct digest *fingerprint, struct digest *partition) MUST_CHECK;

#endif
