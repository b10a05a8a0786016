#include "engine/constraint.h"

#include <math.h>
#include <stdlib.h>

#define TEXT_MAX (1024 * 1024)
/* A model mostly wants what it may. Where it does not, tokens are ruled out by their first
 * byte, and then each of them by all of its bytes. */
#define TRIES_PLAIN 4
#define TRIES_FIRST 64

static uint32_t count_tokens(struct constraint *c, uint32_t most)
{
    size_t n = 0;

    /* ST_LIMIT: more than `most`. What can not be counted is as long as its bytes. */
    if (tokenizer_encode(c->tokens, buf_span(&c->text), false, NULL, 0, most, &n) == ST_OK)
        return (uint32_t)n;
    return (uint32_t)c->text.len;
}

/* Can the text be ended with so many tokens? */
static bool has_room(struct constraint *c, uint32_t left)
{
    buf_clear(&c->text);
    if (schema_walk_ending(c->walk, &c->text) != ST_OK)
        return false;
    /* A token is a byte at least. */
    return c->text.len <= left || count_tokens(c, left) <= left;
}

uint16_t *constraint_first_bytes(const struct tokenizer *t, uint32_t vocabulary)
{
    uint16_t *first = malloc(vocabulary * sizeof(*first));
    struct buf text;

    buf_init(&text, TEXT_MAX);
    for (uint32_t i = 0; first != NULL && i < vocabulary; i++) {
        buf_clear(&text);
        first[i] = tokenizer_decode(t, i, &text) == ST_OK && text.len > 0 ? (uint8_t)text.ptr[0]
                                                                          : CONSTRAINT_NO_TEXT;
    }
    buf_release(&text);
    return first;
}

enum status constraint_init(struct constraint *c, const struct schema *s, uint32_t most)
{
    enum status st = schema_walk_open(s, &c->walk);

    buf_init(&c->text, TEXT_MAX);
    if (st == ST_OK)
        c->too_short = !has_room(c, most);
    return st;
}

void constraint_release(struct constraint *c)
{
    schema_walk_close(c->walk);
    buf_release(&c->text);
}

static bool is_end(const struct constraint *c, uint32_t id)
{
    for (size_t i = 0; i < c->end_count; i++) {
        if (c->ends[i] == id)
            return true;
    }
    return false;
}

/* The bytes of a token in c->text; false: it has none. */
static bool read_text(struct constraint *c, uint32_t id)
{
    buf_clear(&c->text);
    return tokenizer_decode(c->tokens, id, &c->text) == ST_OK && c->text.len > 0;
}

static bool may(struct constraint *c, uint32_t id)
{
    if (is_end(c, id))
        return schema_walk_may_end(c->walk);
    return read_text(c, id) && schema_walk_may(c->walk, buf_span(&c->text));
}

static void rule_out_by_first(struct constraint *c, float *logits)
{
    bool first[256];

    for (unsigned b = 0; b < 256; b++) {
        char byte = (char)b;

        first[b] = schema_walk_may(c->walk, (struct span){&byte, 1});
    }
    for (uint32_t i = 0; i < c->vocabulary; i++) {
        if (c->first[i] == CONSTRAINT_NO_TEXT ? !is_end(c, i) : !first[c->first[i]])
            logits[i] = -INFINITY;
    }
}

static void rule_out_all(struct constraint *c, float *logits)
{
    for (uint32_t i = 0; i < c->vocabulary; i++) {
        if (logits[i] != -INFINITY && !may(c, i))
            logits[i] = -INFINITY;
    }
}

/* Drawn again without what was ruled out, a token has the chance that it has among those that
 * may. */
bool constraint_next(struct constraint *c, struct sampler *s, float *logits, uint32_t *id)
{
    for (unsigned tries = 0; tries <= TRIES_FIRST + 1; tries++) {
        *id = sampler_next(s, logits, c->vocabulary);
        if (!(logits[*id] > -INFINITY))
            return false;
        if (may(c, *id))
            return true;
        logits[*id] = -INFINITY;
        if (tries == 0)
            rule_out_by_first(c, logits);
        else if (tries == TRIES_FIRST)
            rule_out_all(c, logits);
    }
    return false;
}

bool constraint_go(struct constraint *c, uint32_t id, uint32_t left)
{
    if (!read_text(c, id))
        return true;
    schema_walk_go(c->walk, buf_span(&c->text));
    if (c->too_short || has_room(c, left))
        return true;
    schema_walk_back(c->walk);
    return false;
}

bool constraint_is_done(const struct constraint *c)
{
    return schema_walk_must_end(c->walk);
}

enum status constraint_end(struct constraint *c, struct buf *out, uint32_t *tokens)
{
    enum status st;

    buf_clear(&c->text);
    st = schema_walk_ending(c->walk, &c->text);
    if (st == ST_OK)
        st = buf_append(out, buf_span(&c->text));
    *tokens = count_tokens(c, TEXT_MAX);
    return st;
}
