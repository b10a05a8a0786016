/* The wishes of controls.h where other gateways take them in the body: LiteLLM's "cache",
 * TensorZero's "tensorzero::cache_options", GPTCache's "cache_skip", … They only tighten. Pure.
 */
#ifndef PROXY_CONTROLS_BODY_H
#define PROXY_CONTROLS_BODY_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"

struct controls;
struct json;
struct protocol_error;

/* Adds what `body` (may be NULL) says to *c; what is not understood of it is passed over.
 * ST_INVALID with *err: it names a space, and a header does, too. */
enum status controls_body_read(const struct json *body, struct controls *c,
                               struct protocol_error *err) MUST_CHECK;

/* Is this member of a body such a wish, and all of it understood? Else it is the upstream's to
 * judge: a misspelt no-store must not get lost. */
bool controls_body_takes(const struct json *member);

#endif
