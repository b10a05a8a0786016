/* Where a tokenizer's ids go: as many as there is room for, all are counted. */
#ifndef ENGINE_TOKENIZER_TOKEN_SINK_H
#define ENGINE_TOKENIZER_TOKEN_SINK_H

#include <stddef.h>
#include <stdint.h>

struct token_sink {
    uint32_t *ids; /* borrowed */
    size_t cap;
    size_t count; /* goes on beyond cap */
    size_t most;  /* beyond it the rest of a text is not worth reading */
};

static inline void token_sink_put(struct token_sink *s, uint32_t id)
{
    if (s->count < s->cap)
        s->ids[s->count] = id;
    s->count++;
}

#endif
