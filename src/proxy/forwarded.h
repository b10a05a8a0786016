/* Who asked, for the upstream: only when it is configured. */
#ifndef PROXY_FORWARDED_H
#define PROXY_FORWARDED_H

struct http_head;
struct request;

/* The request's head as it goes upstream: r->head, or a copy with Via and X-Forwarded-For in
 * its arena. NULL: no memory. */
const struct http_head *forwarded_head(struct request *r);

#endif
