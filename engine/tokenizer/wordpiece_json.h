/* WordPiece from a tokenizer.json. */
#ifndef ENGINE_TOKENIZER_WORDPIECE_JSON_H
#define ENGINE_TOKENIZER_WORDPIECE_JSON_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "engine/engine.h"

struct json;
struct wordpiece;

/* From the tree of a tokenizer.json, which may go afterwards. Another model or normalizer
 * is refused by name. `bare`: see wordpiece.h; what the file says of special tokens around
 * a text does not matter then. */
enum status wordpiece_json_open(const struct json *root, bool bare, struct wordpiece **out,
                                struct engine_error *err) MUST_CHECK;

#endif
