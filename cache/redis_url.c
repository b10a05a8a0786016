#include "cache/redis_url.h"

#include <stdio.h>
#include <string.h>

#define PORT_DEFAULT 6379
#define DB_MAX       65535

static bool take_prefix(struct span *s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s->len < n || memcmp(s->ptr, prefix, n) != 0)
        return false;
    *s = (struct span){s->ptr + n, s->len - n};
    return true;
}

/* What stands before the last (or first) `c` goes to *before, *s keeps the rest. */
static bool split(struct span *s, char c, bool last, struct span *before)
{
    for (size_t i = 0; i < s->len; i++) {
        size_t at = last ? s->len - 1 - i : i;

        if (s->ptr[at] == c) {
            *before = (struct span){s->ptr, at};
            *s = (struct span){s->ptr + at + 1, s->len - at - 1};
            return true;
        }
    }
    return false;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoding into a text of REDIS_URL_TEXT_MAX. No control characters: what
 * is configured here is sent to a server and shown to people. */
static bool decode(struct span s, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        int c = (unsigned char)s.ptr[i];

        if (c == '%') {
            if (i + 2 >= s.len || hex_of(s.ptr[i + 1]) < 0 || hex_of(s.ptr[i + 2]) < 0)
                return false;
            c = hex_of(s.ptr[i + 1]) * 16 + hex_of(s.ptr[i + 2]);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || n + 1 >= REDIS_URL_TEXT_MAX)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return true;
}

bool redis_url_read_number(struct span s, uint32_t max, uint32_t *out)
{
    uint32_t n = 0;

    if (s.len == 0 || s.len > 9)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(s.ptr[i] - '0');
    }
    *out = n;
    return n <= max;
}

/* A word alone before the @ is a password, as redis-cli takes it. */
static const char *take_credentials(struct span s, struct redis_url *u)
{
    struct span user = {NULL, 0};

    split(&s, ':', false, &user);
    if (!decode(user, u->user) || !decode(s, u->password))
        return "user or password is too long or badly encoded";
    if (u->password[0] == '\0')
        return "there is an @ but no password before it";
    if (u->user[0] == '\0')
        snprintf(u->user, sizeof(u->user), "default");
    return NULL;
}

/* "host", "host:port", "[v6]:port"; empty is the local machine. */
static const char *take_host(struct span s, struct redis_url_address *out)
{
    struct span host = s;
    uint32_t port = PORT_DEFAULT;

    if (s.len > 0 && s.ptr[0] == '[') {
        s = (struct span){s.ptr + 1, s.len - 1};
        if (!split(&s, ']', false, &host))
            return "a [ without ] in the address";
        if (s.len > 0 &&
            (s.ptr[0] != ':' ||
             !redis_url_read_number((struct span){s.ptr + 1, s.len - 1}, 65535, &port)))
            return "the port is no number from 1 to 65535";
    } else if (split(&s, ':', true, &host)) {
        if (!redis_url_read_number(s, 65535, &port))
            return "the port is no number from 1 to 65535";
    }
    if (host.len == 0)
        host = SPAN("127.0.0.1");
    if (port == 0 || !decode(host, out->host) || strchr(out->host, ' ') != NULL)
        return "host or port is not valid";
    out->port = (uint16_t)port;
    return NULL;
}

void redis_url_set_address(struct redis_url *u, const char *host, uint16_t port)
{
    snprintf(u->host, sizeof(u->host), "%s", host);
    u->port = port;
    snprintf(u->shown, sizeof(u->shown), "%s%s:%u", u->tls ? "rediss://" : "redis://", u->host,
             u->port);
}

/* One, or several with commas between. */
static const char *take_hosts(struct span s, struct redis_url *u)
{
    struct redis_url_address first;
    struct span one = s;
    const char *wrong;
    bool more = split(&s, ',', false, &one);

    wrong = take_host(more ? one : s, &first);
    while (wrong == NULL && more) {
        more = split(&s, ',', false, &one);
        if (u->others == REDIS_URL_OTHERS_MAX)
            return "it names more than 16 servers";
        if (!more)
            one = s;
        if (one.len == 0)
            return "nothing stands between two commas, or after one";
        wrong = take_host(one, &u->other[u->others++]);
    }
    if (wrong == NULL)
        redis_url_set_address(u, first.host, first.port);
    return wrong;
}

static const char *take_network(struct span s, struct redis_url *u)
{
    struct span before;

    if (!split(&s, '/', false, &before)) {
        before = s;
        s.len = 0;
    }
    if (s.len > 0 && !redis_url_read_number(s, DB_MAX, &u->db))
        return "what follows the / is no database number";
    return take_hosts(before, u);
}

static const char *take_unix(struct span s, struct redis_url *u)
{
    struct span path;

    if (split(&s, '?', true, &path)) {
        if (!take_prefix(&s, "db=") || !redis_url_read_number(s, DB_MAX, &u->db))
            return "what follows the ? is not db=NUMBER";
    } else {
        path = s;
    }
    if (path.len == 0 || path.ptr[0] != '/' || !decode(path, u->host))
        return "the path of the socket is not valid";
    snprintf(u->shown, sizeof(u->shown), "redis+unix://%s", u->host);
    return NULL;
}

enum status redis_url_parse(const char *text, struct redis_url *out, char *why, size_t why_cap)
{
    struct redis_url u = {.port = PORT_DEFAULT};
    struct span s = span_of(text), credentials;
    const char *wrong = NULL;

    if (take_prefix(&s, "redis+unix://"))
        u.unix_socket = true;
    else if (take_prefix(&s, "rediss://"))
        u.tls = true;
    else if (!take_prefix(&s, "redis://"))
        wrong = "it begins with none of redis://, rediss://, redis+unix://";
    /* The last @: a password may hold one. */
    if (wrong == NULL && split(&s, '@', true, &credentials))
        wrong = take_credentials(credentials, &u);
    if (wrong == NULL)
        wrong = u.unix_socket ? take_unix(s, &u) : take_network(s, &u);
    if (wrong != NULL) {
        snprintf(why, why_cap, "store.url: %s", wrong);
        return ST_INVALID;
    }
    *out = u;
    return ST_OK;
}
