/* The texts of single settings: numbers, sizes, switches. Pure. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

/* Decimal digits only. ST_INVALID; ST_LIMIT beyond 64 bits. */
enum status value_uint(struct span text, uint64_t *out) MUST_CHECK;

/* A number of bytes: "65536", "64KiB", "1.5 GiB" is not one. KiB, MiB, GiB, TiB are
 * powers of 1024; kB, MB, GB, TB powers of 1000. */
enum status value_bytes(struct span text, uint64_t *out) MUST_CHECK;

/* A finite decimal number; no hexadecimal, no "nan". */
enum status value_real(struct span text, double *out) MUST_CHECK;

/* on/off, yes/no, true/false. */
enum status value_bool(struct span text, bool *out) MUST_CHECK;

/* "YYYY-MM-DD", a day that exists. */
bool value_is_date(struct span text);

/* The largest binary unit that divides n: "64MiB". */
enum status value_write_bytes(struct buf *out, uint64_t n) MUST_CHECK;

/* The shortest decimal text that reads back as v. */
enum status value_write_real(struct buf *out, double v) MUST_CHECK;

/* A YAML scalar: plain where that is safe, else double-quoted. */
enum status value_write_text(struct buf *out, struct span text) MUST_CHECK;

#endif
