/* Who asks: the credential's digest, the scope it may see, and whether the
 * upstream has accepted it lately.
 *
 * A hit is served only to a credential that the upstream accepted within a short
 * time, or that the operator lists; a refusal revokes at once. What is remembered of a
 * credential is its HMAC, but for a small table of the latest ones as they came, which
 * is wiped at the end. Loop thread only. */
#ifndef PROXY_CREDENTIAL_H
#define PROXY_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

struct config;
struct http_head;
struct json;

/* How many accepted credentials are remembered; the oldest is forgotten. */
#define CREDENTIALS_MAX 4096

struct credential_slot {
    struct digest pair;   /* of credential and upstream */
    uint64_t accepted_us; /* 0: empty */
};

/* A client sends the same credential with each request: the last ones are not hashed anew. */
#define CREDENTIAL_MEMOS      64
#define CREDENTIAL_MEMO_BYTES 256

struct credential_memo {
    size_t len; /* 0: empty */
    char bytes[CREDENTIAL_MEMO_BYTES];
    struct digest id;
};

struct credentials {
    struct digest_key key;         /* owned; of the server's secret */
    struct credential_memo *memos; /* owned; by a hash of their bytes */
    uint64_t memo_seed;
    struct buf bytes;              /* what is being hashed */
    struct credential_slot *slots; /* owned; open addressing by id */
    struct digest *listed;         /* owned; the operator's */
    size_t listed_count;
    uint64_t ttl_us;
};

/* Reads upstream.accept_file when it is named. */
enum status credential_open(struct credentials *c, const struct config *config,
                            struct span secret) MUST_CHECK;
/* Other settings; what was accepted stays so, within their time. On failure nothing has
 * changed. */
enum status credential_adopt(struct credentials *c, const struct config *config) MUST_CHECK;
void credential_close(struct credentials *c);

/* HMAC over every header a client may authenticate with (names and values, in
 * order); who has none is anonymous, and all such are one. ST_NOMEM: then nothing is
 * known of the caller, and nothing stored may be touched. */
enum status credential_of(struct credentials *c, const struct http_head *h,
                          struct digest *out) MUST_CHECK;

/* Whose answers a request may share, as far as it says. */
struct credential_claims {
    const struct http_head *head;
    const struct digest *credential;
    const struct json *body; /* names the end user */
    struct span client;      /* the name that its certificate proves; empty: none */
};

/* Who shares stored answers: by default those who authenticate alike, so the scope is
 * the credential's own HMAC; or the HMAC of the end user or of a header's value within
 * it, of the name in a client's certificate, or of a shared space's name. */
enum status credential_scope(struct credentials *c, const struct config *config,
                             const struct credential_claims *r, struct digest *out) MUST_CHECK;

/* Was it accepted by the upstream `by` (its id) within the time? What one upstream takes
 * says nothing of another. The operator's list holds for all. */
bool credential_accepted(const struct credentials *c, const struct digest *id,
                         const struct digest *by, uint64_t now_us);
void credential_accept(struct credentials *c, const struct digest *id, const struct digest *by,
                       uint64_t now_us);
void credential_revoke(struct credentials *c, const struct digest *id, const struct digest *by);

/* Is this a header by which clients authenticate? */
bool credential_is_one(struct span name);

#endif
