/* What Anthropic's requests share: a conversation, and what is asked of the model. */
#ifndef PROTOCOL_ANTHROPIC_MESSAGES_H
#define PROTOCOL_ANTHROPIC_MESSAGES_H

#include "base/arena.h"
#include "base/compiler.h"
#include "base/status.h"

struct chat_request;
struct json;
struct protocol_error;

/* Sets turns, last_text, tools and form of *q, and what its messages have. ST_INVALID: *err
 * names the field. */
enum status anthropic_messages_read(struct arena *arena, const struct json *body,
                                    struct chat_request *q,
                                    struct protocol_error *err) MUST_CHECK;

#endif
