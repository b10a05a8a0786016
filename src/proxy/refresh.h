/* A fresh answer for a request that was given a stale one (RFC 5861), or one near its end:
 * asked for in the background, recorded like any other. */
#ifndef PROXY_REFRESH_H
#define PROXY_REFRESH_H

struct request;

/* Nothing comes of it when the same is already asked for, or too many are. `r` is copied. */
void refresh_start(const struct request *r);

#endif
