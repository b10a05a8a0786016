/* Who made an answer and when, for its reader: in a header of every answer, and, for those who
 * ask for it or where the operator requires it, in the body of every answer that ibid writes
 * itself. What an upstream answers is relayed as it is: there the header says it. Loop thread.
 */
#ifndef PROXY_MARK_H
#define PROXY_MARK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct request;
struct respond_fields;

/* x-ibid-made: by="openai", model="gpt-4o", at=@1764201600 (RFC 9651: a dictionary of strings
 * and a date). */
void mark_add(struct request *r, struct respond_fields *f);

bool mark_wanted(const struct request *r) MUST_CHECK;

/* Puts "metadata": {"ibid_source": …} into the object that begins at `from` of `out`, a whole
 * answer; its own metadata stay beside it. */
enum status mark_whole(struct request *r, struct buf *out, size_t from) MUST_CHECK;
/* And into the first event of a stream, when it is wanted and `out` is the first with one. */
enum status mark_stream(struct request *r, struct buf *out) MUST_CHECK;

#endif
