#include "cli/encoder_settings.h"

#include <string.h>

#include "config/config.h"

struct encoder_options encoder_settings(const struct config *c)
{
    struct encoder_options o = {.memory_max_bytes = c->encoder.memory_max_bytes,
                                .prefix = c->encoder.prefix};

    if (strcmp(c->encoder.precision, "f32") == 0)
        o.precision = ENCODER_F32;
    if (strcmp(c->encoder.pooling, "mean") == 0)
        o.pooling = ENCODER_POOLING_MEAN;
    if (strcmp(c->encoder.pooling, "cls") == 0)
        o.pooling = ENCODER_POOLING_CLS;
    return o;
}
