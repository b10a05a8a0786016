/* Names to addresses by c-ares on the loop's own sockets: nothing blocks. Answers
 * are kept by their TTL; when a look-up fails the last good answer serves on. Loop
 * thread only. */
#ifndef RT_DNS_H
#define RT_DNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/compiler.h"
#include "base/status.h"

struct dns;
struct dns_query;
struct loop;

#define DNS_ADDRESSES_MAX 8

/* Ports are zero. ST_OK with n >= 1; ST_NOTFOUND; ST_TIMEOUT; ST_UNAVAILABLE;
 * ST_CANCELED. */
typedef void dns_done_fn(struct dns_query *q, enum status st,
                         const struct sockaddr_storage *list, size_t n);

/* Embed in the owner. */
struct dns_query {
    dns_done_fn *done;
    void *state; /* the resolver's */
    struct dns_query *next;
};

enum status dns_open(struct loop *loop, uint32_t ttl_max_s, const char *servers,
                     struct dns **out) MUST_CHECK;
/* Queries in flight end with ST_CANCELED, later. */
void dns_close(struct dns *d);

/* done comes once, later, also for an answer that is known already. */
enum status dns_resolve(struct dns *d, const char *host, struct dns_query *q,
                        dns_done_fn *done) MUST_CHECK;
/* done will not come. */
void dns_cancel(struct dns *d, struct dns_query *q);

#endif
