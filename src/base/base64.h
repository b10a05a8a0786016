/* RFC 4648 4, with its padding. Pure; any thread. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

/* Appends. */
enum status base64_encode(struct buf *out, struct span bytes) MUST_CHECK;
/* Appends. ST_INVALID for what base64_encode() does not write: other letters, no padding,
 * bits beyond the last byte. */
enum status base64_decode(struct buf *out, struct span text) MUST_CHECK;

#endif
