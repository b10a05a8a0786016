/* What a conversation is about at its end: the one thing that "it" or "they" can mean there.
 * After Sidner's and Grosz, Joshi and Weinstein's centers of attention (Centering,
 * Computational Linguistics 21(2), 1995), with one rule above all: where two things can be
 * meant, none is. Any thread. */
#ifndef CACHE_RESOLVE_TOPIC_H
#define CACHE_RESOLVE_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "cache/resolve_text.h"

#define RESOLVE_TOPIC_WORDS_MAX 6
#define RESOLVE_TOPICS_MAX      16

struct resolve_topic {
    struct resolve_word words[RESOLVE_TOPIC_WORDS_MAX];
    size_t count;
    struct span text; /* as it was said */
    bool plural;
};

/* Zeros at first. */
struct resolve_focus {
    struct resolve_topic topics[RESOLVE_TOPICS_MAX]; /* that were named */
    size_t count;
    const struct resolve_topic *topic; /* NULL: not known */
    bool rival_one,
        rival_many; /* something else was named since, in the singular, in the plural */
};

/* The next turn of the user. */
void resolve_topic_hear(struct resolve_focus *f, const struct resolve_text *t);
/* The thing that is asked about in a question like "what is X" or "tell me about X". */
bool resolve_topic_of(const struct resolve_text *t, struct resolve_topic *out, bool *rival_one,
                      bool *rival_many);

#endif
