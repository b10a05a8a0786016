#include "cache/traffic.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Of look-ups with something near, the share in which a guard refuses it, where little is
 * known: somewhat more than of open questions (.02 to .07 on the development streams; help
 * desks .01 to .02, commands made of a frame .26). */
#define TRAFFIC_USUAL 0.08
#define TRAFFIC_PRIOR 10.0
/* Of a step of that share's log-odds, what P(same) is moved by: of .08 to .12 the middle,
 * between which it hardly matters. */
#define TRAFFIC_STEP 0.1
/* Beyond it both counts are halved: traffic changes. */
#define TRAFFIC_LOOKUPS_MAX 2000
#define TRAFFIC_WAYS        8

struct slot {
    struct digest partition;
    struct traffic_counts counts; /* lookups 0: empty */
    uint64_t used;                /* a stamp: the least goes first */
};

struct traffic {
    pthread_mutex_t mutex; /* guards the following */
    struct slot *slots;    /* owned; sets of `ways` */
    uint32_t sets, ways;
    uint64_t stamp;
    struct traffic_stats stats;
};

static double log_odds(double p)
{
    return log(p / (1 - p));
}

double traffic_shift(const struct traffic_counts *c)
{
    double share, by;

    if (c->lookups == 0)
        return 0;
    share = (c->refused + TRAFFIC_USUAL * TRAFFIC_PRIOR) / (c->lookups + TRAFFIC_PRIOR);
    by = TRAFFIC_STEP * (log_odds(TRAFFIC_USUAL) - log_odds(share));

    return fmax(-TRAFFIC_TIGHTER, fmin(TRAFFIC_LOOSER, by));
}

double traffic_moved(double p, double by)
{
    return by < 0 || by > 0 ? p / (p + (1 - p) * exp(-by)) : p;
}

void traffic_count(struct traffic_counts *c, bool refused)
{
    c->lookups++;
    c->refused += refused;
    if (c->lookups < TRAFFIC_LOOKUPS_MAX)
        return;
    c->lookups /= 2;
    c->refused /= 2;
}

enum status traffic_open(uint32_t partitions_max, struct traffic **out)
{
    uint32_t ways = partitions_max < TRAFFIC_WAYS ? partitions_max : TRAFFIC_WAYS;
    struct traffic *t;

    if (partitions_max == 0)
        return ST_INVALID;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return ST_NOMEM;
    t->ways = ways;
    t->sets = partitions_max / ways;
    t->slots = calloc((size_t)t->sets * ways, sizeof(*t->slots));
    if (t->slots == NULL) {
        free(t);
        return ST_NOMEM;
    }
    pthread_mutex_init(&t->mutex, NULL);
    *out = t;
    return ST_OK;
}

void traffic_close(struct traffic *t)
{
    pthread_mutex_destroy(&t->mutex);
    free(t->slots);
    free(t);
}

/* Where a partition is, or the first of its places. A digest's bytes are as good as random. */
static struct slot *set_of(struct traffic *t, const struct digest *partition)
{
    uint64_t name;

    memcpy(&name, partition->bytes, sizeof(name));
    return &t->slots[name % t->sets * t->ways];
}

static bool holds(const struct slot *s, const struct digest *partition)
{
    return s->counts.lookups > 0 && digest_eq(&s->partition, partition);
}

struct traffic_counts traffic_find(struct traffic *t, const struct digest *partition)
{
    const struct slot *set = set_of(t, partition);
    struct traffic_counts found = {0, 0};

    pthread_mutex_lock(&t->mutex);
    for (uint32_t i = 0; i < t->ways; i++) {
        if (holds(&set[i], partition))
            found = set[i].counts;
    }
    pthread_mutex_unlock(&t->mutex);
    return found;
}

/* Its own place; or an empty one, or the one that was used the longest ago, made its own. */
static struct slot *take_slot(struct traffic *t, const struct digest *partition)
{
    struct slot *set = set_of(t, partition), *oldest = set;

    for (uint32_t i = 0; i < t->ways; i++) {
        if (holds(&set[i], partition))
            return &set[i];
        if (set[i].used < oldest->used)
            oldest = &set[i];
    }
    t->stats.partitions += oldest->counts.lookups == 0;
    *oldest = (struct slot){.partition = *partition};
    return oldest;
}

void traffic_note(struct traffic *t, const struct digest *partition, bool refused)
{
    struct slot *s;

    pthread_mutex_lock(&t->mutex);
    s = take_slot(t, partition);
    s->used = ++t->stamp;
    traffic_count(&s->counts, refused);
    pthread_mutex_unlock(&t->mutex);
}

void traffic_turned(struct traffic *t, bool hit)
{
    pthread_mutex_lock(&t->mutex);
    t->stats.looser_total += hit;
    t->stats.stricter_total += !hit;
    pthread_mutex_unlock(&t->mutex);
}

void traffic_stats(struct traffic *t, struct traffic_stats *out)
{
    pthread_mutex_lock(&t->mutex);
    *out = t->stats;
    pthread_mutex_unlock(&t->mutex);
}
