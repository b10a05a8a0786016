/* A flat JSON writer: the first failure sticks, commas are its business. Thread of its
 * buffer's owner.
 *
 *     struct json_writer w = {&buf, ST_OK, false};
 *     json_writer_open(&w, NULL, '{');
 *     json_writer_u64(&w, "count", 3);
 *     json_writer_close(&w, '}');
 *     return w.st;
 */
#ifndef BASE_JSON_WRITER_H
#define BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/status.h"

struct json_writer {
    struct buf *out; /* borrowed */
    enum status st;  /* ST_OK until something did not fit */
    bool comma;      /* the next value needs one before it */
};

/* Names are static text; NULL: the value stands in an array, or alone. */
/* '{' or '['; closed with '}' or ']'. */
void json_writer_open(struct json_writer *w, const char *name, char bracket);
void json_writer_close(struct json_writer *w, char bracket);

void json_writer_u64(struct json_writer *w, const char *name, uint64_t n);
/* Nine digits; it must be finite. */
void json_writer_real(struct json_writer *w, const char *name, double v);
/* As many as bring back the very number; likewise. */
void json_writer_exact(struct json_writer *w, const char *name, double v);
void json_writer_bool(struct json_writer *w, const char *name, bool v);
/* Invalid UTF-8 becomes U+FFFD. */
void json_writer_text(struct json_writer *w, const char *name, struct span s);
/* Bytes as they are: a line's end. */
void json_writer_raw(struct json_writer *w, struct span s);

#endif
