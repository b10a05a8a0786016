/* A vector as text: a list of numbers, or its bytes in base64 (RFC 4648 4). */
#ifndef PROTOCOL_VECTOR_TEXT_H
#define PROTOCOL_VECTOR_TEXT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

/* [0.5,-1e-09]: nine digits, from which each float is read back as it was. */
enum status vector_text_numbers(struct buf *out, const float *v, uint32_t n) MUST_CHECK;
/* "AAAAP…": floats of four bytes, little endian, in quotes. */
enum status vector_text_base64(struct buf *out, const float *v, uint32_t n) MUST_CHECK;

#endif
