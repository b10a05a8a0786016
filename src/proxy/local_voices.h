/* Names of models and of their adapters, and what their answers are kept under. */
#ifndef PROXY_LOCAL_VOICES_H
#define PROXY_LOCAL_VOICES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct local_loading;
struct local_settings;

struct local_voice {
    char name[128];
    char identity[256]; /* empty: not known */
    size_t model;       /* the index of its model */
    size_t adapter;     /* 0: the model itself; else one above its place among the adapters */
};

/* Models in their order, each with its adapters behind it. */
struct local_voices {
    struct local_voice *list; /* owned */
    size_t count;
};

/* The next model and its adapters, by name. */
enum status local_voices_add(struct local_voices *v, size_t model,
                             const struct local_settings *s) MUST_CHECK;
void local_voices_release(struct local_voices *v);

/* What the files are, as they were found. */
void local_voices_identify(struct local_voices *v, size_t model, const struct local_settings *s,
                           const struct local_loading *l);
/* Are these the files that it was identified by? */
bool local_voices_match(const struct local_voices *v, size_t model,
                        const struct local_settings *s, const struct local_loading *l);

/* NAME, or of an adapter MODEL:NAME; cases do not matter. false: *voice is 0. */
bool local_voices_find(const struct local_voices *v, struct span name, size_t *voice);
/* The model's own. */
size_t local_voices_main(const struct local_voices *v, size_t model);

#endif
