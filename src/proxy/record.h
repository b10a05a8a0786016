/* From a fresh answer to an entry: storable or not, priced, kept, and shared with
 * those who wait for it. */
#ifndef PROXY_RECORD_H
#define PROXY_RECORD_H

#include "base/compiler.h"
#include "base/status.h"

struct answer;
struct digest;
struct entry;
struct request;

/* The answer is complete (or not: see its verdict). Stores it when it may be,
 * counts the reason when not, and lands the flight that `r` leads either way. */
void record_answer(struct request *r, const struct answer *a);

/* Why this answer may not be kept (static), or NULL. Settles whether it may be found by
 * meaning, and whether its question is of the moment. */
const char *record_unfit(struct request *r, const struct answer *a);

/* An entry of an answer under a key, with one reference; it is put nowhere. */
enum status record_entry(struct request *r, const struct digest *key, const struct answer *a,
                         struct entry **out) MUST_CHECK;

/* There is no answer to keep; `reason` is counted. Lands the flight. */
void record_nothing(struct request *r, const char *reason);

#endif
