/* Stored questions and answers as examples to train a model with: which of them are fit, which
 * are the same in other words, and which are held out. Pure but for the finder; one thread. */
#ifndef CLI_FINETUNE_H
#define CLI_FINETUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/span.h"
#include "base/status.h"

struct entry;
struct finder;

#define FINETUNE_ROWS_MAX    200000
#define FINETUNE_REASONS_MAX 16

struct finetune_row {
    struct span question, answer, model; /* of `texts` */
    const char *licence;                 /* of `texts` */
    uint64_t created_ms;
    struct digest key, partition, tenant;
    uint64_t question_hash; /* whatever its case and punctuation */
    uint64_t group_hash;    /* of a group's first: the least of its questions' */
    size_t group;           /* a row of the same group; its own place: the group's first */
    const char *left;       /* why it is left out; NULL: it is not. Static. */
    bool held_out;
    double answers; /* P(its answer answers it), by a model; below 0: none was asked */
    float scale;    /* of its vector, in `vectors`; 0: it has none */
    int32_t sum;
};

struct finetune_options {
    const char *licence;   /* of models that `licences` does not name; empty: left out */
    const char *licences;  /* MODEL=LICENCE …, parted by blanks */
    struct finder *finder; /* borrowed: what it finds something in is left out */
    bool one_tenant, one_partition;
    struct digest tenant, partition; /* … then only theirs; of the first `_bytes` bytes */
    size_t tenant_bytes, partition_bytes;
    size_t partition_min; /* fewer rows of a partition are left out */
    double near;          /* cosine */
    double held_out;      /* share */
    size_t rows_max;
};

struct finetune_reason {
    const char *name; /* static */
    uint64_t count;
};

struct finetune {
    struct finetune_options o;
    struct finetune_row *rows; /* owned; in the order of keys after finetune_choose() */
    size_t count, room;
    int8_t *vectors; /* owned: one of each row */
    uint32_t dimensions;
    uint64_t seen;
    struct finetune_reason left[FINETUNE_REASONS_MAX];
    struct arena texts;
};

void finetune_init(struct finetune *f, const struct finetune_options *o);
void finetune_release(struct finetune *f);

/* An entry as the store has it; what is not fit is counted and forgotten. ST_NOMEM,
 * ST_LIMIT: more texts than there is memory set aside for. */
enum status finetune_add(struct finetune *f, const struct entry *e) MUST_CHECK;

/* All are there: of those that ask the same one is kept, and the rest is shared out, what is
 * near each other to one side. ST_NOMEM. */
enum status finetune_choose(struct finetune *f) MUST_CHECK;

/* Counts a row, or an entry that has become none. */
void finetune_leave(struct finetune *f, struct finetune_row *row, const char *why);

#endif
