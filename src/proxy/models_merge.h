/* GET /v1/models of several upstreams: each is asked at the same time, for a few seconds at
 * most, and who fails is left out. What they say is kept for half a minute, for the caller it
 * was said to. Loop thread only.
 *
 * A client's credential goes to nobody but the first upstream, where it would have gone without
 * the others, and to those that have accepted it lately; an upstream with a credential of its
 * own is asked with that. */
#ifndef PROXY_MODELS_MERGE_H
#define PROXY_MODELS_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"

struct request;
struct upstream;

#define MODELS_MERGE_MEMOS 32

struct models_memo {
    struct digest whose; /* of upstream and caller */
    uint64_t until_us;   /* 0: empty */
    struct buf body;     /* owned */
};

struct models_memos {
    struct models_memo slots[MODELS_MERGE_MEMOS];
    unsigned next; /* the slot that is overwritten */
    uint64_t failures_total;
};

void models_merge_release(struct models_memos *m);

/* Those that are to be asked, the first one first; how many. */
size_t models_merge_whom(struct request *r, struct upstream **out, size_t cap);

/* Asks those n, and answers. */
void models_merge_start(struct request *r, struct upstream *const *list, size_t n);

#endif
