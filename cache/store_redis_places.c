#include "cache/store_redis_places.h"

#include <string.h>

#include "base/span.h"
#include "cache/redis_slot.h"

/* A name or an address; "?" is a server's word for not knowing. */
static bool read_host(struct span s, char out[REDIS_URL_TEXT_MAX])
{
    if (s.len >= REDIS_URL_TEXT_MAX || span_eq(s, SPAN("?")))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
            return false;
    if (s.len > 0)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}

static bool next_word(struct span *text, struct span *word)
{
    const char *blank = text->len > 0 ? memchr(text->ptr, ' ', text->len) : NULL;

    *word = (struct span){text->ptr, blank != NULL ? (size_t)(blank - text->ptr) : text->len};
    text->len -= word->len + (blank != NULL);
    text->ptr += word->len + (blank != NULL);
    return word->len > 0;
}

/* host:port, where the host of IPv6 has colons too. */
static bool read_address(struct span s, struct redis_url_address *out)
{
    uint32_t port;
    size_t colon = s.len;

    while (colon > 0 && s.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 ||
        !redis_url_read_number((struct span){s.ptr + colon, s.len - colon}, 65535, &port) ||
        port == 0)
        return false;
    out->port = (uint16_t)port;
    return read_host((struct span){s.ptr, colon - 1}, out->host);
}

bool store_redis_places_redirect(const redisReply *r, struct store_redis_redirect *out)
{
    struct span text, verb, slot, address;
    uint32_t number;

    if (r == NULL || r->type != REDIS_REPLY_ERROR)
        return false;
    text = (struct span){r->str, (size_t)r->len};
    if (!next_word(&text, &verb) || !next_word(&text, &slot) || !next_word(&text, &address) ||
        !redis_url_read_number(slot, REDIS_SLOTS - 1, &number))
        return false;
    out->ask = span_eq(verb, SPAN("ASK"));
    out->slot = (uint16_t)number;
    return (out->ask || span_eq(verb, SPAN("MOVED"))) && read_address(address, &out->to);
}

static bool is_integer(const redisReply *r, long long least, long long most)
{
    return r->type == REDIS_REPLY_INTEGER && r->integer >= least && r->integer <= most;
}

/* [first, last, [host, port, …], replicas…]; a host that is nil or empty is that of whoever
 * answers. */
bool store_redis_places_range(const redisReply *r, size_t i, struct store_redis_range *out)
{
    const redisReply *range, *master, *host;
    struct span name = {"", 0};

    if (r->type != REDIS_REPLY_ARRAY || i >= r->elements)
        return false;
    range = r->element[i];
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3)
        return false;
    master = range->element[2];
    if (!is_integer(range->element[0], 0, REDIS_SLOTS - 1) ||
        !is_integer(range->element[1], range->element[0]->integer, REDIS_SLOTS - 1) ||
        master->type != REDIS_REPLY_ARRAY || master->elements < 2 ||
        !is_integer(master->element[1], 1, 65535))
        return false;
    host = master->element[0];
    if (host->type == REDIS_REPLY_STRING)
        name = (struct span){host->str, (size_t)host->len};
    else if (host->type != REDIS_REPLY_NIL)
        return false;
    out->first = (uint16_t)range->element[0]->integer;
    out->last = (uint16_t)range->element[1]->integer;
    out->master.port = (uint16_t)master->element[1]->integer;
    return read_host(name, out->master.host);
}

bool store_redis_places_master(const redisReply *r, struct redis_url_address *out)
{
    uint32_t port;

    if (r->type != REDIS_REPLY_ARRAY || r->elements != 2 ||
        r->element[0]->type != REDIS_REPLY_STRING ||
        r->element[1]->type != REDIS_REPLY_STRING ||
        !redis_url_read_number((struct span){r->element[1]->str, (size_t)r->element[1]->len},
                               65535, &port) ||
        port == 0 || r->element[0]->len == 0)
        return false;
    out->port = (uint16_t)port;
    return read_host((struct span){r->element[0]->str, (size_t)r->element[0]->len}, out->host);
}
