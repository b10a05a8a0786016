#include "protocol/canonical.h"

#include "base/json.h"
#include "http/head.h"
#include "protocol/protocol.h"

/* Headers that change an answer. Their names are known, so an unknown one can not
 * split the cache, and a client's tracing header does not. */
#define DECIDING_NAMES(X)                                                                      \
    X("openai-organization")                                                                   \
    X("openai-project")                                                                        \
    X("openai-beta")                                                                           \
    X("anthropic-version")                                                                     \
    X("anthropic-beta")                                                                        \
    X("anthropic-workspace-id")                                                                \
    X("anthropic-user-profile-id")

static const struct span deciding[] = {DECIDING_NAMES(HTTP_NAME_SPAN)};

/* false: surely none of them is there. */
static bool may_decide(const struct identity *id)
{
    const uint64_t bits = 0 DECIDING_NAMES(HTTP_NAME_BIT); /* of constants: one itself */
    uint64_t there = 0;

    for (size_t i = 0; i < id->field_count; i++)
        there |= http_name_bit(id->fields[i].name);
    return (there & bits) != 0;
}

static enum status put_part(struct buf *b, struct span s)
{
    uint64_t n = s.len;
    enum status st = buf_append(b, (struct span){(const char *)&n, sizeof(n)});

    return st == ST_OK ? buf_append(b, s) : st;
}

static enum status put_fields(struct buf *b, const struct identity *id)
{
    size_t count = may_decide(id) ? ARRAY_LEN(deciding) : 0;
    enum status st = ST_OK;

    for (size_t k = 0; k < count; k++) {
        for (size_t i = 0; st == ST_OK && i < id->field_count; i++) {
            if (!http_name_eq(id->fields[i].name, deciding[k]))
                continue;
            st = put_part(b, deciding[k]);
            if (st == ST_OK)
                st = put_part(b, id->fields[i].value);
        }
    }
    /* An empty name ends the list. */
    return st == ST_OK ? put_part(b, (struct span){"", 0}) : st;
}

static enum status put_identity(struct buf *b, struct span kind, const struct identity *id)
{
    const struct span parts[] = {
        kind,
        id->protocol,
        id->method,
        id->path,
        id->query,
        id->answerer,
        {(const char *)id->scope.bytes, DIGEST_BYTES},
        id->name_space,
    };
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(parts); i++)
        st = put_part(b, parts[i]);
    return st == ST_OK ? put_fields(b, id) : st;
}

static enum status finish(struct buf *b, const struct json *form, struct digest_ctx *ctx,
                          struct digest *out)
{
    enum status st = json_write_canonical(b, form);

    if (st != ST_OK)
        return st;
    digest_start(ctx);
    digest_update(ctx, buf_span(b));
    digest_final(ctx, out);
    return ST_OK;
}

enum status canonical_fingerprint(const struct chat_request *q, const struct identity *id,
                                  struct digest_ctx *ctx, struct buf *scratch,
                                  struct digest *out)
{
    enum status st;

    buf_clear(scratch);
    st = put_identity(scratch, SPAN("ibid exact 1"), id);
    return st == ST_OK ? finish(scratch, q->exact_form, ctx, out) : st;
}

enum status canonical_partition(const struct chat_request *q, const struct identity *id,
                                struct digest_ctx *ctx, struct buf *scratch, struct digest *out)
{
    struct span epoch = {(const char *)&id->epoch, sizeof(id->epoch)};
    enum status st;

    if (q->partition_form == NULL)
        return ST_INVALID;
    buf_clear(scratch);
    st = put_identity(scratch, SPAN("ibid partition 1"), id);
    if (st == ST_OK)
        st = put_part(scratch, id->encoder);
    if (st == ST_OK)
        st = put_part(scratch, epoch);
    return st == ST_OK ? finish(scratch, q->partition_form, ctx, out) : st;
}
