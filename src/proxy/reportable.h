/* The last answers of models on this machine that were found good enough and given out, each
 * under the id that its answer carries (x-ibid-request): somebody may say whether it was right
 * (POST /admin/v1/feedback), which is written down as the upstream's answers are. In memory
 * only, bounded; the oldest go. Loop thread only. */
#ifndef PROXY_REPORTABLE_H
#define PROXY_REPORTABLE_H

#include <stdint.h>

#include "base/span.h"
#include "router/signs.h"

#define REPORTABLE_MAX       1024
#define REPORTABLE_TEXTS_MAX 4096 /* bytes, of both texts of one */

struct reportable {
    uint64_t id; /* 0: none */
    double signs[SIGNS_COUNT];
    double sure;
    struct span question, said; /* of `texts`; empty: they are not kept */
    char *texts;                /* owned; NULL: none */
};

struct reportables {
    struct reportable *ring; /* owned; [REPORTABLE_MAX], made with the first one */
    size_t next;
};

/* A copy; where there is no memory, nobody can report on it. */
void reportable_add(struct reportables *l, const struct reportable *one);
/* NULL: never was, or is forgotten. Until the next reportable_add(). */
struct reportable *reportable_find(struct reportables *l, uint64_t id);
/* Once is enough. */
void reportable_forget(struct reportable *one);
void reportable_release(struct reportables *l);

#endif
