/* "redis://[[user]:password@]host[:port][,host[:port]…][/db]", "rediss://…" (TLS) and
 * "redis+unix://[…@]/path[?db=N]". Pure. */
#ifndef CACHE_REDIS_URL_H
#define CACHE_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

#define REDIS_URL_TEXT_MAX   256
#define REDIS_URL_OTHERS_MAX 15

struct redis_url_address {
    char host[REDIS_URL_TEXT_MAX];
    uint16_t port;
};

struct redis_url {
    bool tls, unix_socket;
    char host[REDIS_URL_TEXT_MAX]; /* or the path of the Unix socket */
    uint16_t port;
    char user[REDIS_URL_TEXT_MAX];     /* "default" when only a password is given */
    char password[REDIS_URL_TEXT_MAX]; /* empty: none */
    uint32_t db;
    char shown[REDIS_URL_TEXT_MAX + 32]; /* for people: no user, no password */
    /* Beside host and port: more of a Cluster, or more Sentinels. */
    struct redis_url_address other[REDIS_URL_OTHERS_MAX];
    unsigned others;
};

/* ST_INVALID with what is wrong in `why`, which never quotes the URL. */
enum status redis_url_parse(const char *text, struct redis_url *out, char *why,
                            size_t why_cap) MUST_CHECK;

/* Decimal digits and nothing else, up to nine of them and `max`. */
bool redis_url_read_number(struct span s, uint32_t max, uint32_t *out);

/* Makes *u that of another server with the same user, password and database. */
void redis_url_set_address(struct redis_url *u, const char *host, uint16_t port);

#endif
