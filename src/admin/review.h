/* The last decisions about near questions, for a person: how they lie, and which hits are
 * the most doubtful. Both come of the journal; texts only with `explain.questions: show`. */
#ifndef ADMIN_REVIEW_H
#define ADMIN_REVIEW_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct admin_view;

/* /admin/v1/similarity: of the decisions that are kept, how many had their best candidate at
 * which cosine, and at which P(same); by what came of them. */
enum status review_similarity(struct buf *out, const struct admin_view *v) MUST_CHECK;
/* /admin/v1/inbox: hits that nobody has reported on, the least certain first; each pair of
 * questions once. */
enum status review_inbox(struct buf *out, const struct admin_view *v) MUST_CHECK;

#endif
