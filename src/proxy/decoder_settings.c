#include "proxy/decoder_settings.h"

#include <string.h>

#include "config/config.h"

struct decoder_options decoder_settings(const struct config *c)
{
    struct decoder_options o = {.context_max = (uint32_t)c->local.context_max,
                                .sequences = (uint32_t)c->local.sequences,
                                .cache_tokens = (uint32_t)c->local.cache_tokens,
                                .memory_max_bytes = c->local.memory_max_bytes};

    if (c->local.chat_template[0] != '\0')
        o.chat_template = c->local.chat_template;
    if (strcmp(c->local.kv_type, "f16") == 0)
        o.kv_type = CACHE_F16;
    if (strcmp(c->local.kv_type, "q8") == 0)
        o.kv_type = CACHE_Q8;
    if (strcmp(c->local.speculate, "auto") == 0)
        o.guessing = DECODER_GUESS_WORTH;
    if (strcmp(c->local.speculate, "always") == 0)
        o.guessing = DECODER_GUESS_ALWAYS;
    return o;
}
