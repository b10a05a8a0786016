/* NFC as `tokenizers` knows it: that of Unicode 9, however new our tables are. Marks that
 * came later are characters like any other to it, so they are to us. */
#ifndef ENGINE_TOKENIZER_UNICODE9_H
#define ENGINE_TOKENIZER_UNICODE9_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

/* Appends the valid UTF-8 `s` in NFC. ST_NOMEM, or what buf_append() says. */
enum status unicode9_compose(struct span s, struct buf *out) MUST_CHECK;

#endif
