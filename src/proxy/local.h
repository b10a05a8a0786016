/* What the step `local` can not do, and the doors for what runs beside it. */
#ifndef PROXY_LOCAL_H
#define PROXY_LOCAL_H

#include <stdbool.h>
#include <stdint.h>

struct chat_request;
struct request;

/* Why the built-in model can not answer this request, as a sentence; NULL: it can. Static. */
const char *local_cannot(const struct chat_request *q);
/* Does a model write for it, or does it wait for one? */
bool local_is_busy(const struct request *r);

/* Whatever it waits for in this step breaks off, later. */
void local_cut(struct request *r);

/* One of the request's jobs has ended, and what it took. */
void local_job_ended(struct request *r, uint64_t cpu_us);
/* The last sample of a vote is there. */
void local_voted(struct request *r);
/* Another answer is given out: what is under way ends soon and is not looked at. */
void local_give_up(struct request *r);

#endif
