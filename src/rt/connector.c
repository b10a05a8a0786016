#include "rt/connector.h"

#include <stdlib.h>

#include "rt/connect.h"
#include "rt/dns.h"

enum status connector_open(struct loop *loop, const struct connector_options *o,
                           struct connector **out)
{
    struct connector *c = calloc(1, sizeof(*c));
    enum status st;

    if (c == NULL)
        return ST_NOMEM;
    c->loop = loop;
    c->allowed = o->allowed;
    c->owner = o->owner;
    list_init(&c->ops);
    st = dns_open(loop, o->dns_ttl_max_s, o->dns_servers, &c->dns);
    if (st != ST_OK) {
        free(c);
        return st;
    }
    *out = c;
    return ST_OK;
}

void connector_close(struct connector *c)
{
    connect_end_all(c);
    dns_close(c->dns);
    free(c);
}
