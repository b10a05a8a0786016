#include "admin/review.h"

#include <string.h>

#include "admin/admin.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "base/json_writer.h"
#include "base/list.h"
#include "cache/cache.h"
#include "cache/decision_record.h"
#include "cache/keyset.h"
#include "config/config.h"
#include "proxy/journal.h"
#include "proxy/proxy.h"

/* --- /admin/v1/similarity ----------------------------------------------------------------- */

#define BINS 50 /* from 0 to 1: two hundredths each */

enum outcome { SERVED, HELD_BACK, DOUBTED, GUARDED, OUTCOMES };

/* served; a hit that was not served (shadow, explored, asked anew); not certain enough; a
 * guard, or a report, spoke against it. */
static const char *const outcome_names[OUTCOMES] = {"served", "held_back", "below_threshold",
                                                    "guarded"};

struct spread {
    uint64_t similarity[OUTCOMES][BINS], probability[OUTCOMES][BINS];
};

static enum outcome outcome_of(const struct journal_item *item)
{
    const struct decision *d = &item->record->decision;

    if (d->hit)
        return item->served ? SERVED : HELD_BACK;
    if (strcmp(d->reason, "explored") == 0)
        return HELD_BACK;
    if (strcmp(d->reason, "below_threshold") == 0 || strcmp(d->reason, "below_floor") == 0)
        return DOUBTED;
    return GUARDED;
}

static size_t bin_of(double v)
{
    if (!(v > 0))
        return 0;
    return v >= 1 ? BINS - 1 : (size_t)(v * BINS);
}

static void write_spread(struct json_writer *w, const char *name,
                         uint64_t counts[OUTCOMES][BINS])
{
    json_writer_open(w, name, '{');
    for (unsigned o = 0; o < OUTCOMES; o++) {
        json_writer_open(w, outcome_names[o], '[');
        for (unsigned i = 0; i < BINS; i++)
            json_writer_u64(w, NULL, counts[o][i]);
        json_writer_close(w, ']');
    }
    json_writer_close(w, '}');
}

/* What a hit has to reach now. */
static double threshold_of(const struct proxy *p)
{
    struct bounded *b = cache_bounded(p->parts.cache);
    struct bounded_stats s;

    if (b == NULL)
        return p->parts.config->cache.threshold;
    bounded_stats(b, &s);
    return bounded_threshold(b, &s.all);
}

enum status review_similarity(struct buf *out, const struct admin_view *v)
{
    const struct proxy *p = v->proxy;
    const struct journal *j = &p->journal;
    struct json_writer w = {out, ST_OK, false};
    struct spread s;

    memset(&s, 0, sizeof(s));
    for (struct list_node *n = j->items.next; n != &j->items; n = n->next) {
        const struct journal_item *item = CONTAINER_OF(n, struct journal_item, link);
        const struct decision *d = &item->record->decision;
        enum outcome o = outcome_of(item);

        if (!d->has_candidate)
            continue;
        s.similarity[o][bin_of((double)d->similarity)]++;
        s.probability[o][bin_of(d->probability)]++;
    }
    json_writer_open(&w, NULL, '{');
    json_writer_u64(&w, "decisions", j->count);
    json_writer_bool(&w, "kept", p->parts.config->explain.bytes_max > 0);
    json_writer_text(&w, "policy", span_of(p->parts.config->cache.policy));
    json_writer_real(&w, "threshold", threshold_of(p));
    json_writer_real(&w, "floor", p->parts.config->cache.floor);
    json_writer_real(&w, "step", 1.0 / BINS);
    write_spread(&w, "similarity", s.similarity);
    write_spread(&w, "probability", s.probability);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}

/* --- /admin/v1/inbox -------------------------------------------------------------------- */

#define INBOX_MAX 25

struct inbox {
    const struct journal_item *items[INBOX_MAX]; /* the least certain first */
    size_t count;
    uint64_t waiting; /* pairs without a report, those that are not shown included */
    uint64_t wrong, right;
};

static const struct decision_candidate *hit_of(const struct decision_record *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (digest_eq(&r->candidates[i].key, &r->decision.key))
            return &r->candidates[i];
    }
    return NULL;
}

/* Names the pair: who asked it again asks about the same. */
static struct digest pair_name(const struct decision_record *r)
{
    uint64_t h = hash_bytes(r->question, 0);
    struct digest name = r->decision.key;

    for (size_t i = 0; i < sizeof(h); i++)
        name.bytes[i] ^= (uint8_t)(h >> 8 * i);
    return name;
}

/* What a judge, or a fresh answer, says is another question comes first. */
static double certainty_of(const struct journal_item *item)
{
    return item->record->decision.probability - (item->judged != 0 && !item->same ? 1 : 0);
}

static void sort_in(struct inbox *in, const struct journal_item *item)
{
    double p = certainty_of(item);
    size_t at = in->count;

    while (at > 0 && certainty_of(in->items[at - 1]) > p)
        at--;
    if (at == INBOX_MAX)
        return;
    if (in->count < INBOX_MAX)
        in->count++;
    memmove(&in->items[at + 1], &in->items[at], (in->count - 1 - at) * sizeof(in->items[0]));
    in->items[at] = item;
}

/* A pair is done with when any of its hits was reported on. */
static enum status count_reports(struct inbox *in, const struct journal *j, struct keyset *done)
{
    enum status st = ST_OK;

    for (struct list_node *n = j->items.next; n != &j->items && st == ST_OK; n = n->next) {
        const struct journal_item *item = CONTAINER_OF(n, struct journal_item, link);
        struct digest name;

        if (item->report == JOURNAL_UNREPORTED)
            continue;
        name = pair_name(item->record);
        if (keyset_find(done, &name) != 0)
            continue;
        in->wrong += item->report == JOURNAL_WRONG;
        in->right += item->report == JOURNAL_RIGHT;
        st = keyset_set(done, &name, 1);
    }
    return st;
}

/* From the end: of a pair that came again, the last hit stands for it. */
static enum status collect(struct inbox *in, const struct journal *j, struct keyset *done)
{
    enum status st = count_reports(in, j, done);

    for (struct list_node *n = j->items.prev; n != &j->items && st == ST_OK; n = n->prev) {
        const struct journal_item *item = CONTAINER_OF(n, struct journal_item, link);
        struct digest name;

        if (!item->record->decision.hit)
            continue;
        name = pair_name(item->record);
        if (keyset_find(done, &name) != 0)
            continue;
        in->waiting++;
        sort_in(in, item);
        st = keyset_set(done, &name, 1);
    }
    return st;
}

static void write_key(struct json_writer *w, const char *name, const struct digest *key)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(key->bytes, DIGEST_BYTES, hex);
    json_writer_text(w, name, span_of(hex));
}

static void write_pair(struct json_writer *w, const struct journal_item *item, bool texts)
{
    const struct decision_record *r = item->record;
    const struct decision_candidate *hit = hit_of(r);
    char id[JOURNAL_ID_DIGITS + 1];

    if (hit == NULL)
        return;
    journal_id_write(item->id, id);
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "request", span_of(id));
    json_writer_u64(w, "at_ms", r->at_ms);
    json_writer_bool(w, "served", item->served);
    write_key(w, "entry", &hit->key);
    write_key(w, "partition", &r->partition);
    json_writer_real(w, "similarity", (double)r->decision.similarity);
    json_writer_real(w, "probability", r->decision.probability);
    json_writer_real(w, "threshold", r->decision.threshold);
    if (item->judged != 0) {
        json_writer_bool(w, "judged_same", item->same);
        json_writer_text(w, "judged_by", span_of(item->judge));
    }
    if (texts) {
        json_writer_text(w, "asked", r->question);
        json_writer_text(w, "stored", hit->question);
    }
    json_writer_close(w, '}');
}

enum status review_inbox(struct buf *out, const struct admin_view *v)
{
    const struct proxy *p = v->proxy;
    bool texts = p->parts.config->explain.show_questions;
    struct json_writer w = {out, ST_OK, false};
    struct inbox in = {.count = 0};
    struct keyset done;

    keyset_init(&done);
    w.st = collect(&in, &p->journal, &done);
    keyset_release(&done);
    json_writer_open(&w, NULL, '{');
    json_writer_bool(&w, "questions", texts);
    json_writer_bool(&w, "kept", p->parts.config->explain.bytes_max > 0);
    json_writer_u64(&w, "decisions", p->journal.count);
    json_writer_u64(&w, "waiting", in.waiting);
    json_writer_u64(&w, "reported_wrong", in.wrong);
    json_writer_u64(&w, "reported_right", in.right);
    json_writer_open(&w, "pairs", '[');
    for (size_t i = 0; i < in.count; i++)
        write_pair(&w, in.items[i], texts);
    json_writer_close(&w, ']');
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st;
}
