#include "cli/store_settings.h"

#include <string.h>

#include "cache/redis_url.h"
#include "config/config.h"
#include "rt/connect.h"

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static enum store_vectors vectors_of(const struct config *c)
{
    if (strcmp(c->cache.index, "redis") != 0)
        return STORE_VECTORS_NONE;
    return strcmp(c->cache.index_vectors, "float32") == 0 ? STORE_VECTORS_FLOAT32
                                                          : STORE_VECTORS_INT8;
}

struct store_options store_settings(const struct config *c)
{
    const char *cert = text_or_null(c->store.cert_file);

    return (struct store_options){
        .url = c->store.url,
        .data_dir = c->data_dir,
        .ca_file = text_or_null(c->store.ca_file),
        .cert_file = cert,
        .key_file = c->store.key_file[0] != '\0' ? c->store.key_file : cert,
        .user = text_or_null(c->store.user),
        .sentinel = text_or_null(c->store.sentinel),
        .password_file = text_or_null(c->store.password_file),
        .entries_max = c->store.entries_max,
        .bytes_max = c->store.bytes_max,
        .deadline_ms = (uint32_t)c->store.deadline_ms,
        .queue_max = (uint32_t)c->store.queue_max,
        .prefix = c->store.prefix,
        .vectors = vectors_of(c),
    };
}

bool store_settings_is_place(const struct config *c, const struct endpoint *to)
{
    struct redis_url u;
    char why[128];

    if (strncmp(c->store.url, "redis", 5) != 0 || to->via != NULL ||
        redis_url_parse(c->store.url, &u, why, sizeof(why)) != ST_OK)
        return false;
    if (u.unix_socket)
        return to->unix_path != NULL && strcmp(to->unix_path, u.host) == 0;
    if (to->unix_path != NULL)
        return false;
    for (unsigned i = 0; i < u.others; i++)
        if (to->port == u.other[i].port && strcmp(to->host, u.other[i].host) == 0)
            return true;
    return to->port == u.port && strcmp(to->host, u.host) == 0;
}
