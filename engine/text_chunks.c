#include "engine/text_chunks.h"

#include <stdlib.h>

enum status text_chunks_open(const struct decoder *d, struct span text, size_t context,
                             struct text_chunks *out)
{
    size_t n, begins;
    uint32_t begin = 0;
    enum status st = decoder_tokenize(d, text, false, NULL, 0, &n);

    *out = (struct text_chunks){.context = context};
    if (st != ST_OK)
        return st;
    begins = decoder_begin(d, &begin) ? 1 : 0;
    out->ids = malloc((n + 1) * sizeof(*out->ids));
    if (out->ids == NULL)
        return ST_NOMEM;
    st = decoder_tokenize(d, text, false, out->ids + begins, n, &n);
    out->tokens = n + begins;
    out->count = out->tokens / context;
    for (size_t i = 0; begins > 0 && i < out->count; i++)
        out->ids[i * context] = begin;
    return st;
}

void text_chunks_close(struct text_chunks *c)
{
    free(c->ids);
    c->ids = NULL;
}

const uint32_t *text_chunks_get(const struct text_chunks *c, size_t i)
{
    return c->ids + i * c->context;
}
