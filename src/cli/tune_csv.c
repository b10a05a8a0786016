#include "cli/tune_csv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define ROW_BYTES_MAX ((size_t)16 << 20)
#define FIELDS_MAX    64
#define ENDING        ".csv"
#define MARK          "\xef\xbb\xbf" /* of UTF-8, as spreadsheets write it in front */

enum column { COLUMN_A, COLUMN_B, COLUMN_SAME, COLUMNS };

struct row {
    struct buf text;        /* owned */
    size_t end[FIELDS_MAX]; /* of each field, in text */
    size_t fields;
};

struct reader {
    FILE *f;
    struct row row;
    size_t line, began; /* of lines, from 1: the one under way, and the one the row began on */
    const char *why;
};

static struct span field(const struct row *r, size_t i)
{
    size_t from = i > 0 ? r->end[i - 1] : 0;

    return (struct span){r->text.ptr + from, r->end[i] - from};
}

static bool put(struct reader *r, int c)
{
    char byte = (char)c;

    if (buf_append(&r->row.text, (struct span){&byte, 1}) != ST_OK)
        r->why = "this row is too long: 16 MiB at most";
    return r->why == NULL;
}

static bool end_field(struct reader *r)
{
    if (r->row.fields == FIELDS_MAX) {
        r->why = "too many columns: 64 at most";
        return false;
    }
    r->row.end[r->row.fields++] = r->row.text.len;
    return true;
}

/* Behind the opening mark, to the one that closes. */
static bool read_quoted(struct reader *r)
{
    int c;

    while ((c = getc(r->f)) != EOF) {
        if (c == '"') {
            c = getc(r->f);
            if (c != '"') {
                ungetc(c, r->f);
                return true;
            }
        }
        r->line += c == '\n';
        if (!put(r, c))
            return false;
    }
    r->why = "a quotation mark that nothing closes";
    return false;
}

/* False at the end of the file, or when something is wrong (why). A blank line is a row of one
 * empty field. */
static bool read_row(struct reader *r)
{
    bool fresh = true;
    int c = getc(r->f);

    buf_clear(&r->row.text);
    r->row.fields = 0;
    r->began = ++r->line;
    if (c == EOF)
        return false;
    for (;; c = getc(r->f)) {
        if (c == EOF || c == '\n')
            return end_field(r);
        if (c == ',') {
            if (!end_field(r))
                return false;
            fresh = true;
            continue;
        }
        if (c == '\r')
            continue;
        if (!(c == '"' && fresh ? read_quoted(r) : put(r, c)))
            return false;
        fresh = false;
    }
}

static bool is_blank(const struct row *r)
{
    return r->fields == 1 && r->end[0] == 0;
}

/* Which column has what; FIELDS_MAX: none. */
static void read_names(const struct row *r, size_t at[COLUMNS])
{
    static const struct {
        const char *name;
        enum column column;
    } names[] = {{"a", COLUMN_A},
                 {"q1", COLUMN_A},
                 {"b", COLUMN_B},
                 {"q2", COLUMN_B},
                 {"same", COLUMN_SAME}};

    for (size_t k = 0; k < COLUMNS; k++)
        at[k] = FIELDS_MAX;
    for (size_t i = 0; i < r->fields; i++) {
        struct span name = field(r, i);

        if (i == 0 && name.len >= strlen(MARK) && memcmp(name.ptr, MARK, strlen(MARK)) == 0)
            name = (struct span){name.ptr + strlen(MARK), name.len - strlen(MARK)};
        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            if (span_eq(name, span_of(names[k].name)) && at[names[k].column] == FIELDS_MAX)
                at[names[k].column] = i;
        }
    }
}

static void read_rows(struct reader *r, tune_csv_take_fn *take, void *owner)
{
    size_t at[COLUMNS];

    if (read_row(r))
        read_names(&r->row, at);
    else if (r->why == NULL)
        r->why = "it is empty";
    if (r->why != NULL)
        return;
    if (at[COLUMN_A] == FIELDS_MAX || at[COLUMN_B] == FIELDS_MAX ||
        at[COLUMN_SAME] == FIELDS_MAX) {
        r->why = "the first row must name the columns 'a', 'b' (or 'q1', 'q2') and 'same'";
        return;
    }
    while (r->why == NULL && read_row(r)) {
        if (is_blank(&r->row))
            continue;
        if (r->row.fields <= at[COLUMN_A] || r->row.fields <= at[COLUMN_B] ||
            r->row.fields <= at[COLUMN_SAME])
            r->why = "it has fewer columns than the first row names";
        else
            r->why = take(owner, field(&r->row, at[COLUMN_A]), field(&r->row, at[COLUMN_B]),
                          field(&r->row, at[COLUMN_SAME]));
    }
}

bool tune_csv_named(const char *path)
{
    size_t n = strlen(path), end = strlen(ENDING);

    return n >= end && strcmp(path + n - end, ENDING) == 0;
}

bool tune_csv_read(const char *path, tune_csv_take_fn *take, void *owner)
{
    struct reader r = {.f = fopen(path, "re")};

    if (r.f == NULL) {
        fprintf(stderr, "ibid: cannot read '%s': %s\n", path, strerror(errno));
        return false;
    }
    buf_init(&r.row.text, ROW_BYTES_MAX);
    read_rows(&r, take, owner);
    if (r.why == NULL && ferror(r.f))
        r.why = "it cannot be read";
    if (r.why != NULL)
        fprintf(stderr, "ibid: %s: line %zu: %s\n", path, r.began, r.why);
    buf_release(&r.row.text);
    fclose(r.f);
    return r.why == NULL;
}
