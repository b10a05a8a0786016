/* The forms of a request's body that its identity is made of: the exact one, without what
 * does not change an answer, and the partition's, with the last user text taken out of it
 * too. Pure; any thread; what is made lives in the arena and borrows from the body. */
#ifndef PROTOCOL_FORM_H
#define PROTOCOL_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct json;

struct form_rules {
    /* Members of the body that do not change an answer: docs/identity.md has each with
     * its reason. */
    const struct span *ignored;
    size_t ignored_count;
    /* A member of messages, of their parts and of tools that does not either (Anthropic's
     * cache_control); empty: none. What stands deeper, in a schema or in a tool's input,
     * is somebody's own name and stays. */
    struct span mark;
    /* The member that ends with the last user text: a list of messages whose last one has
     * it in "content", or the text itself. Empty: none. */
    struct span asked;
    bool (*is_text)(struct span part_type);
    struct span text_type; /* of the one part that a bare string is the same as */
};

/* ST_NOMEM. */
enum status form_exact(struct arena *arena, const struct json *body,
                       const struct form_rules *rules, const struct json **out) MUST_CHECK;
/* From the exact one. */
enum status form_hollow(struct arena *arena, const struct json *exact,
                        const struct form_rules *rules, const struct json **out) MUST_CHECK;

/* The same without the messages before the last one, but for what the developer says in front
 * of them all: what a conversation would be whose last message is its first. ST_INVALID where
 * that can not be told: there is no list of messages, or it holds others than of user and
 * assistant. */
enum status form_alone(struct arena *arena, const struct json *exact,
                       const struct form_rules *rules, const struct json **out) MUST_CHECK;

#endif
