/* Names of models and of their adapters, and what their answers are kept under. A voice stays
 * what it is as long as a request holds it, whatever a reload puts in its place. Loop thread
 * only. */
#ifndef PROXY_LOCAL_VOICES_H
#define PROXY_LOCAL_VOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct decoder_adapter;
struct local_adapters;
struct local_loading;
struct local_settings;

struct local_voice {
    char name[128];     /* empty: the place is free */
    char identity[256]; /* empty: not known */
    size_t model;       /* the index of its model */
    size_t adapter;     /* 0: the model itself; else one above its place among the adapters */
    uint32_t holders;
    bool retired; /* another one is in its place, or none; nobody finds it */
    /* Of a retired one, owned; NULL: it went with its model. */
    struct decoder_adapter *worn;
};

/* Models in their order, each with its adapters behind it; behind all those of a reload. */
struct local_voices {
    struct local_voice **list; /* owned, and what it points to: a place never moves */
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

/* So many places are free after that, and taking them can not fail. */
enum status local_voices_reserve(struct local_voices *v, size_t n) MUST_CHECK;
/* LOCAL_ADAPTERS_MAX places were reserved. Other adapters, those of `s`, in the place of the
 * model's: `found` is what was read of them, its adapters `next`; NULL: nothing could be, they
 * are not known. `loaded`: the model's own in memory, before; what is replaced goes from there
 * to its voice, or is closed where nobody holds that; NULL: it is not in memory. */
void local_voices_change(struct local_voices *v, size_t model, const struct local_settings *s,
                         const struct local_loading *found, const struct local_adapters *next,
                         const struct local_adapters *loaded);
/* The model goes out of memory, and with it what was replaced there. */
void local_voices_strip(struct local_voices *v, size_t model);

void local_voices_hold(struct local_voices *v, size_t voice);
void local_voices_drop(struct local_voices *v, size_t voice);
bool local_voices_is_listed(const struct local_voices *v, size_t voice);

/* NAME, or of an adapter MODEL:NAME; cases do not matter. false: *voice is 0. */
bool local_voices_find(const struct local_voices *v, struct span name, size_t *voice);
/* The model's own. */
size_t local_voices_main(const struct local_voices *v, size_t model);

#endif
