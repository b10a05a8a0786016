#include "cache/bounded.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cache/answer_groups.h"
#include "cache/bounded_file.h"
#include "cache/calibration.h"

/* Of P(same), when it is turned into log-odds: beyond it, P says no more. */
#define ODDS_EDGE 1e-4
/* Where every learning begins, and how sure that is (1 / variance): the mean and the spread of
 * what the kinds of traffic of the development streams come to. They agree on what a step of
 * P(same), a rival and a question that was answered otherwise are worth, and differ most in
 * how often a near question is the same at all: that is learned first. A looser prior lets the
 * same stream come out anywhere between half and twice the hits, by the chance of its labels.
 */
static const double first_weight[LOGISTIC_INPUTS] = {-0.2, 0.95, 1.5, -2.5, -0.45, 0, -0.55, 0};
static const double first_precision[LOGISTIC_INPUTS] = {0.25, 20, 2, 2.4, 14, 1.4, 7, 9};
/* How often two answers that are right are taken for different ones. */
#define LABEL_FLIPPED 0.06
/* Below it a label says little about what might be served, and bends the line for it. */
#define LEARN_FROM  0.1
#define FADE_LABEL  (1.0 / 4000) /* of labels, an observation */
#define FADE_RISK   (1.0 / 2000) /* of the sums of risks, a request */
#define FADE_BUDGET (1.0 / 5000) /* of what was spent, a request */
/* A new partition counts as one with so many requests of which none was served. */
#define FIRST_REQUESTS 50
/* Standard deviations that the lower end of a probability is below it. */
#define CAUTION 0.2
/* Risks are corrected by how many of the labelled ones below NEAR_RISK were found wrong, of
 * those expected: near what is served the line may be off. It starts from so many of each: of
 * fewer, the luck of the first labels would decide what is served. Of what was found, so many
 * standard deviations more are taken, as of a count. */
#define NEAR_RISK      0.3
#define FIRST_WRONG    15
#define FOUND_DOUBT    0.2
#define FADE_FOUND     (1.0 / 500) /* an observation */
#define CORRECTION_MIN 0.25
/* When labels are wrong more often than was expected of them, traffic has changed: this share
 * of what was learned is believed on. */
#define DRIFT_KEPT 0.8
/* What was overspent is made up for, down to this share of what is tolerable. What was saved is
 * not spent later: traffic that changes would be served on it before it is known. */
#define SHARE_MIN 0.25
/* Of what the operator names, this is aimed at: risks are estimates. */
#define AIM 0.95
/* Hits are asked anyway the more often the riskier they are: what was served again and again
 * without being looked at is where traffic that changes goes wrong. */
#define EXPLORE_RISK 0.3
#define EXPLORE_MAX  0.5
/* Never serve what is more likely wrong. */
#define LEAST 0.5

struct bounded {
    struct bounded_options options;
    pthread_mutex_t mutex; /* guards the following */
    struct answer_groups groups;
    struct bounded_model all;     /* of every partition */
    struct bounded_model *models; /* owned; partitions_max */
    uint64_t *names;              /* owned; first bytes of the partition of each */
    size_t model_count;
    uint64_t stamp, random;
    bool changed;   /* since it was written */
    bool file_lent; /* another process has it */
};

/* --- models ----------------------------------------------------------------------- */

static uint64_t name_of(const struct digest *partition)
{
    uint64_t n;

    memcpy(&n, partition->bytes, sizeof(n));
    return n;
}

/* NULL: it has none of its own. */
static struct bounded_model *find_model(struct bounded *b, const struct digest *partition)
{
    uint64_t name = name_of(partition);

    for (size_t i = 0; i < b->model_count; i++) {
        if (b->names[i] == name && digest_eq(&b->models[i].partition, partition)) {
            b->models[i].used = ++b->stamp;
            return &b->models[i];
        }
    }
    return NULL;
}

static void first_model(struct bounded_model *m)
{
    *m = (struct bounded_model){.recent = FIRST_REQUESTS,
                                .requests = FIRST_REQUESTS,
                                .found = FIRST_WRONG,
                                .expected = FIRST_WRONG};
    logistic_init(&m->logistic, first_weight, first_precision);
}

/* What all traffic has come to is where it starts; how sure that is, is not taken over. */
static void model_from_all(const struct bounded *b, const struct digest *partition,
                           struct bounded_model *m)
{
    double share = FIRST_REQUESTS / b->all.recent;

    first_model(m);
    m->partition = *partition;
    logistic_init(&m->logistic, b->all.logistic.weight, first_precision);
    for (size_t i = 0; i < BOUNDED_BINS; i++)
        m->risk[i] = b->all.risk[i] * share;
}

static struct bounded_model *add_model(struct bounded *b, const struct digest *partition)
{
    size_t at = 0;

    if (b->options.partitions_max == 0)
        return NULL;
    if (b->model_count < b->options.partitions_max) {
        at = b->model_count++;
    } else {
        for (size_t i = 1; i < b->model_count; i++) {
            if (b->models[i].used < b->models[at].used)
                at = i;
        }
    }
    model_from_all(b, partition, &b->models[at]);
    b->models[at].used = ++b->stamp;
    b->names[at] = name_of(partition);
    return &b->models[at];
}

/* The model that decides, and the one of all traffic when it is another: both count. */
struct pair {
    struct bounded_model *decides, *other; /* other: NULL when there is one only */
};

static struct pair pair_of(struct bounded *b, const struct digest *partition)
{
    struct bounded_model *own = find_model(b, partition);

    return own != NULL ? (struct pair){own, &b->all} : (struct pair){&b->all, NULL};
}

/* --- requests and risks ----------------------------------------------------------- */

static void count_request(struct bounded_model *m)
{
    for (size_t i = 0; i < BOUNDED_BINS; i++)
        m->risk[i] *= 1 - FADE_RISK;
    m->recent = m->recent * (1 - FADE_RISK) + 1;
    m->requests = m->requests * (1 - FADE_BUDGET) + 1;
    m->spent *= 1 - FADE_BUDGET;
    m->requests_total++;
}

static size_t bin_of(double risk)
{
    double at = (1 - risk) * BOUNDED_BINS;

    return at <= 0 ? 0 : at >= BOUNDED_BINS - 1 ? BOUNDED_BINS - 1 : (size_t)at;
}

/* The first bin from which on all risks together are tolerable. */
static size_t first_bin(const struct bounded *b, const struct bounded_model *m)
{
    double tolerable = AIM * b->options.error_max, sum = 0;
    double left = tolerable * m->requests - m->spent; /* of the past */
    double share = 1 + left * FADE_RISK / tolerable;
    size_t at = BOUNDED_BINS;

    share = fmin(1, fmax(SHARE_MIN, share));
    while (at > 0 && (sum += m->risk[at - 1]) <= tolerable * share * m->recent)
        at--;
    return at;
}

double bounded_threshold(const struct bounded *b, const struct bounded_model *m)
{
    return fmax(LEAST, (double)first_bin(b, m) / BOUNDED_BINS);
}

/* --- features --------------------------------------------------------------------- */

/* Before they were calibrated: this policy calibrates for itself. */
static double odds_of(double p)
{
    p = fmin(1 - ODDS_EDGE, fmax(ODDS_EDGE, p));
    return calibration_undo(log(p / (1 - p)));
}

/* A candidate that no guard refused and nobody reported. */
static bool is_open(const struct decision_candidate *c)
{
    return strcmp(c->reason, "hit") == 0;
}

struct group {
    uint64_t name;
    double best, mass; /* log-odds of the nearest; sum of the odds of all */
    size_t at;         /* the nearest */
};

static size_t make_groups(const struct bounded *b, const struct decision_candidate *c, size_t n,
                          struct group *out)
{
    size_t count = 0, g;

    for (size_t i = 0; i < n; i++) {
        double odds = odds_of(c[i].probability);
        uint64_t name = answer_groups_of(&b->groups, &c[i].key);

        if (!is_open(&c[i]))
            continue;
        for (g = 0; g < count && out[g].name != name; g++)
            ;
        if (g == count)
            out[count++] = (struct group){.name = name, .best = odds, .at = i};
        if (odds > out[g].best) {
            out[g].best = odds;
            out[g].at = i;
        }
        out[g].mass += exp(odds);
    }
    return count;
}

static bool is_recent(const struct bounded_model *m, uint64_t group)
{
    for (size_t i = 0; i < BOUNDED_RECENT; i++) {
        if (m->recent_groups[i] == group)
            return true;
    }
    return false;
}

static void note_recent(struct pair p, uint64_t group)
{
    p.decides->recent_groups[p.decides->recent_at++ % BOUNDED_RECENT] = group;
    if (p.other != NULL)
        p.other->recent_groups[p.other->recent_at++ % BOUNDED_RECENT] = group;
}

/* 1; log-odds; what supports it and what speaks for others, as logarithms of sums of odds
 * relative to its own (of the latter the root: the first rival weighs most); how often the
 * group was right and wrong for a question near it; and whether it is a recent one. */
static void make_features(const struct bounded *b, const struct bounded_model *m,
                          const struct group *g, double total, double *x)
{
    struct answer_group tally = answer_groups_tally(&b->groups, g->name);
    double own = exp(g->best);
    double support = log(g->mass / own);
    double rival = sqrt(log(fmax(1, (total - g->mass + own) / own)));
    const double all[LOGISTIC_INPUTS] = {1,
                                         g->best,
                                         support,
                                         rival,
                                         g->best * rival,
                                         log1p(tally.right),
                                         log1p(tally.wrong),
                                         is_recent(m, g->name)};

    memcpy(x, all, sizeof(all));
}

/* The likeliest group. False: there is no candidate. */
static bool likeliest(const struct bounded *b, const struct bounded_model *m,
                      const struct decision_candidate *c, size_t n, struct decision_lesson *out,
                      double *score)
{
    struct group groups[DECISION_CANDIDATES_MAX];
    size_t count = make_groups(b, c, n, groups);
    double total = 0;

    for (size_t i = 0; i < count; i++)
        total += groups[i].mass;
    for (size_t i = 0; i < count; i++) {
        double x[LOGISTIC_INPUTS], s;

        make_features(b, m, &groups[i], total, x);
        s = logistic_score(&m->logistic, x);
        if (i > 0 && s <= *score)
            continue;
        *score = s;
        out->at = groups[i].at;
        memcpy(out->features, x, sizeof(x));
    }
    return count > 0;
}

/* --- deciding --------------------------------------------------------------------- */

/* xorshift64* (Marsaglia 2003, Vigna 2016): uniform in [0, 1). */
static double draw(struct bounded *b)
{
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return (double)((b->random * 0x2545f4914f6cdd1du) >> 11) / 9007199254740992.0;
}

static void report(const struct decision_candidate *c, struct decision *out)
{
    out->key = c->key;
    out->has_candidate = true;
    out->similarity = c->similarity;
    out->reason = c->reason;
}

static void note_candidates(const struct decision_candidate *c, size_t n,
                            struct decision_lesson *out)
{
    out->count = n;
    for (size_t i = 0; i < n; i++) {
        out->keys[i] = c[i].key;
        out->open[i] = is_open(&c[i]);
    }
}

static void count_pair(struct pair p)
{
    count_request(p.decides);
    if (p.other != NULL)
        count_request(p.other);
}

static void add_risk(struct pair p, double risk)
{
    p.decides->risk[bin_of(risk)] += risk;
    if (p.other != NULL)
        p.other->risk[bin_of(risk)] += risk;
}

static void count_served(struct bounded_model *m, double risk, bool explored)
{
    m->explored_total += explored;
    m->served_total += !explored;
    m->spent += explored ? 0 : risk;
}

static double chance_to_explore(const struct bounded *b, double risk)
{
    if (b->options.explore <= 0)
        return 0;
    return fmin(EXPLORE_MAX, b->options.explore + EXPLORE_RISK * risk);
}

/* Whether the likeliest is served, and what is said of all. */
static void settle(struct bounded *b, struct pair p, double risk, struct decision_candidate *c,
                   size_t n, double least, struct decision *out)
{
    struct decision_lesson *lesson = &out->lesson;
    bool explored;

    add_risk(p, risk);
    lesson->judged = true;
    lesson->serve = bin_of(risk) >= first_bin(b, p.decides) && 1 - risk >= fmax(LEAST, least);
    explored = lesson->serve && draw(b) < chance_to_explore(b, risk);
    if (lesson->serve) {
        count_served(p.decides, risk, explored);
        if (p.other != NULL)
            count_served(p.other, risk, explored);
    }
    for (size_t i = 0; i < n; i++) {
        if (is_open(&c[i]))
            c[i].reason = "below_threshold";
    }
    if (lesson->serve)
        c[lesson->at].reason = explored ? "explored" : "hit";
    out->hit = lesson->serve && !explored;
    if (out->hit)
        note_recent(p, answer_groups_of(&b->groups, &c[lesson->at].key));
    out->probability = 1 - risk;
    report(&c[lesson->at], out);
}

static double correction(const struct bounded_model *m)
{
    return fmax(CORRECTION_MIN, (m->found + FOUND_DOUBT * sqrt(m->found)) / m->expected);
}

void bounded_decide(struct bounded *b, const struct digest *partition,
                    struct decision_candidate *c, size_t n, double least, struct decision *out)
{
    struct decision_lesson *lesson = &out->lesson;
    double score = 0, lower, risk;
    struct pair p;

    *out = (struct decision){.reason = "no_candidate"};
    note_candidates(c, n, lesson);
    pthread_mutex_lock(&b->mutex);
    p = pair_of(b, partition);
    count_pair(p);
    b->changed = true;
    if (likeliest(b, p.decides, c, n, lesson, &score)) {
        lower = score - CAUTION * logistic_deviation(&p.decides->logistic, lesson->features);
        risk = fmin(1, (1 - logistic_of(lower)) * correction(p.decides));
        settle(b, p, risk, c, n, least, out);
    } else if (n > 0) {
        report(&c[0], out);
    }
    out->threshold = fmax(least, bounded_threshold(b, p.decides));
    pthread_mutex_unlock(&b->mutex);
}

void bounded_count(struct bounded *b, const struct digest *partition)
{
    pthread_mutex_lock(&b->mutex);
    count_pair(pair_of(b, partition));
    pthread_mutex_unlock(&b->mutex);
}

/* --- learning --------------------------------------------------------------------- */

static void learn(struct bounded_model *m, const struct decision_lesson *lesson, bool same)
{
    double p = logistic_of(logistic_score(&m->logistic, lesson->features));
    double flipped = LABEL_FLIPPED * p / (1 - (1 - LABEL_FLIPPED) * p);

    m->same_total += same;
    m->other_total += !same;
    if (p < LEARN_FROM && !lesson->serve)
        return;
    if (lesson->serve || 1 - p < NEAR_RISK) {
        m->expected += FADE_FOUND * (FIRST_WRONG - m->expected) + 1 - p;
        m->found += FADE_FOUND * (FIRST_WRONG - m->found) + (same ? 0 : 1 - flipped);
        if (drift_observe(&m->drift, !same, 1 - (1 - LABEL_FLIPPED) * p)) {
            logistic_fade(&m->logistic, DRIFT_KEPT, first_weight, first_precision);
            m->drifts_total++;
        }
    }
    logistic_learn(&m->logistic, lesson->features, same, LABEL_FLIPPED, FADE_LABEL,
                   first_precision);
}

void bounded_learn(struct bounded *b, const struct digest *partition,
                   const struct decision_lesson *lesson, bool same)
{
    struct bounded_model *own;

    if (!lesson->judged)
        return;
    pthread_mutex_lock(&b->mutex);
    answer_groups_count(&b->groups, answer_groups_of(&b->groups, &lesson->keys[lesson->at]),
                        same);
    own = find_model(b, partition);
    if (own == NULL)
        own = add_model(b, partition);
    if (own != NULL)
        learn(own, lesson, same);
    learn(&b->all, lesson, same);
    b->changed = true;
    pthread_mutex_unlock(&b->mutex);
}

void bounded_join(struct bounded *b, const struct digest *key, const struct digest *with)
{
    pthread_mutex_lock(&b->mutex);
    answer_groups_join(&b->groups, key, with);
    b->changed = true;
    pthread_mutex_unlock(&b->mutex);
}

void bounded_stored(struct bounded *b, const struct digest *partition, const struct digest *key)
{
    pthread_mutex_lock(&b->mutex);
    note_recent(pair_of(b, partition), answer_groups_of(&b->groups, key));
    pthread_mutex_unlock(&b->mutex);
}

/* --- figures ---------------------------------------------------------------------- */

void bounded_stats(struct bounded *b, struct bounded_stats *out)
{
    pthread_mutex_lock(&b->mutex);
    *out = (struct bounded_stats){
        .partitions = b->model_count, .groups = b->groups.count, .all = b->all};
    pthread_mutex_unlock(&b->mutex);
}

size_t bounded_models(struct bounded *b, struct bounded_model *out, size_t n)
{
    pthread_mutex_lock(&b->mutex);
    if (n > b->model_count)
        n = b->model_count;
    if (n > 0)
        memcpy(out, b->models, n * sizeof(*out));
    pthread_mutex_unlock(&b->mutex);
    return n;
}

/* --- opening, closing, the file --------------------------------------------------- */

static void load(struct bounded *b)
{
    struct bounded_contents c = {.models = b->models,
                                 .models_max = b->options.partitions_max,
                                 .all = &b->all,
                                 .groups = &b->groups};

    if (bounded_file_read(b->options.data_dir, &c) != ST_OK)
        return;
    b->model_count = c.model_count;
    for (size_t i = 0; i < b->model_count; i++) {
        b->names[i] = name_of(&b->models[i].partition);
        if (b->models[i].used > b->stamp)
            b->stamp = b->models[i].used;
    }
}

enum status bounded_open(const struct bounded_options *o, struct bounded **out)
{
    struct bounded *b = calloc(1, sizeof(*b));
    size_t n = (size_t)o->partitions_max + 1; /* never of no bytes */

    if (b == NULL)
        return ST_NOMEM;
    b->options = *o;
    b->random = o->seed | 1; /* 0 would stay 0 */
    b->models = calloc(n, sizeof(*b->models));
    b->names = calloc(n, sizeof(*b->names));
    if (b->models == NULL || b->names == NULL ||
        answer_groups_init(&b->groups, o->groups_max) != ST_OK) {
        free(b->models);
        free(b->names);
        free(b);
        return ST_NOMEM;
    }
    pthread_mutex_init(&b->mutex, NULL);
    first_model(&b->all);
    load(b);
    *out = b;
    return ST_OK;
}

enum status bounded_save(struct bounded *b)
{
    struct bounded_contents c = {.models = b->models, .all = &b->all, .groups = &b->groups};
    enum status st = ST_OK;

    pthread_mutex_lock(&b->mutex);
    c.model_count = b->model_count;
    if (b->changed && !b->file_lent)
        st = bounded_file_write(b->options.data_dir, &c);
    b->changed = b->changed && (st != ST_OK || b->file_lent);
    pthread_mutex_unlock(&b->mutex);
    return st;
}

void bounded_lend_file(struct bounded *b, bool lent)
{
    pthread_mutex_lock(&b->mutex);
    b->file_lent = lent;
    pthread_mutex_unlock(&b->mutex);
}

void bounded_close(struct bounded *b)
{
    if (bounded_save(b) != ST_OK) {
        /* It is in the log; what was learned since the last time is lost. */
    }
    answer_groups_release(&b->groups);
    pthread_mutex_destroy(&b->mutex);
    free(b->models);
    free(b->names);
    free(b);
}
