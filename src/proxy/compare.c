#include "proxy/compare.h"

#include "base/compiler.h"
#include "cache/agreement.h"
#include "cache/cache.h"
#include "config/config.h"
#include "protocol/answer.h"
#include "proxy/journal.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/rewrite.h"
#include "proxy/setup.h"

/* A stored question of this partition and its answer. */
static enum agreement compare(const struct request *r, const struct agreement_text *mine,
                              const struct entry *e)
{
    struct agreement_text theirs;
    struct answer a;

    if (!digest_eq(&e->partition, &r->partition) || answer_unpack(e->answer, &a) != ST_OK ||
        a.text.len == 0)
        return AGREEMENT_UNSURE;
    agreement_read(e->question, a.text, &theirs);
    return agreement_of(mine, &theirs);
}

/* With the answer of a neighbour that is in memory. */
static enum agreement compare_with(const struct request *r, const struct agreement_text *mine,
                                   const struct digest *key)
{
    enum agreement says;
    struct entry *e;

    if (cache_find(r->proxy->parts.cache, key, &e) != CACHE_HIT)
        return AGREEMENT_UNSURE;
    says = compare(r, mine, e);
    entry_unref(e);
    return says;
}

/* Of the candidate that would have been served, or of the nearest: for who watches. */
static void note(struct request *r, enum agreement says)
{
    if (says != AGREEMENT_UNSURE && r->decision_id != JOURNAL_NONE)
        journal_judge(&r->proxy->journal, r->decision_id, says == AGREEMENT_YES, "answer");
}

/* Without a policy that learns: the one candidate alone. */
static void compare_shadow(struct request *r, const struct agreement_text *mine)
{
    const struct decision *d = &r->embed.decision;

    if (d->has_candidate)
        note(r, compare_with(r, mine, &d->key));
}

/* `says`: of the candidate that was chosen. When it says something else, another that says the
 * same may be in memory. */
static void teach(struct request *r, const struct agreement_text *mine, enum agreement says)
{
    const struct decision_lesson *lesson = &r->embed.decision.lesson;
    struct cache *cache = r->proxy->parts.cache;
    const struct digest *with = says == AGREEMENT_YES ? &lesson->keys[lesson->at] : NULL;

    if (says != AGREEMENT_UNSURE) {
        note(r, says);
        cache_learn(cache, &r->partition, lesson, says == AGREEMENT_YES);
    }
    for (size_t i = 0; with == NULL && i < lesson->count; i++) {
        if (lesson->open[i] && i != lesson->at &&
            compare_with(r, mine, &lesson->keys[i]) == AGREEMENT_YES)
            with = &lesson->keys[i];
    }
    cache_note_stored(cache, &r->partition, &r->key, with);
}

/* The request may be closed; it is ours until it is dropped. */
static void on_fetched(struct cache_get *op, enum status st, struct entry *e)
{
    struct request *r = CONTAINER_OF(op, struct request, neighbour);
    enum agreement says = AGREEMENT_UNSURE;
    struct agreement_text mine;
    struct answer a;

    if (answer_unpack(r->compared->answer, &a) == ST_OK) {
        agreement_read(r->compared->question, a.text, &mine);
        if (st == ST_OK)
            says = compare(r, &mine, e);
        teach(r, &mine, says);
    }
    if (st == ST_OK)
        entry_unref(e);
    entry_unref(r->compared);
    r->compared = NULL;
    (void)!request_drop(r);
}

/* The chosen candidate's label is what is learned from: it is read from the store when it is
 * not in memory any more. */
static void learn(struct request *r, const struct agreement_text *mine, struct entry *stored)
{
    const struct decision_lesson *lesson = &r->embed.decision.lesson;
    struct cache *cache = r->proxy->parts.cache;
    enum agreement says = AGREEMENT_UNSURE;
    const struct digest *key = &lesson->keys[lesson->at];
    struct entry *e;

    if (!lesson->judged) {
        teach(r, mine, AGREEMENT_UNSURE);
        return;
    }
    switch (cache_find(cache, key, &e)) {
    case CACHE_HIT:
        says = compare(r, mine, e);
        entry_unref(e);
        break;
    case CACHE_ABSENT:
        break;
    case CACHE_ASK:
        if (cache_fetch(cache, &r->neighbour, key, on_fetched) != ST_OK)
            break;
        r->compared = entry_ref(stored);
        request_hold(r);
        return;
    }
    teach(r, mine, says);
}

void compare_answer(struct request *r, const struct answer *a, struct entry *stored)
{
    bool learns = cache_bounded(r->proxy->parts.cache) != NULL;
    bool shadow = r->setup->config->cache.semantic == SEMANTIC_SHADOW;
    struct agreement_text mine;

    if ((!learns && !shadow) || !r->embed_done || !r->embed.search ||
        r->embed.status != ST_OK || a->text.len == 0)
        return;
    agreement_read(rewrite_question(r), a->text, &mine);
    if (learns)
        learn(r, &mine, stored);
    else
        compare_shadow(r, &mine);
}
