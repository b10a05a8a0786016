#include "proxy/flight.h"

#include <stdlib.h>

#include "cache/entry.h"
#include "proxy/follow.h"
#include "proxy/lease.h"
#include "proxy/request.h"
#include "proxy/proxy.h"
#include "proxy/replay.h"

static struct list_node *bucket(struct flights *f, const struct digest *key)
{
    unsigned n = (unsigned)key->bytes[0] << 8 | key->bytes[1];

    return &f->buckets[n % FLIGHTS_BUCKETS];
}

void flight_init(struct flights *f)
{
    for (size_t i = 0; i < FLIGHTS_BUCKETS; i++)
        list_init(&f->buckets[i]);
}

struct flight *flight_find(struct flights *f, const struct digest *key)
{
    struct list_node *head = bucket(f, key);

    for (struct list_node *n = head->next; n != head; n = n->next) {
        struct flight *x = CONTAINER_OF(n, struct flight, link);

        if (digest_eq(&x->key, key))
            return x;
    }
    return NULL;
}

enum status flight_lead(struct flights *f, struct request *leader)
{
    struct flight *x = malloc(sizeof(*x));

    if (x == NULL)
        return ST_NOMEM;
    x->key = leader->key;
    x->credential = leader->credential;
    x->leader = leader;
    x->lease = NULL;
    list_init(&x->followers);
    list_append(bucket(f, &x->key), &x->link);
    leader->flight = x;
    leader->leads = true;
    return ST_OK;
}

void flight_follow(struct flight *f, struct request *r)
{
    r->flight = f;
    list_append(&f->followers, &r->flight_link);
}

void flight_leave(struct request *r)
{
    list_remove(&r->flight_link);
    r->flight = NULL;
}

void flight_land(struct request *leader, struct entry *e)
{
    struct flight *f = leader->flight;

    if (f == NULL || !leader->leads)
        return;
    leader->flight = NULL;
    leader->leads = false;
    /* Off the table first: a follower that goes its own way may lead the next. */
    list_remove(&f->link);
    lease_end(f);
    while (!list_empty(&f->followers)) {
        struct request *r = CONTAINER_OF(f->followers.next, struct request, flight_link);

        flight_leave(r);
        if (e != NULL && replay_unsuited(r, e) == NULL) {
            r->entry = entry_ref(e);
            r->source = SOURCE_COALESCED;
        }
        timer_stop(r->proxy->parts.loop, &r->deadline);
        if (request_drop(r))
            request_resume(r);
    }
    free(f);
}

void flight_pass_on(struct request *leader)
{
    struct flight *f = leader->flight;
    struct request *next;

    if (f == NULL || !leader->leads || follow_wanted(leader))
        return;
    leader->flight = NULL;
    leader->leads = false;
    if (list_empty(&f->followers)) {
        list_remove(&f->link);
        lease_end(f);
        free(f);
        return;
    }
    next = CONTAINER_OF(f->followers.next, struct request, flight_link);
    list_remove(&next->flight_link);
    next->leads = true;
    f->leader = next;
    timer_stop(next->proxy->parts.loop, &next->deadline);
    if (request_drop(next))
        request_resume(next);
}
