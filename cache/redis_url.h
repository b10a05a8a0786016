/* "redis://[[user]:password@]host[:port][/db]", "rediss://…" (TLS) and
 * "redis+unix://[…@]/path[?db=N]". Pure. */
#ifndef CACHE_REDIS_URL_H
#define CACHE_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

#define REDIS_URL_TEXT_MAX 256

struct redis_url {
    bool tls, unix_socket;
    char host[REDIS_URL_TEXT_MAX]; /* or the path of the Unix socket */
    uint16_t port;
    char user[REDIS_URL_TEXT_MAX];     /* "default" when only a password is given */
    char password[REDIS_URL_TEXT_MAX]; /* empty: none */
    uint32_t db;
    char shown[REDIS_URL_TEXT_MAX + 32]; /* for people: no user, no password */
};

/* ST_INVALID with what is wrong in `why`, which never quotes the URL. */
enum status redis_url_parse(const char *text, struct redis_url *out, char *why,
                            size_t why_cap) MUST_CHECK;

#endif
