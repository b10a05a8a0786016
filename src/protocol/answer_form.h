/* The form of an answer, as the dialects name it. */
#ifndef PROTOCOL_ANSWER_FORM_H
#define PROTOCOL_ANSWER_FORM_H

#include "protocol/protocol.h"

/* OpenAI's: `type` is "text" (or absent), "json_object", or "json_schema" with a schema, which
 * `q` borrows. */
void answer_form_read(struct span type, const struct json *schema, struct chat_request *q);

#endif
