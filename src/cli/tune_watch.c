#include "cli/tune_watch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "cache/decision.h"
#include "cli/fetch.h"
#include "config/config.h"

#define PAGE_MAX_BYTES  (4 * 1024 * 1024)
#define ARENA_MAX_BYTES (64 * 1024 * 1024)
#define TOKEN_MAX_BYTES 4096
#define DEADLINE_MS     10000
#define DEPTH_MAX       4

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void listen_to_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal};

    (void)sigaction(SIGINT, &a, NULL);
    (void)sigaction(SIGTERM, &a, NULL);
}

/* What refuses a pair at any threshold; NULL: only its probability counts. Static. */
static const char *refusal(struct span reason)
{
    static const char *const open[] = {"hit", "below_threshold", "below_floor", "explored",
                                       NULL};

    for (const char *const *r = open; *r != NULL; r++) {
        if (span_eq(reason, span_of(*r)))
            return NULL;
    }
    for (const char *const *r = decision_reasons(); *r != NULL; r++) {
        if (span_eq(reason, span_of(*r)))
            return *r;
    }
    return "other";
}

static bool take_decision(const struct json *o, struct tune_pairs *out)
{
    double similarity, probability;
    struct tune_pair pair = {.guard = NULL};

    if (!json_double(json_get(o, SPAN("similarity")), &similarity) ||
        !json_double(json_get(o, SPAN("probability")), &probability) ||
        !json_bool(json_get(o, SPAN("same")), &pair.same)) {
        fprintf(stderr, "ibid: a decision is not as expected\n");
        return false;
    }
    pair.similarity = (float)similarity;
    pair.probability = probability;
    pair.guard = refusal(json_str(json_get(o, SPAN("reason"))));
    if (!tune_pairs_add(out, &pair)) {
        fprintf(stderr, "ibid: these are too many pairs\n");
        return false;
    }
    return true;
}

static bool take_page(struct span body, uint64_t *next, bool *judges, struct tune_pairs *out)
{
    struct json_error err = {.text = ""};
    const struct json *list;
    struct arena arena;
    struct json *root;
    bool ok = false;

    arena_init(&arena, 65536, ARENA_MAX_BYTES);
    if (json_parse(&arena, body, DEPTH_MAX, &root, &err) == ST_OK &&
        root->type == JSON_OBJECT && json_u64(json_get(root, SPAN("next")), next) &&
        json_bool(json_get(root, SPAN("judges")), judges)) {
        list = json_get(root, SPAN("decisions"));
        ok = list != NULL && list->type == JSON_ARRAY;
        for (const struct json *o = ok ? list->child : NULL; o != NULL && ok; o = o->next)
            ok = take_decision(o, out);
    } else {
        fprintf(stderr, "ibid: the answer is not as expected %s\n", err.text);
    }
    arena_release(&arena);
    return ok;
}

static bool look(const struct tune_watch *w, const char *token, uint64_t *next,
                 struct tune_pairs *out)
{
    char path[96], why[512] = "";
    struct fetch f = {.address = w->address != NULL ? w->address : w->config->admin.listen,
                      .cert_file = w->config->tls.cert_file,
                      .own_cert_file = w->config->admin.own_cert_file,
                      .own_key_file = w->config->admin.own_key_file,
                      .path = path,
                      .token = token,
                      .deadline_ms = DEADLINE_MS};
    bool judges = true, ok;
    struct buf body;

    snprintf(path, sizeof(path), "/admin/v1/decisions?after=%" PRIu64, *next);
    buf_init(&body, PAGE_MAX_BYTES);
    ok = fetch_body(&f, &body, why, sizeof(why)) == ST_OK;
    if (!ok)
        fprintf(stderr, "ibid: %s\n", why);
    ok = ok && take_page(buf_span(&body), next, &judges, out);
    buf_release(&body);
    if (ok && !judges) {
        fprintf(stderr, "ibid: that ibid compares no answers: it needs cache.semantic: shadow, "
                        "or cache.policy: bounded\n");
        return false;
    }
    return ok;
}

static void say(const struct tune_pairs *p)
{
    size_t same = 0;

    for (size_t i = 0; i < p->count; i++)
        same += p->pair[i].same;
    fprintf(stderr, "%zu pairs, %zu the same, %zu not\n", p->count, same, p->count - same);
}

static void rest(uint64_t us)
{
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};

    (void)nanosleep(&t, NULL); /* a signal ends it */
}

bool tune_watch(const struct tune_watch *w, struct tune_pairs *out)
{
    uint64_t next = 0, now = clock_now_us();
    uint64_t end = w->for_s > 0 ? now + w->for_s * 1000000 : UINT64_MAX;
    char token[TOKEN_MAX_BYTES];
    size_t before = SIZE_MAX;

    *out = (struct tune_pairs){.pair = NULL};
    arena_init(&out->texts, 4096, 4096); /* there are none */
    if (!fetch_read_token(w->config, token, sizeof(token)))
        return false;
    listen_to_signals();
    for (;;) {
        if (!look(w, token, &next, out))
            return false;
        if (out->count != before)
            say(out);
        before = out->count;
        now = clock_now_us();
        if (interrupted || now >= end)
            break;
        rest(now + w->every_s * 1000000 < end ? w->every_s * 1000000 : end - now);
    }
    if (out->count == 0)
        fprintf(stderr, "ibid: no question was near another, and answered\n");
    return out->count > 0;
}
