/* The upstream's answer is read for the cache beside its relay, never in it: coded bodies
 * are decoded, streams collected, and whatever is wrong with it only costs the entry. */
#ifndef PROXY_TAP_H
#define PROXY_TAP_H

#include <stdbool.h>

#include "base/span.h"

struct http_head;
struct request;

/* Its type without parameters. */
struct span tap_media_type(const struct http_head *h);
bool tap_is_coded(const struct http_head *h);

/* From the head: whether and how it is read. */
void tap_start(struct request *r, const struct http_head *h);
/* The next bytes of the body, as they came. */
void tap_feed(struct request *r, struct span data);
/* The body ended by its framing: what is worth keeping is kept. */
void tap_end(struct request *r);
/* Frees what it holds; also without an end. */
void tap_release(struct request *r);

#endif
