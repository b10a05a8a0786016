#include "proxy/compare.h"

#include "cache/agreement.h"
#include "cache/cache.h"
#include "config/config.h"
#include "protocol/answer.h"
#include "proxy/journal.h"
#include "proxy/proxy.h"
#include "proxy/request.h"

/* With the answer of a neighbour. */
static enum agreement compare_with(struct request *r, const struct agreement_text *mine,
                                   const struct digest *key)
{
    enum agreement says = AGREEMENT_UNSURE;
    struct agreement_text theirs;
    struct entry *e;
    struct answer a;

    if (cache_find(r->proxy->parts.cache, key, &e) != CACHE_HIT)
        return AGREEMENT_UNSURE;
    if (digest_eq(&e->partition, &r->partition) && answer_unpack(e->answer, &a) == ST_OK &&
        a.text.len > 0) {
        agreement_read(e->question, a.text, &theirs);
        says = agreement_of(mine, &theirs);
    }
    entry_unref(e);
    return says;
}

/* Of the candidate that would have been served, or of the nearest: for who watches. */
static void note(struct request *r, enum agreement says)
{
    if (says != AGREEMENT_UNSURE && r->decision_id != JOURNAL_NONE)
        journal_judge(&r->proxy->journal, r->decision_id, says == AGREEMENT_YES);
}

/* Without a policy that learns: the one candidate alone. */
static void compare_shadow(struct request *r, const struct agreement_text *mine)
{
    const struct decision *d = &r->embed.decision;

    if (d->has_candidate)
        note(r, compare_with(r, mine, &d->key));
}

static void teach(struct request *r, const struct agreement_text *mine)
{
    const struct decision_lesson *lesson = &r->embed.decision.lesson;
    struct cache *cache = r->proxy->parts.cache;
    const struct digest *with = NULL;

    for (size_t i = 0; i < lesson->count; i++) {
        enum agreement says;

        if (!lesson->open[i] || (with != NULL && i != lesson->at))
            continue;
        says = compare_with(r, mine, &lesson->keys[i]);
        if (says == AGREEMENT_YES && with == NULL)
            with = &lesson->keys[i];
        if (i != lesson->at || says == AGREEMENT_UNSURE)
            continue;
        note(r, says);
        cache_learn(cache, &r->partition, lesson, says == AGREEMENT_YES);
    }
    cache_note_stored(cache, &r->partition, &r->key, with);
}

void compare_answer(struct request *r, const struct answer *a)
{
    bool learns = cache_bounded(r->proxy->parts.cache) != NULL;
    bool shadow = r->proxy->parts.config->cache.semantic == SEMANTIC_SHADOW;
    struct agreement_text mine;

    if ((!learns && !shadow) || !r->embed_done || !r->embed.search ||
        r->embed.status != ST_OK || a->text.len == 0)
        return;
    agreement_read(r->chat.last_text, a->text, &mine);
    if (learns)
        teach(r, &mine);
    else
        compare_shadow(r, &mine);
}
