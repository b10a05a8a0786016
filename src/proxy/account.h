/* Counters of the loop, since the process began: what came, how long it took, why it went the
 * way it did, and our models' CPU time by part. What answers cost and saved is the ledger's
 * (ledger.h). Loop thread only. */
#ifndef PROXY_ACCOUNT_H
#define PROXY_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "proxy/source.h"
#include "proxy/speed.h"

#define ACCOUNT_BUCKETS 14
#define ACCOUNT_STEPS   18
#define ACCOUNT_REASONS 64

/* Upper bounds of the latency buckets, seconds; the last one is +Inf. */
extern const double account_bounds_s[ACCOUNT_BUCKETS - 1];

struct account_histogram {
    uint64_t count[ACCOUNT_BUCKETS];
    uint64_t total;
    double sum_s;
};

struct account_reason {
    const char *name; /* static */
    uint64_t count;
};

struct account {
    uint64_t started_wall_ms;
    uint64_t requests_total;
    uint64_t by_source[SOURCE_COUNT];
    uint64_t errors_total;      /* answers of our own with a status of 400 and up */
    uint64_t passthrough_total; /* paths we do not know, relayed */
    uint64_t refused_total;     /* overload */
    struct account_histogram latency[SOURCE_COUNT];
    struct account_histogram step[ACCOUNT_STEPS];

    uint64_t local_schemas; /* the built-in model's answers that had to be valid of one */

    /* our own work, CPU seconds */
    double cost_encoder_s, cost_lookup_s, cost_local_s;

    /* why nothing stored answered; why an answer was not stored */
    struct account_reason miss[ACCOUNT_REASONS];
    struct account_reason unstored[ACCOUNT_REASONS];
    struct account_reason exact_only[ACCOUNT_REASONS]; /* stored, but not by meaning */
    struct account_reason rewrites[ACCOUNT_REASONS];   /* what became of last turns */
    /* why the upstream was asked, and why the built-in model was, where it was ours to choose
     */
    struct account_reason routed_upstream[ACCOUNT_REASONS], routed_local[ACCOUNT_REASONS];
    uint64_t stored_total;
    uint64_t timely_total;   /* of these: questions of the moment, kept for a short time */
    uint64_t followed_total; /* streams given out while they came in for somebody else */
    uint64_t follow_bytes;   /* now kept of streams for those who follow, or may */
    uint64_t feedback_wrong_total, feedback_right_total;
    uint64_t removed_total;     /* entries, by the admin API */
    uint64_t imported_total;    /* likewise */
    uint64_t shadow_hits_total; /* semantic: shadow would have answered */
    uint64_t upstream_failures_total, upstream_timeouts_total;
    /* of requests with several: answered from their own entries */
    uint64_t inputs_reused_total;
    uint64_t upstream_failovers_total; /* asked of another place instead */
    uint64_t broken_streams_total;     /* upstream answers that ended too soon */
    uint64_t stale_revalidate_total, stale_error_total; /* stale answers given out */
    uint64_t refreshes_total, refreshes_failed_total, refreshes_skipped_total;
    uint64_t refreshes_ahead_total; /* of all those: before the end */
    uint64_t regenerated_total;
    uint64_t paced_total;
    /* of flights, among replicas: asked for all, answered by another's answer, asked alone */
    uint64_t leases_led_total, leases_joined_total, leases_alone_total;
    uint64_t tunnels_total, tunnels_now;
    uint64_t client_gone_total; /* clients that left before their answer ended */
    uint64_t embed_overload_total, embed_shed_total, embed_timeout_total;
    struct speed_counts speed;
};

void account_init(struct account *a, uint64_t wall_ms);
void account_latency(struct account_histogram *h, uint64_t us);
void account_miss(struct account *a, const char *reason);
void account_unstored(struct account *a, const char *reason);
void account_routed(struct account *a, bool local, const char *reason);
void account_rewrite(struct account *a, const char *result);
void account_exact_only(struct account *a, const char *reason);

#endif
