#include "proxy/speed.h"

#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "config/config.h"
#include "proxy/local.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"

static const char *const names[] = {"none", "completion", "interactive", "batch"};

_Static_assert(sizeof(names) / sizeof(names[0]) == SPEED_CLASSES, "a name for each");

const char *speed_name(enum speed_class c)
{
    return names[c];
}

/* x-ibid-session, or else the `user` of the body. */
static uint64_t session_of(const struct request *r)
{
    struct span s = r->controls.session;

    if (s.len == 0)
        s = json_str(json_get(r->chat.body, SPAN("user")));
    return s.len > 0 ? hash_bytes(s, 0) | 1 : 0;
}

void speed_settle(struct request *r, const struct config_route *rule)
{
    if (rule == NULL)
        return;
    for (unsigned i = SPEED_COMPLETION; i < SPEED_CLASSES; i++) {
        if (strcmp(rule->speed, names[i]) == 0)
            r->speed.class = (enum speed_class)i;
    }
    r->speed.deadline_ms = rule->deadline_ms;
    if (r->speed.class == SPEED_COMPLETION)
        r->speed.session = session_of(r);
}

uint64_t speed_patience_ms(const struct request *r)
{
    const struct config *c = r->setup->config;

    if (r->speed.deadline_ms > 0)
        return r->speed.deadline_ms;
    return c->route.deadline_ms < c->local.deadline_ms ? c->route.deadline_ms
                                                       : c->local.deadline_ms;
}

void speed_supersede(struct request *r)
{
    struct list_node *all = &r->proxy->requests;

    if (r->speed.class != SPEED_COMPLETION || r->speed.session == 0)
        return;
    for (struct list_node *n = all->next; n != all; n = n->next) {
        struct request *other = CONTAINER_OF(n, struct request, link);

        if (other == r || other->closed || other->speed.superseded ||
            other->speed.session != r->speed.session || !digest_eq(&other->scope, &r->scope) ||
            !local_is_busy(other) || follow_wanted(other))
            continue;
        other->speed.superseded = true;
        r->proxy->account.speed.superseded_total++;
        local_cut(other);
    }
}

void speed_count(struct request *r, uint64_t took_us)
{
    struct speed_counts *c = &r->proxy->account.speed;
    enum speed_class class = r->speed.class;

    if (class == SPEED_NONE || r->speed.superseded)
        return;
    c->requests_total[class]++;
    c->misses_total[class] += r->speed.deadline_ms > 0 && took_us > r->speed.deadline_ms * 1000;
}
