#include "proxy/reportable.h"

#include <stdlib.h>
#include <string.h>

/* Both texts in one block. None of them where they are too long, or there is no memory. */
static void keep_texts(struct reportable *to, const struct reportable *from)
{
    size_t n = from->question.len + from->said.len;

    to->texts = NULL;
    to->question = to->said = (struct span){NULL, 0};
    if (from->question.len == 0 || n > REPORTABLE_TEXTS_MAX)
        return;
    to->texts = malloc(n);
    if (to->texts == NULL)
        return;
    memcpy(to->texts, from->question.ptr, from->question.len);
    if (from->said.len > 0)
        memcpy(to->texts + from->question.len, from->said.ptr, from->said.len);
    to->question = (struct span){to->texts, from->question.len};
    to->said = (struct span){to->texts + from->question.len, from->said.len};
}

void reportable_add(struct reportables *l, const struct reportable *one)
{
    struct reportable *at;

    if (l->ring == NULL)
        l->ring = calloc(REPORTABLE_MAX, sizeof(*l->ring));
    if (l->ring == NULL)
        return;
    at = &l->ring[l->next];
    l->next = (l->next + 1) % REPORTABLE_MAX;
    reportable_forget(at);
    *at = *one;
    keep_texts(at, one);
}

struct reportable *reportable_find(struct reportables *l, uint64_t id)
{
    for (size_t i = 0; id != 0 && l->ring != NULL && i < REPORTABLE_MAX; i++) {
        if (l->ring[i].id == id)
            return &l->ring[i];
    }
    return NULL;
}

void reportable_forget(struct reportable *one)
{
    free(one->texts);
    *one = (struct reportable){.id = 0};
}

void reportable_release(struct reportables *l)
{
    for (size_t i = 0; l->ring != NULL && i < REPORTABLE_MAX; i++)
        reportable_forget(&l->ring[i]);
    free(l->ring);
    *l = (struct reportables){.ring = NULL};
}
