/* The inside of a connector, for connect.c and connector.c; others use rt/connect.h. */
#ifndef RT_CONNECTOR_H
#define RT_CONNECTOR_H

#include "base/list.h"
#include "rt/connect.h"

struct dns;
struct loop;

struct connector {
    struct loop *loop;
    struct dns *dns; /* owned */
    connect_allowed_fn *allowed;
    void *owner;          /* of that */
    struct list_node ops; /* whose `done` is due */
};

/* Cancels every operation; their `done` comes later, without the connector. */
void connect_end_all(struct connector *c);

#endif
