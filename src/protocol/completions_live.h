/* A text of a model on this machine as POST /v1/completions has it, whole and as a stream.
 * Pure. */
#ifndef PROTOCOL_COMPLETIONS_LIVE_H
#define PROTOCOL_COMPLETIONS_LIVE_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"
#include "protocol/protocol.h"

enum status completions_live_render(struct buf *out, const struct protocol_text *t) MUST_CHECK;

extern const struct protocol_live completions_live;

#endif
