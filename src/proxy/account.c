#include "proxy/account.h"

#include <string.h>

const double account_bounds_s[ACCOUNT_BUCKETS - 1] = {
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 30,
};

void account_init(struct account *a, uint64_t wall_ms)
{
    memset(a, 0, sizeof(*a));
    a->started_wall_ms = wall_ms;
}

void account_latency(struct account_histogram *h, uint64_t us)
{
    double s = (double)us / 1e6;
    unsigned i = 0;

    while (i < ACCOUNT_BUCKETS - 1 && s > account_bounds_s[i])
        i++;
    h->count[i]++;
    h->total++;
    h->sum_s += s;
}

/* Names are static strings, few, and mostly the same: comparing pointers first is
 * enough to be quick. */
static void count_reason(struct account_reason *list, const char *name)
{
    for (unsigned i = 0; i < ACCOUNT_REASONS - 1; i++) {
        if (list[i].name == NULL)
            list[i].name = name;
        if (list[i].name == name || strcmp(list[i].name, name) == 0) {
            list[i].count++;
            return;
        }
    }
    list[ACCOUNT_REASONS - 1].name = "other";
    list[ACCOUNT_REASONS - 1].count++;
}

void account_miss(struct account *a, const char *reason)
{
    count_reason(a->miss, reason);
}

void account_rewrite(struct account *a, const char *result)
{
    count_reason(a->rewrites, result);
}

void account_exact_only(struct account *a, const char *reason)
{
    count_reason(a->exact_only, reason);
}

void account_unstored(struct account *a, const char *reason)
{
    count_reason(a->unstored, reason);
}

void account_routed(struct account *a, bool local, const char *reason)
{
    count_reason(local ? a->routed_local : a->routed_upstream, reason);
}
