#include "config/listen.h"

#include <stdint.h>
#include <stdio.h>

#include "config/config.h"
#include "config/value.h"

#define UNIX_PREFIX   "unix:"
#define TLS_PREFIX    "tls:"
#define UNIX_PATH_MAX 107 /* sun_path of Linux, without its NUL */

static bool is_socket_path(const char *path, char *why, size_t why_cap)
{
    size_t n = strlen(path);

    if (n > 0 && n <= UNIX_PATH_MAX)
        return true;
    snprintf(why, why_cap, "the path of a Unix socket has 1 to %d bytes", UNIX_PATH_MAX);
    return false;
}

bool listen_is_tls(const char *text)
{
    return strncmp(text, TLS_PREFIX, strlen(TLS_PREFIX)) == 0;
}

const char *listen_place(const char *text)
{
    return listen_is_tls(text) ? text + strlen(TLS_PREFIX) : text;
}

bool listen_is_address(const char *address, char *why, size_t why_cap)
{
    const char *text = listen_place(address);
    const char *colon = strrchr(text, ':');
    size_t host = colon != NULL ? (size_t)(colon - text) : 0;
    bool brackets = host > 2 && text[0] == '[' && text[host - 1] == ']';
    uint64_t port;

    if (text != address && strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        snprintf(why, why_cap, "a Unix socket has no TLS: nobody listens in there");
        return false;
    }
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return is_socket_path(text + strlen(UNIX_PREFIX), why, why_cap);
    if (host > 0 && value_uint(span_of(colon + 1), &port) == ST_OK && port <= 65535 &&
        strpbrk(text, " \t/") == NULL && (brackets || memchr(text, ':', host) == NULL))
        return true;
    snprintf(why, why_cap, "'%.80s' is not HOST:PORT, [V6]:PORT, tls:HOST:PORT or unix:/path",
             address);
    return false;
}

bool listen_is_any_port(const char *text)
{
    const char *colon = strrchr(text, ':');

    return colon != NULL && strcmp(colon, ":0") == 0;
}

enum status listen_add(struct config *c, struct span text, char *why, size_t why_cap)
{
    char *slot;

    if (c->listen_count == CONFIG_LISTEN_MAX) {
        snprintf(why, why_cap, "more than %d addresses", CONFIG_LISTEN_MAX);
        return ST_LIMIT;
    }
    if (text.len >= sizeof(c->listen[0]) ||
        (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL)) {
        snprintf(why, why_cap, "is no address");
        return ST_INVALID;
    }
    slot = c->listen[c->listen_count];
    snprintf(slot, sizeof(c->listen[0]), "%.*s", (int)text.len, text.ptr);
    if (!listen_is_address(slot, why, why_cap))
        return ST_INVALID;
    for (size_t i = 0; i < c->listen_count; i++) {
        if (strcmp(listen_place(c->listen[i]), listen_place(slot)) == 0 &&
            !listen_is_any_port(slot)) {
            snprintf(why, why_cap, "'%s' is there twice", slot);
            return ST_INVALID;
        }
    }
    c->listen_count++;
    return ST_OK;
}
