/* The last decisions about near questions, each under an id that its answer carries
 * (x-ibid-request): to be explained and reported on. Bounded by bytes; the oldest go. In
 * memory only. Loop thread only. */
#ifndef PROXY_JOURNAL_H
#define PROXY_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"

#define JOURNAL_NONE      0
#define JOURNAL_ID_DIGITS 16

struct decision_record;

/* What somebody said of the hit. */
enum journal_report { JOURNAL_UNREPORTED, JOURNAL_RIGHT, JOURNAL_WRONG };

struct journal_item {
    struct list_node link;
    uint64_t id;
    struct decision_record *record; /* owned */
    bool served;                    /* the hit was the answer */
    /* 0: nobody knows whether the hit, or else the nearest, is right; else the number of this
     * judgement, from 1 on. */
    uint64_t judged;
    bool same;         /* … it is */
    const char *judge; /* who says so: "answer", a fresh one, or judge_name(); static */
    enum journal_report report;
};

struct journal {
    struct list_node items; /* owned; the oldest first */
    size_t count, bytes, bytes_max;
    uint64_t judged; /* judgements so far */
};

void journal_init(struct journal *j, uint64_t bytes_max);
void journal_release(struct journal *j);

/* Takes the record, whatever comes of it. Its id, a random one, or JOURNAL_NONE when it is
 * not kept. */
uint64_t journal_add(struct journal *j, struct decision_record *record, bool served);
/* NULL: never was, or is forgotten. Until the next journal_add(). */
const struct journal_item *journal_find(const struct journal *j, uint64_t id);

/* `judge` says whether this decision's candidate is right; the first word counts. Nothing when
 * it is not kept any more. */
void journal_judge(struct journal *j, uint64_t id, bool same, const char *judge);

/* The last word counts. Nothing when it is not kept any more. */
void journal_report(struct journal *j, uint64_t id, enum journal_report report);

/* JOURNAL_ID_DIGITS hexadecimal digits and a NUL. */
void journal_id_write(uint64_t id, char *text);
/* JOURNAL_NONE for what is no id. */
uint64_t journal_id_read(struct span text);

#endif
