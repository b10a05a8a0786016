#include "protocol/protocol.h"

#include "protocol/form.h"

static const struct protocol *const protocols[] = {
    &openai_chat_protocol,           &openai_responses_protocol,
    &anthropic_messages_protocol,    &openai_embeddings_protocol,
    &openai_completions_protocol,    &openai_moderations_protocol,
    &anthropic_count_protocol,       &ollama_chat_protocol,
    &ollama_chat_generate_protocol,  &gemini_content_protocol,
    &gemini_content_stream_protocol, &ollama_embed_protocol,
    &ollama_embed_old_protocol,      &ollama_show_protocol,
};

const struct protocol *protocol_find(struct span method, struct span path)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (span_eq(method, span_of(protocols[i]->method)) && protocols[i]->serves(path))
            return protocols[i];
    }
    return NULL;
}

const struct protocol *protocol_named(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (span_eq(name, span_of(protocols[i]->name)))
            return protocols[i];
    }
    return NULL;
}

const struct protocol *protocol_at(size_t i)
{
    return i < ARRAY_LEN(protocols) ? protocols[i] : NULL;
}

static bool take(struct span *path, struct span head)
{
    if (path->len < head.len || memcmp(path->ptr, head.ptr, head.len) != 0)
        return false;
    path->ptr += head.len;
    path->len -= head.len;
    return true;
}

const struct protocol *protocol_spoken(struct span path)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (protocols[i]->serves(path))
            return protocols[i];
    }
    if (take(&path, SPAN("/api/")))
        return &ollama_chat_protocol;
    if (take(&path, SPAN("/v1beta/")))
        return &gemini_content_protocol;
    if (take(&path, SPAN("/v1/messages/"))) /* batches */
        return &anthropic_messages_protocol;
    return &openai_chat_protocol;
}

bool protocol_openai_path(struct span path, struct span tail)
{
    if (take(&path, SPAN("/openai/deployments/"))) {
        const char *slash = path.len > 0 ? memchr(path.ptr, '/', path.len) : NULL;

        if (slash == NULL || slash == path.ptr)
            return false;
        path.len -= (size_t)(slash - path.ptr);
        path.ptr = slash;
        return span_eq(path, tail);
    }
    return (take(&path, SPAN("/openai/v1")) || take(&path, SPAN("/v1"))) && span_eq(path, tail);
}

enum status protocol_hollow(const struct protocol *p, struct arena *arena,
                            struct chat_request *q)
{
    if (p->comparable == NULL || q->last_text.ptr == NULL)
        return ST_INVALID;
    return form_hollow(arena, q->exact_form, p->comparable, &q->partition_form);
}

enum status protocol_alone(const struct protocol *p, struct arena *arena,
                           struct chat_request *q)
{
    if (p->comparable == NULL || q->last_text.ptr == NULL)
        return ST_INVALID;
    return form_alone(arena, q->exact_form, p->comparable, &q->partition_form);
}

struct span protocol_stream_type(const struct protocol *p)
{
    return p->framing == FRAMING_LINES ? SPAN("application/x-ndjson")
                                       : SPAN("text/event-stream");
}
