/* Dialects whose answers are kept as they are: one JSON body for the same request, with no
 * stream, no comparison by meaning and no built-in model. */
#ifndef PROTOCOL_JSON_EXACT_H
#define PROTOCOL_JSON_EXACT_H

#include "base/compiler.h"
#include "base/status.h"
#include "protocol/form.h"
#include "protocol/protocol.h"

struct answer;
struct json;

/* The body's "model" and its exact form. */
enum status json_exact_decode(struct arena *arena, const struct protocol_request *in,
                              const struct form_rules *form, struct chat_request *out,
                              struct protocol_error *err) MUST_CHECK;

/* An object without an error that has `member`: STORABLE, and its model and text that. */
void json_exact_judge(const struct json *root, struct span member, struct answer *a);

#endif
