/* The functions that a request offers and one of which it wants to be called, for the built-in
 * model: what it is told of them, the schema of what it writes, and the call in that. Pure; any
 * thread. */
#ifndef PROTOCOL_TOOLS_H
#define PROTOCOL_TOOLS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct chat_request;
struct json;
struct protocol_call;

/* How a dialect writes a function down. */
struct tools_form {
    struct span type;       /* of a tool that is a function; empty: there are no types */
    struct span inside;     /* the member that holds the function; empty: the tool is it */
    struct span parameters; /* of its schema */
};

/* One has to be called: `name`, or any when that is empty. Fills q->tools, or says in
 * q->unsupported why there is none. `list` may be NULL. */
enum status tools_read(struct arena *arena, const struct json *list,
                       const struct tools_form *form, struct span name,
                       struct chat_request *q) MUST_CHECK;

/* Of the arguments, where there is one function; else of {"name": …, "arguments": …}. */
enum status tools_schema(struct arena *arena, const struct chat_request *q,
                         const struct json **out) MUST_CHECK;
/* What the model is told. */
enum status tools_prompt(struct arena *arena, const struct chat_request *q,
                         struct span *out) MUST_CHECK;
/* What the model wrote by that schema. ST_INVALID: it was cut. Sets name and arguments. */
enum status tools_call(struct arena *arena, const struct chat_request *q, struct span text,
                       struct protocol_call *out) MUST_CHECK;

#endif
