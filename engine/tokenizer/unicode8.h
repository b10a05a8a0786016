/* Classes of code points as `tokenizers` knows them: those of Unicode 8, however new our
 * tables are. What came later is a character like any other to it, so it is to us. */
#ifndef ENGINE_TOKENIZER_UNICODE8_H
#define ENGINE_TOKENIZER_UNICODE8_H

#include "base/unicode.h"

enum unicode_class unicode8_class_of(uint32_t c);

#endif
