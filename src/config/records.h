/* The settings that are lists of records: `prices` and `upstreams`. A record's fields are
 * rows like those of the table of settings, their offsets within the record, so that
 * whatever reads, writes and explains a setting does so with them. Read-only; any thread. */
#ifndef CONFIG_RECORDS_H
#define CONFIG_RECORDS_H

#include <stddef.h>

#include "base/span.h"
#include "config/options.h"

struct records {
    const char *name; /* of the setting */
    /* The first one names the record, and no two have the same. A preset of NULL: it must
     * be given. */
    const struct option *fields;
    size_t field_count;
    size_t offset, count_offset; /* of the array and its size_t in struct config */
    size_t size, max;            /* of a record; records */
    const char *note;            /* Markdown after its row in the reference */
};

/* NULL when that setting is no list of records. */
const struct records *records_find(struct span name);
/* NULL when a record has no such field. */
const struct option *records_field(const struct records *list, struct span name);

size_t *records_count(const struct records *list, struct config *c);
/* The field of record `i` as a setting for options_set() and options_write(). */
struct option records_at(const struct records *list, const struct option *field, size_t i);

#endif
