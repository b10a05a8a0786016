/* A list of messages as turns of text: what most dialects have in one spelling or another,
 * an object with "role" and "content", which is a string or an array of parts. */
#ifndef PROTOCOL_TURNS_H
#define PROTOCOL_TURNS_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct arena;
struct chat_request;
struct chat_turn;
struct json;
struct protocol_error;

enum turns_part {
    PART_TEXT,        /* has its text in "text" */
    PART_CALL,        /* of a tool */
    PART_TOOL_RESULT, /* what a tool said */
    PART_SILENT,      /* no text, and nothing to look at either: reasoning */
    PART_OTHER,       /* an image, a file, ... */
};

/* What a part of this "type" is; an absent type has ptr NULL. */
typedef enum turns_part turns_part_fn(struct span type);

/* Where a message stands, for an error's text. */
struct turns_place {
    const char *list; /* "messages" */
    size_t index;
    char text[64];
};

/* "messages[2]" and `what`; valid until the next call. */
const char *turns_at(struct turns_place *p, const char *what);

/* A message's role, which must be there. */
enum status turns_role(const struct json *m, struct turns_place *p, struct span *out,
                       struct protocol_error *err) MUST_CHECK;

/* The text of a "content": all its text parts joined by a newline, ptr NULL without any.
 * Notes in *q what the parts are. */
enum status turns_content(struct arena *arena, const struct json *content, turns_part_fn *kind,
                          struct turns_place *p, struct chat_request *q, struct span *out,
                          struct protocol_error *err) MUST_CHECK;

/* The list at `name` of the body, of at most 16384, not empty; NULL after a refusal. */
enum status turns_list(const struct json *body, const char *name, const struct json **out,
                       struct protocol_error *err) MUST_CHECK;

/* Reads the message m, which stands at *p, into *out; notes in *q what else it holds. */
typedef enum status turns_message_fn(struct arena *arena, const struct json *m,
                                     struct chat_request *q, struct turns_place *p,
                                     struct chat_turn *out, struct protocol_error *err);

/* The turns of a list of "messages", behind the turn `before` where that is not NULL, and the
 * last text of the user among them, into *q. */
enum status turns_read(struct arena *arena, const struct json *list, turns_message_fn *read,
                       const struct chat_turn *before, struct chat_request *q,
                       struct protocol_error *err) MUST_CHECK;

#endif
