#include "admin/metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "admin/admin.h"
#include "admin/metrics_heap.h"
#include "admin/metrics_judge.h"
#include "admin/metrics_security.h"
#include "admin/metrics_tls.h"
#include "base/buf.h"
#include "cache/cache.h"
#include "config/config.h"
#include "engine/engine.h"
#include "http/client.h"
#include "http/server.h"
#include "proxy/access_log.h"
#include "proxy/embedder.h"
#include "proxy/judge.h"
#include "proxy/ledger.h"
#include "proxy/ledger_keeper.h"
#include "proxy/local_models.h"
#include "proxy/otlp.h"
#include "proxy/pipeline.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/trial.h"
#include "proxy/upstream.h"
#include "proxy/upstreams.h"
#include "rt/carriers.h"

/* Prometheus text. The first failure sticks in *st, so that a table of lines stays
 * a table of lines. */
struct page {
    struct buf *out;
    enum status st;
};

static void line(struct page *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void line(struct page *p, const char *fmt, ...)
{
    va_list args;

    if (p->st != ST_OK)
        return;
    va_start(args, fmt);
    p->st = buf_vprintf(p->out, fmt, args);
    va_end(args);
}

static void head(struct page *p, const char *name, const char *type, const char *help)
{
    line(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct page *p, const char *name, const char *help, uint64_t n)
{
    head(p, name, "counter", help);
    line(p, "%s %" PRIu64 "\n", name, n);
}

static void gauge(struct page *p, const char *name, const char *help, double v)
{
    head(p, name, "gauge", help);
    line(p, "%s %.9g\n", name, v);
}

static void histogram(struct page *p, const char *name, const char *label, const char *value,
                      const struct account_histogram *h)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < ACCOUNT_BUCKETS; i++) {
        sum += h->count[i];
        if (i < ACCOUNT_BUCKETS - 1)
            line(p, "%s_bucket{%s=\"%s\",le=\"%g\"} %" PRIu64 "\n", name, label, value,
                 account_bounds_s[i], sum);
        else
            line(p, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name, label, value, sum);
    }
    line(p, "%s_sum{%s=\"%s\"} %.9g\n%s_count{%s=\"%s\"} %" PRIu64 "\n", name, label, value,
         h->sum_s, name, label, value, h->total);
}

static void requests(struct page *p, const struct account *a)
{
    head(p, "ibid_requests_total", "counter", "Answers delivered whole, by who gave them.");
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        line(p, "ibid_requests_total{source=\"%s\"} %" PRIu64 "\n", source_name((enum source)i),
             a->by_source[i]);
    counter(p, "ibid_requests_received_total", "Requests received.", a->requests_total);
    counter(p, "ibid_errors_total", "Errors of our own answered to clients.", a->errors_total);
    counter(p, "ibid_passthrough_total", "Requests relayed untouched.", a->passthrough_total);
    counter(p, "ibid_refused_total", "Requests refused because of overload.", a->refused_total);
    counter(p, "ibid_client_gone_total", "Clients that left before their answer ended.",
            a->client_gone_total);
    head(p, "ibid_request_duration_seconds", "histogram",
         "First byte of the request to the last byte of the answer.");
    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        histogram(p, "ibid_request_duration_seconds", "source", source_name((enum source)i),
                  &a->latency[i]);
    head(p, "ibid_step_duration_seconds", "histogram",
         "Time a request spent in a step; of steps that did not wait, those of one request in "
         "sixteen.");
    for (unsigned i = 0; pipeline_step_name(i) != NULL; i++)
        histogram(p, "ibid_step_duration_seconds", "step", pipeline_step_name(i), &a->step[i]);
}

static void reasons(struct page *p, const char *name, const char *help,
                    const struct account_reason *list)
{
    head(p, name, "counter", help);
    for (unsigned i = 0; i < ACCOUNT_REASONS; i++) {
        if (list[i].name != NULL)
            line(p, "%s{reason=\"%s\"} %" PRIu64 "\n", name, list[i].name, list[i].count);
    }
}

static void routed(struct page *p, const char *tier, const struct account_reason *list)
{
    for (unsigned i = 0; i < ACCOUNT_REASONS; i++) {
        if (list[i].name != NULL)
            line(p, "ibid_routed_total{tier=\"%s\",reason=\"%s\"} %" PRIu64 "\n", tier,
                 list[i].name, list[i].count);
    }
}

static void speed_lines(struct page *p, const struct speed_counts *c)
{
    head(p, "ibid_class_requests_total", "counter", "Requests of a speed class.");
    for (unsigned i = SPEED_COMPLETION; i < SPEED_CLASSES; i++)
        line(p, "ibid_class_requests_total{class=\"%s\"} %" PRIu64 "\n",
             speed_name((enum speed_class)i), c->requests_total[i]);
    head(p, "ibid_class_misses_total", "counter",
         "Of them, those that took longer than theirs.");
    for (unsigned i = SPEED_COMPLETION; i < SPEED_CLASSES; i++)
        line(p, "ibid_class_misses_total{class=\"%s\"} %" PRIu64 "\n",
             speed_name((enum speed_class)i), c->misses_total[i]);
    counter(p, "ibid_class_superseded_total",
            "Completions that ended because the same session asked again.",
            c->superseded_total);
}

/* Saved: by what came from stored answers, or from one on its way to somebody else. */
static void savings(struct page *p, const struct ledger *l)
{
    const struct ledger_sums *up = &l->started[SOURCE_UPSTREAM];
    struct ledger_sums s = ledger_saved(l);

    head(p, "ibid_saved_tokens_total", "counter",
         "Tokens of answers that were not paid again.");
    line(p, "ibid_saved_tokens_total{kind=\"prompt\"} %" PRIu64 "\n", s.prompt_tokens);
    line(p, "ibid_saved_tokens_total{kind=\"completion\"} %" PRIu64 "\n", s.completion_tokens);
    gauge(p, "ibid_saved_usd", "Money saved, by the configured prices.", s.usd);
    gauge(p, "ibid_saved_seconds", "What the original answers took, less what ours took.",
          s.saved_s);
    gauge(p, "ibid_saved_upstream_wh", "Energy saved upstream, by the configured figures.",
          s.wh);
    head(
        p, "ibid_upstream_tokens_total", "counter",
        "Tokens of the upstreams' answers, as they told them; cached ones are of the prompts.");
    line(p, "ibid_upstream_tokens_total{kind=\"prompt\"} %" PRIu64 "\n", up->prompt_tokens);
    line(p, "ibid_upstream_tokens_total{kind=\"cached\"} %" PRIu64 "\n", up->cached_tokens);
    line(p, "ibid_upstream_tokens_total{kind=\"completion\"} %" PRIu64 "\n",
         up->completion_tokens);
    counter(p, "ibid_upstream_unmetered_total",
            "Answers of the upstreams whose tokens nobody told.", up->unmetered);
    gauge(p, "ibid_upstream_usd", "Money paid upstream, by the configured prices.", up->usd);
}

static void own_cost(struct page *p, const struct account *a, const struct ledger *l)
{
    const struct ledger_sums *own = &l->started[SOURCE_LOCAL];

    head(p, "ibid_cost_cpu_seconds_total", "counter", "Our own work, CPU seconds.");
    line(p, "ibid_cost_cpu_seconds_total{part=\"encoder\"} %.9g\n", a->cost_encoder_s);
    line(p, "ibid_cost_cpu_seconds_total{part=\"lookup\"} %.9g\n", a->cost_lookup_s);
    line(p, "ibid_cost_cpu_seconds_total{part=\"local\"} %.9g\n", a->cost_local_s);
    head(p, "ibid_energy_wh_total", "counter",
         "Energy of the process: read from the processor, or estimated from its CPU time.");
    line(p, "ibid_energy_wh_total{kind=\"measured\"} %.9g\n", l->started_own.measured_wh);
    line(p, "ibid_energy_wh_total{kind=\"estimated\"} %.9g\n", l->started_own.estimated_wh);
    head(p, "ibid_local_tokens_total", "counter", "Tokens of the built-in model.");
    line(p, "ibid_local_tokens_total{kind=\"prompt\"} %" PRIu64 "\n", own->prompt_tokens);
    line(p, "ibid_local_tokens_total{kind=\"completion\"} %" PRIu64 "\n",
         own->completion_tokens);
    counter(p, "ibid_local_schema_answers_total", "Answers that it wrote by a schema.",
            a->local_schemas);
}

static void ledger_lines(struct page *p, const struct ledger *l, const struct ledger_keeper *k)
{
    struct ledger_keeper_stats s = {0};

    if (k != NULL)
        ledger_keeper_stats(k, &s);
    gauge(p, "ibid_ledger_rows", "Lines of the ledger.", (double)l->row_count);
    counter(p, "ibid_ledger_writes_total", "Times it was written to data_dir.", s.writes_total);
    counter(p, "ibid_ledger_write_failures_total", "Times that failed.", s.failures_total);
    counter(p, "ibid_ledger_discarded_total", "Answers it had no memory for.", l->discarded);
    gauge(p, "ibid_energy_measured", "1 when the processor's own counters are read.",
          s.measured);
}

static void policy_lines(struct page *p, struct bounded *b)
{
    struct bounded_stats s;

    if (b == NULL)
        return;
    bounded_stats(b, &s);
    head(p, "ibid_policy_labels_total", "counter",
         "Answers that were compared with a near question's, by what came of it.");
    line(p, "ibid_policy_labels_total{says=\"same\"} %" PRIu64 "\n", s.all.same_total);
    line(p, "ibid_policy_labels_total{says=\"other\"} %" PRIu64 "\n", s.all.other_total);
    counter(p, "ibid_policy_explored_total", "Hits that were asked anyway.",
            s.all.explored_total);
    counter(p, "ibid_policy_drifts_total",
            "Changes of traffic for which a part of what was learned was given up.",
            s.all.drifts_total);
    gauge(p, "ibid_policy_expected_error", "Wrong answers a request, as far as was learned.",
          s.all.spent / s.all.requests);
    gauge(p, "ibid_policy_partitions", "Partitions that have learned for themselves.",
          (double)s.partitions);
    gauge(p, "ibid_policy_grouped_answers",
          "Answers that were compared with others, or say what another one says.",
          (double)s.groups);
}

/* What the upstream said of answers of the built-in model that were not good enough. */
static void trial_lines(struct page *p, struct trial *t)
{
    const struct trial_counts *c;

    if (t == NULL)
        return;
    c = trial_counts(t);
    head(p, "ibid_outcomes_total", "counter",
         "Answers of the built-in model, by what the upstream's, which was asked after them, "
         "or a "
         "report says of them (route.outcomes_file).");
    line(p, "ibid_outcomes_total{small=\"right\"} %" PRIu64 "\n", c->right);
    line(p, "ibid_outcomes_total{small=\"wrong\"} %" PRIu64 "\n", c->wrong);
    line(p, "ibid_outcomes_total{small=\"unknown\"} %" PRIu64 "\n", c->unknown);
    counter(
        p, "ibid_outcomes_lost_total",
        "Of these: not written down, route.outcomes_bytes_max is reached or the file fails.",
        c->unrecorded);
    counter(p, "ibid_vote_samples_total",
            "Samples of the built-in model beside its first answer (route.vote).", c->samples);
    head(p, "ibid_votes_total", "counter",
         "Answers that were voted on, by whether the first one was chosen.");
    line(p, "ibid_votes_total{chosen=\"first\"} %" PRIu64 "\n", c->votes - c->changed);
    line(p, "ibid_votes_total{chosen=\"other\"} %" PRIu64 "\n", c->changed);
    head(p, "ibid_hedges_total", "counter",
         "Questions that the upstream was asked while the built-in model still wrote "
         "(route.hedge_ms), by whose answer was given out.");
    line(p, "ibid_hedges_total{won=\"local\"} %" PRIu64 "\n", c->hedges.local);
    line(p, "ibid_hedges_total{won=\"upstream\"} %" PRIu64 "\n", c->hedges.upstream);
}

static void cache_lines(struct page *p, const struct cache_stats *c, const struct account *a)
{
    reasons(p, "ibid_cache_miss_total", "Why nothing stored answered.", a->miss);
    counter(p, "ibid_cache_inputs_reused_total",
            "Inputs of requests with several that were answered from entries of their own.",
            a->inputs_reused_total);
    head(p, "ibid_routed_total", "counter",
         "Requests that were ibid's to route, by the tier that was asked and why.");
    routed(p, "local", a->routed_local);
    routed(p, "upstream", a->routed_upstream);
    speed_lines(p, &a->speed);
    reasons(p, "ibid_cache_unstored_total", "Why an answer was not stored.", a->unstored);
    reasons(p, "ibid_cache_rewrite_total",
            "Last turns of conversations, by what came of making them self-contained: whole, "
            "made, or why not.",
            a->rewrites);
    reasons(p, "ibid_cache_exact_only_total",
            "Answers stored for the very same request only, by why.", a->exact_only);
    counter(p, "ibid_cache_stored_total", "Answers stored.", a->stored_total);
    counter(p, "ibid_cache_timely_total",
            "Answers stored for a short time: their question is of the moment "
            "(cache.timely_ttl_s).",
            a->timely_total);
    counter(p, "ibid_streams_followed_total",
            "Streams given out while they came in for the same request.", a->followed_total);
    gauge(p, "ibid_streams_kept_bytes",
          "Kept of streams under way for those who may ask the same.", (double)a->follow_bytes);
    counter(p, "ibid_cache_shadow_hits_total", "Hits that shadow mode kept back.",
            a->shadow_hits_total);
    head(p, "ibid_cache_stale_total", "counter",
         "Answers given out after their end, by why (RFC 5861).");
    line(p, "ibid_cache_stale_total{why=\"revalidate\"} %" PRIu64 "\n",
         a->stale_revalidate_total);
    line(p, "ibid_cache_stale_total{why=\"error\"} %" PRIu64 "\n", a->stale_error_total);
    head(p, "ibid_cache_refreshes_total", "counter",
         "Answers asked for in the background, by what came of it.");
    line(p, "ibid_cache_refreshes_total{result=\"stored\"} %" PRIu64 "\n", a->refreshes_total);
    line(p, "ibid_cache_refreshes_total{result=\"failed\"} %" PRIu64 "\n",
         a->refreshes_failed_total);
    line(p, "ibid_cache_refreshes_total{result=\"skipped\"} %" PRIu64 "\n",
         a->refreshes_skipped_total);
    counter(p, "ibid_cache_refreshes_ahead_total",
            "Of all those, the ones for answers before their end.", a->refreshes_ahead_total);
    counter(p, "ibid_cache_regenerated_total",
            "Requests that were taken for \"again, please\" (cache.regenerate_after_s).",
            a->regenerated_total);
    counter(p, "ibid_replays_paced_total",
            "Stored answers that were streamed in their time (cache.replay_pace).",
            a->paced_total);
    head(
        p, "ibid_leases_total", "counter",
        "Requests that might have been in flight at another replica, by what came of it: led "
        "(this one asked for all), joined (another's answer), alone (the wait was over, or the "
        "store could not say).");
    line(p, "ibid_leases_total{result=\"led\"} %" PRIu64 "\n", a->leases_led_total);
    line(p, "ibid_leases_total{result=\"joined\"} %" PRIu64 "\n", a->leases_joined_total);
    line(p, "ibid_leases_total{result=\"alone\"} %" PRIu64 "\n", a->leases_alone_total);
    head(p, "ibid_feedback_total", "counter", "Hits that were reported on, by verdict.");
    line(p, "ibid_feedback_total{verdict=\"wrong\"} %" PRIu64 "\n", a->feedback_wrong_total);
    line(p, "ibid_feedback_total{verdict=\"right\"} %" PRIu64 "\n", a->feedback_right_total);
    gauge(p, "ibid_cache_refused_pairs", "Pairs of questions that are never a hit again.",
          (double)c->refusals);
    gauge(p, "ibid_cache_adapted_partitions",
          "Partitions whose traffic moves P(same) (cache.adapt).",
          (double)c->traffic.partitions);
    head(p, "ibid_cache_adapted_total", "counter",
         "Semantic decisions that came out otherwise by that, by what they became.");
    line(p, "ibid_cache_adapted_total{to=\"hit\"} %" PRIu64 "\n", c->traffic.looser_total);
    line(p, "ibid_cache_adapted_total{to=\"miss\"} %" PRIu64 "\n", c->traffic.stricter_total);
    counter(p, "ibid_cache_removed_total", "Entries removed by the admin API.",
            a->removed_total);
    counter(p, "ibid_cache_imported_total", "Entries that came by the admin API.",
            a->imported_total);
    gauge(p, "ibid_cache_memory_entries", "Entries in memory.", (double)c->memory_entries);
    gauge(p, "ibid_cache_memory_bytes", "Bytes of entries in memory.", (double)c->memory_bytes);
    counter(p, "ibid_cache_memory_evictions_total",
            "Entries that left memory for want of room.", c->memory_evictions_total);
}

static void store_lines(struct page *p, const struct cache_stats *c)
{
    gauge(p, "ibid_store_up", "1 when the store answers.", c->store_present && c->store.up);
    gauge(p, "ibid_store_breaker_open", "1 when the store is not asked for a while.",
          c->store.breaker_open);
    gauge(p, "ibid_store_entries", "Entries in the store, 0 when unknown.",
          (double)c->store.entries);
    gauge(p, "ibid_store_bytes", "Bytes in the store, 0 when unknown.", (double)c->store.bytes);
    counter(p, "ibid_store_gets_total", "Look-ups in the store.", c->store.gets_total);
    counter(p, "ibid_store_hits_total", "Look-ups that found something.", c->store.hits_total);
    counter(p, "ibid_store_errors_total", "Failed commands.", c->store.errors_total);
    counter(p, "ibid_store_timeouts_total", "Commands over their deadline.",
            c->store.timeouts_total);
    counter(p, "ibid_store_corrupt_total", "Values that were no whole entry.",
            c->store.corrupt_total);
    counter(p, "ibid_store_unreadable_total",
            "Answers read that are sealed by a key that is not there, or not sealed.",
            c->store.unreadable_total);
    counter(p, "ibid_store_puts_total", "Entries written.", c->store.puts_total);
    counter(p, "ibid_store_dropped_total", "Writes dropped because the queue was full.",
            c->store.dropped_total);
    counter(p, "ibid_store_moved_total",
            "Commands followed to where a Redis Cluster had moved their key.",
            c->store.moved_total);
    counter(p, "ibid_store_news_sent_total",
            "Removals and reports that the replicas on one Redis were told.",
            c->store.news_sent_total);
    counter(p, "ibid_store_news_heard_total", "Removals and reports of other replicas.",
            c->store.news_heard_total);
    gauge(p, "ibid_store_news_waiting", "Removals and reports that wait to be told.",
          (double)c->store.news_waiting);
    counter(p, "ibid_store_entries_told_total",
            "Stored answers that the replicas on one Redis were told of.",
            c->store.stored_sent_total);
    counter(p, "ibid_store_entries_untold_total",
            "Not told of: found there by identical questions only, until they start anew.",
            c->store.untold_total);
    counter(p, "ibid_store_entries_heard_total", "Stored answers of other replicas heard of.",
            c->store.stored_heard_total);
    counter(p, "ibid_store_newcomers_total", "Of those: fetched for the index.",
            c->newcomers.fetched_total);
    counter(p, "ibid_store_newcomers_dropped_total",
            "Of those: not, for there were too many or the store did not answer in time.",
            c->newcomers.dropped_total);
    counter(p, "ibid_store_evictions_total", "Entries evicted from the store.",
            c->store.evictions_total);
}

static void index_lines(struct page *p, const struct cache_stats *c)
{
    gauge(p, "ibid_index_entries", "Vectors in the index.", (double)c->index.entries);
    gauge(p, "ibid_index_partitions", "Partitions of the index.", (double)c->index.partitions);
    gauge(p, "ibid_index_bytes", "Bytes of the index.", (double)c->index.bytes);
    gauge(p, "ibid_index_ready", "1 when the rebuild at start has ended.", c->index_ready);
    counter(p, "ibid_index_dropped_total", "Index updates dropped because the queue was full.",
            c->index.dropped_total);
    if (!c->index_apart)
        return;
    gauge(p, "ibid_index_redis_up", "1 when Redis can be asked for neighbours.",
          c->store.vectors.up);
    counter(p, "ibid_index_redis_searches_total",
            "Questions whose neighbours Redis was asked for.", c->store.vectors.searches_total);
    counter(p, "ibid_index_redis_failures_total",
            "Of those: refused, or not answered in time; the question was a miss.",
            c->store.vectors.failures_total);
    counter(p, "ibid_index_redis_adds_total", "Vectors that Redis took.",
            c->store.vectors.adds_total);
    counter(p, "ibid_index_redis_adds_dropped_total",
            "Vectors that it did not, or for which there was no room to wait.",
            c->store.vectors.dropped_total);
    counter(p, "ibid_index_redis_removes_total",
            "Vectors removed: with their answers, or because these are gone.",
            c->store.vectors.removes_total);
}

static void guess_lines(struct page *p, const char *name, const char *help,
                        const uint64_t counts[DECODER_GUESS_SOURCES])
{
    static const char *const sources[] = {"neighbour", "prompt", "model"};

    head(p, name, "counter", help);
    for (size_t i = 0; i < DECODER_GUESS_SOURCES; i++)
        line(p, "%s{source=\"%s\"} %" PRIu64 "\n", name, sources[i], counts[i]);
}

static void model_line(struct page *p, const char *name, const struct local_models *m, size_t i,
                       double value)
{
    struct span model = local_models_name(m, local_models_voice(m, i));

    line(p, "%s{model=\"%.*s\"} %.17g\n", name, (int)model.len, model.ptr, value);
}

/* Of each model on this machine; m may be NULL. */
static void each_model(struct page *p, const struct local_models *m)
{
    static const struct {
        const char *name, *type, *help;
    } kinds[] = {
        {"ibid_local_model_loaded", "gauge", "1: the model is in memory."},
        {"ibid_local_model_broken", "gauge", "1: it is missing or broken; see /readyz."},
        {"ibid_local_model_bytes", "gauge", "What it and its workers take when it is loaded."},
        {"ibid_local_model_waiting", "gauge", "Requests that wait until it is loaded."},
        {"ibid_local_model_loads_total", "counter", "How often it was read into memory."},
        {"ibid_local_model_failures_total", "counter", "How often it could not be."},
        {"ibid_local_model_evictions_total", "counter",
         "How often it was let go to make room for another one."},
        {"ibid_local_model_tokens_per_second", "gauge",
         "How fast an answer of it was written lately; 0: not known."},
    };

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        head(p, kinds[k].name, kinds[k].type, kinds[k].help);
        for (size_t i = 0; m != NULL && i < local_models_count(m); i++) {
            struct local_models_state s;

            local_models_state(m, i, &s);
            model_line(p, kinds[k].name, m, i,
                       (const double[]){strcmp(s.word, "loaded") == 0, s.why != NULL,
                                        (double)s.memory_bytes, s.waiting,
                                        (double)s.loads_total, (double)s.failures_total,
                                        (double)s.evictions_total, s.tokens_per_s}[k]);
        }
    }
}

static size_t adapters_of(const struct local_models *m)
{
    size_t n = 0;

    for (size_t i = 0; m != NULL && i < local_models_voices(m); i++)
        n += local_models_is_listed(m, i);
    return m != NULL ? n - local_models_count(m) : 0;
}

/* m: NULL for none; what is not there counts nothing. */
static void local_lines(struct page *p, const struct local_models *m)
{
    struct local_models_sums sums = {.loaded_bytes = 0};
    const struct decoder_counts *s = &sums.counts.sessions;

    if (m != NULL)
        local_models_sums(m, &sums);
    each_model(p, m);
    gauge(p, "ibid_local_loaded_bytes", "Memory of all models that are loaded.",
          (double)sums.loaded_bytes);
    counter(p, "ibid_local_waits_total", "Requests that waited until a model was loaded.",
            sums.waits_total);
    head(p, "ibid_local_wait_seconds_total", "counter", "How long they waited.");
    line(p, "ibid_local_wait_seconds_total %.6f\n", sums.wait_s);
    head(p, "ibid_local_load_seconds_total", "counter", "How long models were being read.");
    line(p, "ibid_local_load_seconds_total %.6f\n", sums.load_s);
    gauge(p, "ibid_local_queue", "Requests that wait for the built-in model.",
          (double)sums.counts.queued);
    counter(
        p, "ibid_local_pushed_out_total",
        "Waiting requests that made room in a full queue for a tenant that had fewer there.",
        sums.counts.pushed_out);
    gauge(p, "ibid_local_sequences", "Answers that the built-in model is writing.",
          (double)sums.counts.running);
    gauge(p, "ibid_local_adapters", "LoRA adapters that the built-in model has.",
          (double)adapters_of(m));
    counter(p, "ibid_local_passes_total", "Passes over its weights.", s->passes);
    counter(p, "ibid_local_pass_tokens_total",
            "Tokens computed in them, of prompts and of answers.", s->columns);
    counter(p, "ibid_local_reused_tokens_total",
            "Tokens of prompts that were computed for an earlier one and not again.",
            s->reused);
    guess_lines(p, "ibid_local_guessed_tokens_total",
                "Tokens of answers that were guessed, by what they were guessed from.",
                s->guessed);
    guess_lines(p, "ibid_local_guessed_right_total", "Guessed tokens that were right.",
                s->right);
    head(p, "ibid_local_kv_pages", "gauge",
         "Pages of keys and values: in use by answers, kept for prompts that begin alike, "
         "free.");
    line(p, "ibid_local_kv_pages{state=\"used\"} %zu\n", s->used);
    line(p, "ibid_local_kv_pages{state=\"kept\"} %zu\n", s->kept);
    line(p, "ibid_local_kv_pages{state=\"free\"} %zu\n", s->pages - s->used - s->kept);
    gauge(p, "ibid_local_kv_shared", "Uses of pages by more answers than the first.",
          (double)s->shared);
    counter(p, "ibid_local_kv_evicted_total", "Kept pages given up for want of room.",
            s->evicted);
}

/* The first loop works on requests and has the sockets of the others' clients only if it is the
 * only one. */
static void loop_lines(struct page *p, const struct carriers *c, uint32_t connections)
{
    unsigned n = c != NULL ? carriers_count(c) : 0;

    gauge(p, "ibid_loops", "Threads that serve clients.", n + 1);
    head(p, "ibid_loop_connections", "gauge",
         "Client connections now, by the loop that has their sockets.");
    line(p, "ibid_loop_connections{loop=\"1\"} %" PRIu32 "\n", n == 0 ? connections : 0);
    for (unsigned i = 0; i < n; i++)
        line(p, "ibid_loop_connections{loop=\"%u\"} %" PRIu32 "\n", i + 2,
             carriers_open_now(c, i));
}

static void part_lines(struct page *p, const struct proxy *x, const struct carriers *carriers)
{
    const struct account *a = &x->account;
    struct http_server_stats s;
    uint64_t texts = 0, batches = 0;

    http_server_stats(x->server, &s);
    gauge(p, "ibid_client_connections", "Client connections now.", s.connections_now);
    loop_lines(p, carriers, s.connections_now);
    gauge(p, "ibid_requests_in_flight", "Requests now.", x->request_count);
    counter(p, "ibid_client_bad_heads_total", "Requests refused for their head or framing.",
            s.bad_heads_total);
    counter(p, "ibid_client_timeouts_total", "Clients cut for being too slow.",
            s.timeouts_total);
    counter(p, "ibid_http2_connections_total", "Client connections that spoke HTTP/2.",
            s.http2_connections_total);
    gauge(p, "ibid_http2_streams", "Requests on them now.", s.http2_streams_now);
    counter(p, "ibid_http2_resets_total", "Requests on them that clients gave up.",
            s.http2_resets_total);
    counter(p, "ibid_http2_floods_total",
            "Such connections ended for frames that are no requests.", s.http2_floods_total);
    if (x->parts.embedder != NULL)
        embedder_counts(x->parts.embedder, &texts, &batches);
    gauge(p, "ibid_encoder_queue", "Texts that wait for the encoder.",
          x->parts.embedder != NULL ? embedder_queued(x->parts.embedder) : 0);
    counter(p, "ibid_encoder_texts_total", "Texts embedded.", texts);
    counter(p, "ibid_encoder_batches_total", "Batches embedded.", batches);
    counter(p, "ibid_encoder_overload_total", "Look-ups skipped: encoder queue full.",
            a->embed_overload_total);
    counter(p, "ibid_encoder_shed_total",
            "Look-ups skipped: the queue stood, and they had waited long enough.",
            a->embed_shed_total);
    gauge(p, "ibid_encoder_late",
          "Stored answers whose questions are embedded when no other question waits.",
          x->catch_up.count + x->catch_up.under_way);
    counter(p, "ibid_encoder_late_dropped_total",
            "Of those: not embedded, and found by identical questions only.",
            x->catch_up.dropped_total);
    counter(p, "ibid_encoder_pushed_out_total",
            "Texts that made room in a full queue for a tenant that had fewer there.",
            x->parts.embedder != NULL ? embedder_pushed_out(x->parts.embedder) : 0);
    counter(p, "ibid_encoder_timeouts_total", "Look-ups skipped: encoder too slow.",
            a->embed_timeout_total);
    local_lines(p, x->parts.local);
}

static void explain_lines(struct page *p, const struct journal *j)
{
    gauge(p, "ibid_explain_decisions", "Decisions kept to be explained.", (double)j->count);
    gauge(p, "ibid_explain_bytes", "Memory for them.", (double)j->bytes);
}

static void privacy_lines(struct page *p, const struct proxy *x)
{
    const struct screen *s = &x->screen;
    static const char *const actions[SCREEN_RULES] = {"off", "count", "replace", "local",
                                                      "refuse"};

    if (x->parts.setup->finder == NULL)
        return;
    head(p, "ibid_privacy_found_total", "counter",
         "Values that were found in requests, by class and by what was done.");
    for (unsigned c = 0; c < PRIVACY_CLASSES; c++) {
        for (unsigned a = RULE_COUNT; a < SCREEN_RULES; a++) {
            if (s->found[c][a] > 0)
                line(p, "ibid_privacy_found_total{class=\"%s\",action=\"%s\"} %" PRIu64 "\n",
                     privacy_class_name((enum privacy_class)c), actions[a], s->found[c][a]);
        }
    }
    head(p, "ibid_privacy_requests_total", "counter",
         "Requests in which something was found, by the strictest that was done.");
    for (unsigned a = RULE_COUNT; a < SCREEN_RULES; a++)
        line(p, "ibid_privacy_requests_total{action=\"%s\"} %" PRIu64 "\n", actions[a],
             s->requests[a]);
    counter(p, "ibid_privacy_unread_total", "Requests refused because they can not be read.",
            s->unread_total);
    counter(p, "ibid_privacy_restored_total", "Values put back into answers.",
            s->restored_total);
}

/* A line of each place of each upstream. */
enum place_value {
    PLACE_UP,
    PLACE_CONNECTIONS,
    PLACE_WAITING,
    PLACE_CONNECTS,
    PLACE_REUSES,
    PLACE_RETRIES
};

static uint64_t place_value(const struct upstream_place *at, enum place_value which)
{
    struct http_pool_stats s;

    http_pool_stats(at->pool, &s);
    switch (which) {
    case PLACE_UP:
        return at->next_try_us == 0;
    case PLACE_CONNECTIONS:
        return s.connections_now;
    case PLACE_WAITING:
        return s.waiting_now;
    case PLACE_CONNECTS:
        return s.connects_total;
    case PLACE_REUSES:
        return s.reuses_total;
    case PLACE_RETRIES:
        return s.retries_total;
    }
    return 0;
}

/* A name is the operator's text, and stands in quotes. */
static void label_text(struct page *p, const char *text)
{
    for (; *text != '\0'; text++)
        line(p, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

static void place_lines(struct page *p, const struct upstreams *all, enum place_value which,
                        const char *name, const char *type, const char *help)
{
    head(p, name, type, help);
    for (size_t i = 0; all != NULL && i < all->count; i++) {
        const struct upstream *u = all->list[i];

        for (size_t k = 0; k < u->place_count; k++) {
            line(p, "%s{upstream=\"", name);
            label_text(p, u->own->name);
            line(p, "\",place=\"%zu\"} %" PRIu64 "\n", k, place_value(&u->places[k], which));
        }
    }
}

static void upstream_lines(struct page *p, const struct proxy *x)
{
    const struct upstreams *all = x->parts.setup->upstreams;
    const struct account *a = &x->account;

    place_lines(p, all, PLACE_UP, "ibid_upstream_up", "gauge",
                "1 unless the last connection to it could not be made.");
    place_lines(p, all, PLACE_CONNECTIONS, "ibid_upstream_connections", "gauge",
                "Upstream connections now.");
    place_lines(p, all, PLACE_WAITING, "ibid_upstream_waiting", "gauge",
                "Requests that wait for an upstream connection.");
    place_lines(p, all, PLACE_CONNECTS, "ibid_upstream_connects_total", "counter",
                "Upstream connections opened.");
    place_lines(p, all, PLACE_REUSES, "ibid_upstream_reuses_total", "counter",
                "Requests on a kept connection.");
    place_lines(p, all, PLACE_RETRIES, "ibid_upstream_retries_total", "counter",
                "Requests sent again on a fresh connection.");
    counter(p, "ibid_upstream_failures_total", "Requests the upstream did not answer whole.",
            a->upstream_failures_total);
    counter(p, "ibid_upstream_timeouts_total", "Requests the upstream did not answer in time.",
            a->upstream_timeouts_total);
    counter(p, "ibid_upstream_failovers_total",
            "Requests that went to another place because the first could not be reached.",
            a->upstream_failovers_total);
    head(p, "ibid_upstream_hedges_total", "counter",
         "Requests sent a second time for want of an answer, by which call answered; skipped: "
         "those that were not, for want of credit or a connection.");
    line(p, "ibid_upstream_hedges_total{result=\"won\"} %" PRIu64 "\n", x->hedges.won_total);
    line(p, "ibid_upstream_hedges_total{result=\"lost\"} %" PRIu64 "\n", x->hedges.lost_total);
    line(p, "ibid_upstream_hedges_total{result=\"failed\"} %" PRIu64 "\n",
         x->hedges.failed_total);
    line(p, "ibid_upstream_hedges_total{result=\"skipped\"} %" PRIu64 "\n",
         x->hedges.skipped_total);
    counter(p, "ibid_models_list_failures_total",
            "Upstreams left out of a list of models because they did not give theirs.",
            x->models.failures_total);
    gauge(p, "ibid_tunnels", "WebSockets open now.", (double)a->tunnels_now);
    counter(p, "ibid_tunnels_total", "WebSockets opened.", a->tunnels_total);
    counter(p, "ibid_upstream_broken_total", "Answers that broke off after their head.",
            a->broken_streams_total);
}

static void telemetry_lines(struct page *p, const struct otlp *x)
{
    static const char *const names[] = {"traces", "metrics"};
    struct otlp_stats s;

    if (x == NULL)
        return;
    otlp_stats(x, &s);
    head(p, "ibid_telemetry_posts_total", "counter", "Sendings to the collector.");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        line(p, "ibid_telemetry_posts_total{signal=\"%s\"} %" PRIu64 "\n", names[i],
             s.posts_total[i]);
    head(p, "ibid_telemetry_failures_total", "counter", "Those that it did not take in time.");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        line(p, "ibid_telemetry_failures_total{signal=\"%s\"} %" PRIu64 "\n", names[i],
             s.failures_total[i]);
    counter(p, "ibid_traces_total", "Requests whose spans were queued.", s.traces_total);
    counter(p, "ibid_traces_dropped_total",
            "Requests whose spans found no room, or were not taken.", s.dropped_total);
    gauge(p, "ibid_telemetry_queue_bytes", "Spans that wait.", (double)s.queue_bytes);
}

static void access_log_lines(struct page *p, const struct access_log *l)
{
    struct access_log_stats s;

    if (l == NULL)
        return;
    access_log_stats(l, &s);
    counter(p, "ibid_access_log_lines_total", "Requests for the access log.", s.lines_total);
    counter(p, "ibid_access_log_dropped_total", "Those that were not written.",
            s.dropped_total);
}

static void config_lines(struct page *p, const struct admin_view *v)
{
    const struct reload_state *s = v->reloads;

    head(p, "ibid_config_reloads_total", "counter", "Reloads, by what came of them.");
    line(p, "ibid_config_reloads_total{outcome=\"adopted\"} %" PRIu64 "\n", s->adopted_total);
    line(p, "ibid_config_reloads_total{outcome=\"refused\"} %" PRIu64 "\n", s->refused_total);
    gauge(p, "ibid_config_generation", "Of the settings in force; 1: those of the start.",
          (double)s->generation);
    head(p, "ibid_config_loaded_timestamp_seconds", "gauge", "Since when they are in force.");
    line(p, "ibid_config_loaded_timestamp_seconds %.3f\n", (double)s->loaded_ms / 1e3);
    gauge(p, "ibid_config_last_reload_refused", "1: what is on the disk is not in force.",
          s->refused_last);
    gauge(p, "ibid_config_needs_restart", "Changed settings that hold after a restart.",
          (double)s->restart.count);
    counter(p, "ibid_upgrade_failures_total",
            "Times that another ibid was to take over, and did not.",
            *v->upgrade_failures_total);
}

enum status metrics_write(struct buf *out, const struct admin_view *v)
{
    struct page p = {out, ST_OK};
    struct cache_stats c;

    cache_stats(v->proxy->parts.cache, &c);
    head(&p, "ibid_build_info", "gauge", "Constant 1, with what runs.");
    line(&p, "ibid_build_info{version=\"%s\",kernels=\"%s\",index=\"%s\"} 1\n", v->version,
         cpu_kernels(), index_backend());
    gauge(&p, "ibid_cpu_limit_cores", "Processors it may use, by affinity and control group.",
          v->quota.cpus);
    if (v->quota.memory_bytes > 0)
        gauge(&p, "ibid_memory_limit_bytes", "Memory its control group may have.",
              (double)v->quota.memory_bytes);
    gauge(&p, "ibid_start_seconds", "From process start to listening.", v->ready_s);
    config_lines(&p, v);
    telemetry_lines(&p, v->proxy->parts.otlp);
    access_log_lines(&p, v->proxy->parts.access_log);
    requests(&p, &v->proxy->account);
    cache_lines(&p, &c, &v->proxy->account);
    trial_lines(&p, v->proxy->parts.trial);
    store_lines(&p, &c);
    index_lines(&p, &c);
    policy_lines(&p, cache_bounded(v->proxy->parts.cache));
    savings(&p, v->proxy->parts.ledger);
    own_cost(&p, &v->proxy->account, v->proxy->parts.ledger);
    ledger_lines(&p, v->proxy->parts.ledger, v->proxy->parts.keeper);
    part_lines(&p, v->proxy, v->carriers);
    explain_lines(&p, &v->proxy->journal);
    privacy_lines(&p, v->proxy);
    upstream_lines(&p, v->proxy);
    if (p.st == ST_OK)
        p.st = metrics_judge_write(out, judge_counts(v->proxy->judge));
    if (p.st == ST_OK)
        p.st = metrics_heap_write(out, v->heap);
    if (p.st == ST_OK)
        p.st = metrics_security_write(out, v);
    return p.st == ST_OK ? metrics_tls_write(out, v->tls) : p.st;
}
