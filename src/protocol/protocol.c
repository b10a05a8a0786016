#include "protocol/protocol.h"

#include "base/digest.h"

static const struct protocol *const protocols[] = {&openai_chat_protocol};

const struct protocol *protocol_find(struct span method, struct span path)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        if (span_eq(method, span_of(protocols[i]->method)) &&
            span_eq(path, span_of(protocols[i]->path)))
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

/* 62^8 is far below 2^64: what is left of a draw is as good as even. */
#define LETTERS_A_DRAW 8

/* splitmix64, Steele, Lea, Flood 2014 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Ids have always the same length: see answer.json. They need to be different, not
 * secret, so one strong seed a thread is enough. */
void protocol_stamp_new(struct answer_stamp *out, uint64_t wall_ms)
{
    static const char letters[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static _Thread_local uint64_t state;
    uint64_t z = 0;
    char *p = out->id;

    if (state == 0 && digest_random((uint8_t *)&state, sizeof(state)) != ST_OK)
        state = wall_ms;
    memcpy(p, "chatcmpl-", 9);
    p += 9;
    for (unsigned i = 0; i < ANSWER_ID_RANDOM; i++) {
        if (i % LETTERS_A_DRAW == 0)
            z = next_random(&state);
        *p++ = letters[z % (sizeof(letters) - 1)];
        z /= sizeof(letters) - 1;
    }
    *p = '\0';
    out->created_s = wall_ms / 1000;
}
