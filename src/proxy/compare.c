#include "proxy/compare.h"

#include "cache/agreement.h"
#include "cache/cache.h"
#include "protocol/answer.h"
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

void compare_answer(struct request *r, const struct answer *a)
{
    const struct decision_lesson *lesson = &r->embed.decision.lesson;
    struct cache *cache = r->proxy->parts.cache;
    struct agreement_text mine;
    const struct digest *with = NULL;

    if (cache_bounded(cache) == NULL || !r->embed_done || r->embed.status != ST_OK ||
        a->text.len == 0)
        return;
    agreement_read(r->chat.last_text, a->text, &mine);
    for (size_t i = 0; i < lesson->count; i++) {
        enum agreement says;

        if (!lesson->open[i] || (with != NULL && i != lesson->at))
            continue;
        says = compare_with(r, &mine, &lesson->keys[i]);
        if (says == AGREEMENT_YES && with == NULL)
            with = &lesson->keys[i];
        if (i == lesson->at && says != AGREEMENT_UNSURE)
            cache_learn(cache, &r->partition, lesson, says == AGREEMENT_YES);
    }
    cache_note_stored(cache, &r->partition, &r->key, with);
}
