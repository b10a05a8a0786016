/* The models on this machine that a question may be left to, the smallest first, and what each
 * of them can have. Pure; any thread. */
#ifndef PROXY_LADDER_H
#define PROXY_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct chat_request;

struct ladder_rung {
    size_t model; /* as in config_models_get() */
    uint64_t context_max;
    bool json, tools, code;
    char languages[256]; /* "en de"; empty: any */
    double confidence_min;
};

struct ladder {
    struct ladder_rung rungs[CONFIG_MODELS_MAX + 1];
    size_t count;
};

/* route.ladder, or the first model there is. */
void ladder_init(struct ladder *l, const struct config *c);

/* Which models can not have it; bit i: the i-th. */
struct ladder_limits {
    uint32_t absent; /* it is not to be had */
    uint32_t late;   /* it would not have answered in time */
};

/* The first rung from `from` on that can have it; l->count: none. *fact is then why the last
 * one it looked at can not: "not_served", "tools", "context", "json", "code", "language",
 * "deadline"; NULL: there was none. */
size_t ladder_next(const struct ladder *l, const struct chat_request *q,
                   struct ladder_limits limits, size_t from, const char **fact);

#endif
