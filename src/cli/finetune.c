/* Two rows are near each other when the cosine of their questions is `near` or more. The same
 * question they are only when the verifier says so, guards included ("enable the alarm" is near
 * "disable the alarm" and no other wording of it); of those one is kept. Rows that are near
 * each other, over however many steps, are held out together or not at all. */
#include "cli/finetune.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cache/admission.h"
#include "cache/decision.h"
#include "cache/entry.h"
#include "cache/guard.h"
#include "cache/vector.h"
#include "config/config.h"
#include "privacy/finder.h"
#include "protocol/answer.h"
#include "proxy/conditions.h"

#define TEXTS_MAX_BYTES ((size_t)1 << 30)
#define SAME_MIN        0.5 /* P(same) from which on it is the more likely */
#define QUESTION_BYTES  4096
#define LICENCE_MAX     256
#define NO_LICENCE      "none"

void finetune_init(struct finetune *f, const struct finetune_options *o)
{
    *f = (struct finetune){.o = *o};
    arena_init(&f->texts, (size_t)1 << 20, TEXTS_MAX_BYTES);
}

void finetune_release(struct finetune *f)
{
    free(f->rows);
    free(f->vectors);
    arena_release(&f->texts);
}

static void count(struct finetune *f, const char *why)
{
    for (size_t i = 0; i < FINETUNE_REASONS_MAX; i++) {
        if (f->left[i].name != NULL && strcmp(f->left[i].name, why) != 0)
            continue;
        f->left[i].name = why;
        f->left[i].count++;
        return;
    }
}

void finetune_leave(struct finetune *f, struct finetune_row *row, const char *why)
{
    if (row != NULL)
        row->left = why;
    count(f, why);
}

/* --- one entry ---------------------------------------------------------------------------- */

/* The first whose pattern its model matches; or the one for all. Empty: none. */
static struct span licence_of(const struct finetune *f, struct span model)
{
    struct span list = span_of(f->o.licences), word;

    while ((word = config_word(&list)).len > 0) {
        const char *equals = memchr(word.ptr, '=', word.len);
        char pattern[LICENCE_MAX];
        size_t n = equals != NULL ? (size_t)(equals - word.ptr) : word.len;

        if (equals == NULL || n >= sizeof(pattern))
            continue;
        memcpy(pattern, word.ptr, n);
        pattern[n] = '\0';
        if (conditions_model(pattern, model))
            return (struct span){equals + 1, word.len - n - 1};
    }
    return span_of(f->o.licence);
}

static bool is_private(struct finetune *f, struct span text)
{
    const struct find *found;
    size_t n;

    return finder_scan(f->o.finder, text, &found, &n) != ST_OK || n > 0;
}

static bool is_of(const struct digest *d, const struct digest *wanted, size_t bytes)
{
    return memcmp(d->bytes, wanted->bytes, bytes) == 0;
}

/* Why it is no example; NULL: it may be one, and *said is what was answered. */
static const char *unfit(struct finetune *f, const struct entry *e, struct answer *said,
                         struct span *licence)
{
    const char *why;

    if ((f->o.one_tenant && !is_of(&e->tenant, &f->o.tenant, f->o.tenant_bytes)) ||
        (f->o.one_partition && !is_of(&e->partition, &f->o.partition, f->o.partition_bytes)))
        return "not_asked_for";
    if (e->question.len == 0)
        return "no_question";
    if (answer_unpack(e->answer, said) != ST_OK || said->text.len == 0 ||
        said->verdict != ANSWER_STORABLE)
        return "no_text";
    why = admission_exact_only(e->question, said->text, e->created_ms);
    if (why != NULL)
        return why;
    *licence = licence_of(f, e->model);
    if (licence->len == 0 || span_eq(*licence, SPAN(NO_LICENCE)))
        return "no_licence";
    if (is_private(f, e->question) || is_private(f, said->text))
        return "private";
    return f->count >= f->o.rows_max ? "rows_max" : NULL;
}

/* Lower case, one blank for whatever is neither letter nor digit. */
static uint64_t hash_question(struct span s)
{
    char folded[QUESTION_BYTES];
    size_t n = 0;

    for (size_t i = 0; i < s.len && n + 1 < sizeof(folded); i++) {
        char c = s.ptr[i];
        bool other = (unsigned char)c < 0x80 && !(c >= '0' && c <= '9') &&
                     !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z');

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!other)
            folded[n++] = c;
        else if (n > 0 && folded[n - 1] != ' ')
            folded[n++] = ' ';
    }
    while (n > 0 && folded[n - 1] == ' ')
        n--;
    return hash_bytes((struct span){folded, n}, s.len >= sizeof(folded) ? s.len : 0);
}

static enum status grow(struct finetune *f)
{
    size_t room = f->room * 2 + 256;
    struct finetune_row *rows = realloc(f->rows, room * sizeof(*rows));
    int8_t *vectors;

    if (rows == NULL)
        return ST_NOMEM;
    f->rows = rows;
    if (f->dimensions > 0) {
        vectors = realloc(f->vectors, room * f->dimensions);
        if (vectors == NULL)
            return ST_NOMEM;
        f->vectors = vectors;
    }
    f->room = room;
    return ST_OK;
}

/* The first entry with a vector says how long they are; another encoder's are not compared. */
static enum status keep_vector(struct finetune *f, const struct entry *e,
                               struct finetune_row *row)
{
    if (f->dimensions > 0)
        memset(f->vectors + f->count * f->dimensions, 0, f->dimensions);
    if (e->vector == NULL)
        return ST_OK;
    if (f->dimensions == 0) {
        f->vectors = calloc(f->room, e->dimensions);
        if (f->vectors == NULL)
            return ST_NOMEM;
        f->dimensions = e->dimensions;
    }
    if (e->dimensions == f->dimensions)
        row->scale = vector_pack(e->vector, f->dimensions,
                                 f->vectors + f->count * f->dimensions, &row->sum);
    return ST_OK;
}

enum status finetune_add(struct finetune *f, const struct entry *e)
{
    struct finetune_row *row;
    struct answer said;
    struct span licence;
    const char *why;
    enum status st = ST_OK;

    f->seen++;
    why = unfit(f, e, &said, &licence);
    if (why != NULL) {
        count(f, why);
        return ST_OK;
    }
    if (f->count == f->room)
        st = grow(f);
    if (st != ST_OK)
        return st;
    row = &f->rows[f->count];
    *row = (struct finetune_row){.created_ms = e->created_ms,
                                 .key = e->key,
                                 .partition = e->partition,
                                 .tenant = e->tenant,
                                 .question_hash = hash_question(e->question),
                                 .answers = -1};
    st = keep_vector(f, e, row);
    if (st == ST_OK)
        st = arena_copy(&f->texts, e->question, &row->question);
    if (st == ST_OK)
        st = arena_copy(&f->texts, said.text, &row->answer);
    if (st == ST_OK)
        st = arena_copy(&f->texts, e->model, &row->model);
    if (st == ST_OK)
        st = arena_copy(&f->texts, licence, &licence);
    row->licence = licence.ptr;
    f->count += st == ST_OK;
    return st;
}

/* --- all of them -------------------------------------------------------------------------- */

/* Places of rows in an order; qsort() takes no argument. */
struct place {
    const struct finetune_row *row;
    size_t at;
};

static int by_key(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return memcmp(x->row->key.bytes, y->row->key.bytes, DIGEST_BYTES);
}

static int by_partition(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return memcmp(x->row->partition.bytes, y->row->partition.bytes, DIGEST_BYTES);
}

/* Of one question the newest answer first. */
static int by_question(const void *a, const void *b)
{
    const struct finetune_row *x = ((const struct place *)a)->row,
                              *y = ((const struct place *)b)->row;

    if (x->question_hash != y->question_hash)
        return x->question_hash < y->question_hash ? -1 : 1;
    if (x->created_ms != y->created_ms)
        return x->created_ms > y->created_ms ? -1 : 1;
    return memcmp(x->key.bytes, y->key.bytes, DIGEST_BYTES);
}

static void order(const struct finetune *f, struct place *p,
                  int (*compare)(const void *a, const void *b))
{
    for (size_t i = 0; i < f->count; i++)
        p[i] = (struct place){&f->rows[i], i};
    if (f->count > 0)
        qsort(p, f->count, sizeof(*p), compare);
}

/* The store has an order of its own; what is chosen must not depend on it. */
static enum status sort_rows(struct finetune *f, const struct place *p)
{
    struct finetune_row *rows = malloc((f->count + 1) * sizeof(*rows));
    int8_t *vectors = malloc((f->count + 1) * f->dimensions + 1);

    if (rows == NULL || vectors == NULL) {
        free(rows);
        free(vectors);
        return ST_NOMEM;
    }
    for (size_t i = 0; i < f->count; i++) {
        rows[i] = f->rows[p[i].at];
        if (f->dimensions > 0)
            memcpy(vectors + i * f->dimensions, f->vectors + p[i].at * f->dimensions,
                   f->dimensions);
    }
    free(f->rows);
    free(f->vectors);
    f->rows = rows;
    f->vectors = vectors;
    f->room = f->count + 1;
    return ST_OK;
}

/* A conversation of which the earlier turns are not kept is a partition of its own. */
static void leave_lonely(struct finetune *f, const struct place *p)
{
    for (size_t i = 0, k; i < f->count; i = k) {
        for (k = i + 1; k < f->count && by_partition(&p[i], &p[k]) == 0; k++)
            ;
        for (size_t n = i; k - i < f->o.partition_min && n < k; n++)
            finetune_leave(f, &f->rows[p[n].at], "alone");
    }
}

static void leave_equal(struct finetune *f, const struct place *p)
{
    const struct finetune_row *kept = NULL;

    for (size_t i = 0; i < f->count; i++) {
        struct finetune_row *row = &f->rows[p[i].at];

        if (row->left != NULL)
            continue;
        if (kept != NULL && kept->question_hash == row->question_hash)
            finetune_leave(f, row, "same");
        else
            kept = row;
    }
}

static size_t first_of(struct finetune *f, size_t at)
{
    while (f->rows[at].group != at) {
        f->rows[at].group = f->rows[f->rows[at].group].group;
        at = f->rows[at].group;
    }
    return at;
}

static bool is_same_question(const struct finetune_row *a, const struct finetune_row *b,
                             float cosine)
{
    struct guard_outcome g;

    guard_check(a->question, b->question, &g);
    return g.fired == NULL && decision_probability(cosine, &g) >= SAME_MIN;
}

/* Row `at` beside all before it that are kept; `cosines` has room for them. */
static void compare_row(struct finetune *f, size_t at, uint8_t *bytes, float *scales,
                        int32_t *sums, float *cosines)
{
    struct finetune_row *row = &f->rows[at];
    const int8_t *v = f->vectors + at * f->dimensions;
    struct vector_query q = {.bytes = bytes, .scale = row->scale};

    scales[at] = row->left == NULL ? row->scale : 0;
    sums[at] = row->sum;
    if (row->left != NULL || !(row->scale > 0))
        return;
    for (size_t i = 0; i < f->dimensions; i++)
        bytes[i] = (uint8_t)(v[i] + 128);
    vector_scan(&q, f->vectors, scales, sums, at, f->dimensions, cosines);
    for (size_t i = 0; i < at; i++) {
        if (!(scales[i] > 0) || (double)cosines[i] < f->o.near)
            continue;
        if (is_same_question(&f->rows[i], row, cosines[i])) {
            finetune_leave(f, row, "near");
            scales[at] = 0;
            return;
        }
    }
    for (size_t i = 0; i < at; i++) {
        if (scales[i] > 0 && (double)cosines[i] >= f->o.near)
            f->rows[first_of(f, at)].group = first_of(f, i);
    }
}

static enum status leave_near(struct finetune *f)
{
    uint8_t *bytes = malloc(f->dimensions + 1);
    float *scales = malloc((f->count + 1) * sizeof(*scales));
    int32_t *sums = malloc((f->count + 1) * sizeof(*sums));
    float *cosines = malloc((f->count + 1) * sizeof(*cosines));
    bool room = bytes != NULL && scales != NULL && sums != NULL && cosines != NULL;

    for (size_t i = 0; i < f->count; i++)
        f->rows[i].group = i;
    for (size_t i = 0; room && f->dimensions > 0 && i < f->count; i++)
        compare_row(f, i, bytes, scales, sums, cosines);
    free(bytes);
    free(scales);
    free(sums);
    free(cosines);
    return room ? ST_OK : ST_NOMEM;
}

/* By the least hash in the group: the same questions go to the same side in every export. */
static void hold_out(struct finetune *f)
{
    for (size_t i = 0; i < f->count; i++)
        f->rows[i].group_hash = UINT64_MAX;
    for (size_t i = 0; i < f->count; i++) {
        struct finetune_row *first = &f->rows[first_of(f, i)];

        if (f->rows[i].left == NULL && f->rows[i].question_hash < first->group_hash)
            first->group_hash = f->rows[i].question_hash;
    }
    for (size_t i = 0; i < f->count; i++) {
        uint64_t h = f->rows[first_of(f, i)].group_hash;

        /* Hashed anew: the least of several is no fair draw. */
        h = hash_bytes((struct span){(const char *)&h, sizeof(h)}, 1);
        f->rows[i].held_out = (double)(h >> 11) / 9007199254740992.0 < f->o.held_out;
    }
}

enum status finetune_choose(struct finetune *f)
{
    struct place *p = malloc((f->count + 1) * sizeof(*p));
    enum status st = p != NULL ? ST_OK : ST_NOMEM;

    if (st == ST_OK) {
        order(f, p, by_key);
        st = sort_rows(f, p);
    }
    if (st == ST_OK) {
        order(f, p, by_partition);
        leave_lonely(f, p);
        order(f, p, by_question);
        leave_equal(f, p);
        st = leave_near(f);
    }
    if (st == ST_OK)
        hold_out(f);
    free(p);
    return st;
}
