/* Reading the fields of a request: absent and null are the same, a wrong type is refused
 * by the field's name. Only what the steps need is checked; unknown fields and odd values
 * are the upstream's to judge. */
#ifndef PROTOCOL_FIELDS_H
#define PROTOCOL_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct arena;
struct json;
struct protocol_error;
struct protocol_request;

/* The body, which must be a JSON object. *err is cleared first. */
enum status fields_parse(struct arena *arena, const struct protocol_request *in,
                         struct json **root, struct protocol_error *err) MUST_CHECK;

/* ST_INVALID, with "'param' expected" for the client. */
enum status fields_refuse(struct protocol_error *err, const char *param,
                          const char *expected) MUST_CHECK;

/* NULL when absent or null. */
const struct json *fields_get(const struct json *body, struct span name);

/* What is absent leaves the outputs as they are. `name` ends with a NUL. */
enum status fields_read_text(const struct json *body, struct span name, struct span *out,
                             struct protocol_error *err) MUST_CHECK;
enum status fields_read_number(const struct json *body, struct span name, bool *has,
                               double *out, struct protocol_error *err) MUST_CHECK;
/* A negative or fractional one is odd, but not for us to refuse: *has stays false. */
enum status fields_read_count(const struct json *body, struct span name, bool *has,
                              uint64_t *out, struct protocol_error *err) MUST_CHECK;
enum status fields_read_flag(const struct json *body, struct span name, bool *out,
                             struct protocol_error *err) MUST_CHECK;
/* The same: the length of a name that stands in the code is known without counting. */
MUST_CHECK static inline enum status fields_text(const struct json *body, const char *name,
                                                 struct span *out, struct protocol_error *err)
{
    return fields_read_text(body, span_of(name), out, err);
}

MUST_CHECK static inline enum status fields_number(const struct json *body, const char *name,
                                                   bool *has, double *out,
                                                   struct protocol_error *err)
{
    return fields_read_number(body, span_of(name), has, out, err);
}

MUST_CHECK static inline enum status fields_count(const struct json *body, const char *name,
                                                  bool *has, uint64_t *out,
                                                  struct protocol_error *err)
{
    return fields_read_count(body, span_of(name), has, out, err);
}

MUST_CHECK static inline enum status fields_flag(const struct json *body, const char *name,
                                                 bool *out, struct protocol_error *err)
{
    return fields_read_flag(body, span_of(name), out, err);
}

/* A text, or a list of at most 16; in the arena. */
enum status fields_texts(struct arena *arena, const struct json *body, const char *name,
                         const struct span **out, size_t *count,
                         struct protocol_error *err) MUST_CHECK;

/* A text, or a list of at most 2048 texts that is not empty; in the arena. *count is 0 for
 * anything else, which is for somebody else to read. */
enum status fields_inputs(struct arena *arena, const struct json *v, const struct span **out,
                          size_t *count) MUST_CHECK;

/* Is there something in it? No: null, false, and what is empty. NULL-safe. */
bool fields_filled(const struct json *v);

#endif
