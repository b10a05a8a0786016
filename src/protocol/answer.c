#include "protocol/answer.h"

#include <string.h>

#include "base/json.h"
#include "base/size.h"
#include "protocol/openai_answer.h"

#define PACK_VERSION 1

const char *answer_verdict_name(enum answer_verdict v)
{
    static const char *const names[] = {
#define X(name, text) [ANSWER_##name] = text,
        ANSWER_VERDICT_MAP(X)
#undef X
    };

    return names[v];
}

enum { USAGE_NONE, USAGE_PRESENT, USAGE_WITHHELD };

/* Fixed part of a packed answer; native byte order: every machine we run on is little
 * endian, and the version is checked. */
struct packed {
    uint32_t version;
    uint32_t id_at, created_at;
    uint32_t usage; /* USAGE_… */
    uint64_t prompt_tokens, completion_tokens, total_tokens;
    uint32_t model_bytes, text_bytes, finish_bytes, json_bytes;
};

enum status answer_pack(struct buf *out, const struct answer *a)
{
    struct packed p = {
        .version = PACK_VERSION,
        .id_at = a->id_at,
        .created_at = a->created_at,
        .usage = a->has_usage        ? USAGE_PRESENT
                 : a->usage_withheld ? USAGE_WITHHELD
                                     : USAGE_NONE,
        .prompt_tokens = a->prompt_tokens,
        .completion_tokens = a->completion_tokens,
        .total_tokens = a->total_tokens,
        .model_bytes = (uint32_t)a->model.len,
        .text_bytes = (uint32_t)a->text.len,
        .finish_bytes = (uint32_t)a->finish_reason.len,
        .json_bytes = (uint32_t)a->json.len,
    };
    const struct span parts[] = {
        {(const char *)&p, sizeof(p)}, a->model, a->text, a->finish_reason, a->json};
    enum status st = ST_OK;

    if (a->model.len > UINT32_MAX || a->text.len > UINT32_MAX ||
        a->finish_reason.len > UINT32_MAX || a->json.len > UINT32_MAX)
        return ST_LIMIT;
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(parts); i++)
        st = buf_append(out, parts[i]);
    return st;
}

static bool take(struct span *rest, size_t n, struct span *out)
{
    if (!span_sub(*rest, 0, n, out))
        return false;
    rest->ptr += n;
    rest->len -= n;
    return true;
}

enum status answer_unpack(struct span bytes, struct answer *out)
{
    struct answer a = {.verdict = ANSWER_STORABLE};
    struct span head, rest = bytes;
    struct packed p;

    if (!take(&rest, sizeof(p), &head))
        return ST_INVALID;
    memcpy(&p, head.ptr, sizeof(p));
    if (p.version != PACK_VERSION || !take(&rest, p.model_bytes, &a.model) ||
        !take(&rest, p.text_bytes, &a.text) || !take(&rest, p.finish_bytes, &a.finish_reason) ||
        !take(&rest, p.json_bytes, &a.json) || rest.len != 0)
        return ST_INVALID;
    if (p.id_at > a.json.len || a.json.len - p.id_at < ANSWER_ID_BYTES ||
        p.created_at > a.json.len || a.json.len - p.created_at < ANSWER_CREATED_BYTES)
        return ST_INVALID;
    a.id_at = p.id_at;
    a.created_at = p.created_at;
    a.has_usage = p.usage == USAGE_PRESENT;
    a.usage_withheld = p.usage == USAGE_WITHHELD;
    a.prompt_tokens = p.prompt_tokens;
    a.completion_tokens = p.completion_tokens;
    a.total_tokens = p.total_tokens;
    *out = a;
    return ST_OK;
}

static enum status write_message(struct buf *out, struct span text)
{
    enum status st = buf_append(out, SPAN("\"role\":\"assistant\",\"content\":"));

    if (st == ST_OK)
        st = json_write_string(out, text);
    return st == ST_OK ? buf_append(out, SPAN(",\"refusal\":null")) : st;
}

enum status answer_from_text(struct arena *arena, struct span model, struct span text,
                             struct span finish, uint64_t prompt_tokens,
                             uint64_t completion_tokens, struct answer *out)
{
    struct openai_answer_parts parts = {.model = model, .finish_reason = finish};
    struct answer a = {0};
    struct buf message, usage, json;
    enum status st;

    buf_init(&message, SIZE_MAX / 4);
    buf_init(&usage, 512);
    buf_init(&json, SIZE_MAX / 4);
    st = write_message(&message, text);
    if (st == ST_OK)
        st = buf_printf(
            &usage, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu}",
            (unsigned long long)prompt_tokens, (unsigned long long)completion_tokens,
            (unsigned long long)(prompt_tokens + completion_tokens));
    if (st == ST_OK) {
        parts.message = buf_span(&message);
        parts.usage = buf_span(&usage);
        st = openai_answer_render(&json, &parts, &a);
    }
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&json), &a.json);
    if (st == ST_OK) {
        a.verdict = text.len == 0                   ? ANSWER_EMPTY
                    : span_eq(finish, SPAN("stop")) ? ANSWER_STORABLE
                                                    : ANSWER_TRUNCATED;
        a.model = model;
        a.text = text;
        a.finish_reason = finish;
        a.has_usage = true;
        a.prompt_tokens = prompt_tokens;
        a.completion_tokens = completion_tokens;
        a.total_tokens = prompt_tokens + completion_tokens;
        *out = a;
    }
    buf_release(&message);
    buf_release(&usage);
    buf_release(&json);
    return st;
}
