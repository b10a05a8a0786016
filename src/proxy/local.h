/* What the step `local` can not do. */
#ifndef PROXY_LOCAL_H
#define PROXY_LOCAL_H

#include <stdbool.h>

struct chat_request;
struct request;

/* Why the built-in model can not answer this request, as a sentence; NULL: it can. Static. */
const char *local_cannot(const struct chat_request *q);
/* Does a model write for it, or does it wait for one? */
bool local_is_busy(const struct request *r);

/* Whatever it waits for in this step breaks off, later. */
void local_cut(struct request *r);

#endif
