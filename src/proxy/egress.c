#include "proxy/egress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "config/config.h"
#include "http/head.h"

#define USER_MAX_BYTES 700

static const char *environment(const char *upper, const char *lower)
{
    const char *value = getenv(upper);

    if (value == NULL || value[0] == '\0')
        value = getenv(lower);
    return value != NULL ? value : "";
}

/* An entry is a name and all below it, with a dot before it or not; or '*'. */
static bool is_below(struct span host, struct span entry)
{
    if (entry.len > 0 && entry.ptr[0] == '.') {
        entry.ptr++;
        entry.len--;
    }
    if (entry.len == 0 || entry.len > host.len)
        return false;
    if (entry.len < host.len && host.ptr[host.len - entry.len - 1] != '.')
        return false;
    return http_name_eq((struct span){host.ptr + host.len - entry.len, entry.len}, entry);
}

static bool is_exempt(struct span host, const char *list)
{
    while (*list != '\0') {
        size_t skip = strspn(list, ", "), n = strcspn(list + skip, ", ");
        struct span entry = {list + skip, n};

        if (span_eq(entry, SPAN("*")) || is_below(host, entry))
            return true;
        list += skip + n;
    }
    return false;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "user:p%40ss" as the proxy wants it. */
static enum status authorize(struct span user, struct egress *out)
{
    struct buf plain, text;
    enum status st = ST_OK;

    buf_init(&plain, USER_MAX_BYTES);
    buf_init(&text, sizeof(out->authorization) - 1);
    for (size_t i = 0; st == ST_OK && i < user.len; i++) {
        char c = user.ptr[i];

        if (c == '%' && i + 2 < user.len && digit(user.ptr[i + 1]) >= 0 &&
            digit(user.ptr[i + 2]) >= 0) {
            c = (char)(digit(user.ptr[i + 1]) << 4 | digit(user.ptr[i + 2]));
            i += 2;
        }
        st = buf_append(&plain, (struct span){&c, 1});
    }
    if (st == ST_OK)
        st = buf_append(&text, SPAN("Basic "));
    if (st == ST_OK)
        st = base64_encode(&text, buf_span(&plain));
    if (st == ST_OK) {
        memcpy(out->authorization, text.ptr, text.len);
        out->authorization[text.len] = '\0';
        out->via.authorization = out->authorization;
    }
    buf_release(&plain);
    buf_release(&text);
    return st;
}

static enum status parse(const char *text, struct egress *out, char *why, size_t why_cap)
{
    const char *start = strstr(text, "://"), *at;
    char url[CONFIG_TEXT_MAX + 8];
    enum status st = ST_OK;

    start = start != NULL ? start + 3 : text; /* HTTPS_PROXY=host:3128 is common */
    at = strrchr(start, '@');
    if (strncmp(text, "https://", 8) == 0) {
        snprintf(why, why_cap, "the proxy itself is spoken to by http:// only");
        return ST_INVALID;
    }
    if (at != NULL)
        st = authorize((struct span){start, (size_t)(at - start)}, out);
    if (st != ST_OK) {
        snprintf(why, why_cap, "its user is too long");
        return st;
    }
    snprintf(url, sizeof(url), "http://%s", at != NULL ? at + 1 : start);
    st = url_parse(span_of(url), &out->url, why, why_cap);
    out->via.host = out->url.host;
    out->via.port = out->url.port;
    out->used = st == ST_OK;
    return st;
}

enum status egress_open(const struct config *config, const struct url *to, struct egress *out,
                        char *why, size_t why_cap)
{
    const char *text = config->upstream.proxy_url;
    char reason[160] = "";
    enum status st;

    *out = (struct egress){.used = false};
    if (!to->tls)
        return ST_OK;
    if (strcmp(text, "env") == 0) {
        text = environment("HTTPS_PROXY", "https_proxy");
        if (is_exempt(span_of(to->host), environment("NO_PROXY", "no_proxy")))
            text = "";
    }
    if (text[0] == '\0')
        return ST_OK;
    st = parse(text, out, reason, sizeof(reason));
    if (st != ST_OK)
        snprintf(why, why_cap, "upstream.proxy_url: %s", reason);
    return st;
}
