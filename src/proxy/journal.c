#include "proxy/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/digest.h"
#include "cache/decision_record.h"

static size_t bytes_of(const struct journal_item *item)
{
    return sizeof(*item) + item->record->bytes;
}

static void drop_oldest(struct journal *j)
{
    struct journal_item *item = CONTAINER_OF(j->items.next, struct journal_item, link);

    list_remove(&item->link);
    j->bytes -= bytes_of(item);
    j->count--;
    free(item->record);
    free(item);
}

void journal_init(struct journal *j, uint64_t bytes_max)
{
    *j = (struct journal){.bytes_max = (size_t)bytes_max};
    list_init(&j->items);
}

void journal_release(struct journal *j)
{
    while (!list_empty(&j->items))
        drop_oldest(j);
}

uint64_t journal_add(struct journal *j, struct decision_record *record, bool served)
{
    struct journal_item *item = malloc(sizeof(*item));
    uint64_t id = JOURNAL_NONE;

    if (item == NULL || record->bytes + sizeof(*item) > j->bytes_max ||
        digest_random((uint8_t *)&id, sizeof(id)) != ST_OK || id == JOURNAL_NONE) {
        free(item);
        free(record);
        return JOURNAL_NONE;
    }
    *item = (struct journal_item){.id = id, .record = record, .served = served};
    while (j->bytes + bytes_of(item) > j->bytes_max)
        drop_oldest(j);
    list_append(&j->items, &item->link);
    j->bytes += bytes_of(item);
    j->count++;
    return id;
}

/* From the end: it is mostly a late one that somebody asks about. */
static struct journal_item *find(const struct journal *j, uint64_t id)
{
    for (struct list_node *n = j->items.prev; n != &j->items; n = n->prev) {
        struct journal_item *item = CONTAINER_OF(n, struct journal_item, link);

        if (item->id == id)
            return item;
    }
    return NULL;
}

const struct journal_item *journal_find(const struct journal *j, uint64_t id)
{
    return find(j, id);
}

void journal_judge(struct journal *j, uint64_t id, bool same, const char *judge)
{
    struct journal_item *item = find(j, id);

    if (item == NULL || item->judged != 0)
        return;
    item->judged = ++j->judged;
    item->same = same;
    item->judge = judge;
}

void journal_report(struct journal *j, uint64_t id, enum journal_report report)
{
    struct journal_item *item = find(j, id);

    if (item != NULL)
        item->report = report;
}

void journal_id_write(uint64_t id, char *text)
{
    snprintf(text, JOURNAL_ID_DIGITS + 1, "%016" PRIx64, id);
}

uint64_t journal_id_read(struct span text)
{
    uint64_t id = 0;

    if (text.len != JOURNAL_ID_DIGITS)
        return JOURNAL_NONE;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c >= '0' && c <= '9')
            id = id << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            id = id << 4 | (uint64_t)(c - 'a' + 10);
        else
            return JOURNAL_NONE;
    }
    return id;
}
