/* WordPiece from a GGUF file: tokenizer.ggml.model "bert". Pieces that begin a word have
 * U+2581 at their front there, the others have lost their "##". */
#ifndef ENGINE_TOKENIZER_WORDPIECE_GGUF_H
#define ENGINE_TOKENIZER_WORDPIECE_GGUF_H

#include "base/compiler.h"
#include "base/status.h"
#include "engine/engine.h"

struct gguf;
struct wordpiece;

/* The file may go afterwards. It says whether texts are lowered
 * (tokenizer.ggml.normalizer.lowercase); one that does not is of the time when all were. */
enum status wordpiece_gguf_open(const struct gguf *g, struct wordpiece **out,
                                struct engine_error *err) MUST_CHECK;

#endif
