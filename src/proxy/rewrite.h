/* cache.rewrite: the last question of a conversation, made self-contained, is what is compared
 * by meaning; the turns before it are left out then. The one exception to "history is compared
 * exactly", and only where it is sure what is meant: see cache/resolve.h. Loop thread only. */
#ifndef PROXY_REWRITE_H
#define PROXY_REWRITE_H

#include "base/span.h"

struct request;

/* Sets r->alone where it is sure what is meant, and the settings want it; before
 * admit_partition(). What came of it is counted. */
void rewrite_resolve(struct request *r);

/* What is asked, to be compared by meaning: the last text of the user, or what was made of it.
 */
struct span rewrite_question(const struct request *r);

#endif
