#include "proxy/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/day.h"
#include "base/hash.h"

#define ROOM_FIRST 64
/* One "other" row a source of today and of day 0. */
#define SPARE_ROWS (2 * SOURCE_COUNT)

void ledger_init(struct ledger *l, size_t rows_max, uint64_t wall_ms)
{
    assert(rows_max >= ROOM_FIRST);
    memset(l, 0, sizeof(*l));
    l->rows_max = rows_max;
    l->since_ms = wall_ms;
    ledger_set_day(l, wall_ms);
}

void ledger_release(struct ledger *l)
{
    free(l->rows);
    free(l->slots);
    l->rows = NULL;
    l->slots = NULL;
}

void ledger_set_day(struct ledger *l, uint64_t wall_ms)
{
    uint64_t day = wall_ms / DAY_MS;

    if (day <= DAY_MAX && day > l->today)
        l->today = (uint32_t)day;
}

void ledger_sums_add(struct ledger_sums *to, const struct ledger_sums *add)
{
    to->requests += add->requests;
    to->unmetered += add->unmetered;
    to->prompt_tokens += add->prompt_tokens;
    to->completion_tokens += add->completion_tokens;
    to->cached_tokens += add->cached_tokens;
    to->unpriced_tokens += add->unpriced_tokens;
    to->usd += add->usd;
    to->saved_s += add->saved_s;
    to->cpu_s += add->cpu_s;
    to->wh += add->wh;
}

struct ledger_sums ledger_saved(const struct ledger *l)
{
    struct ledger_sums s = {.requests = 0};

    ledger_sums_add(&s, &l->started[SOURCE_EXACT]);
    ledger_sums_add(&s, &l->started[SOURCE_SEMANTIC]);
    ledger_sums_add(&s, &l->started[SOURCE_COALESCED]);
    return s;
}

/* --- finding a row ------------------------------------------------------------------- */

static uint64_t hash_key(const struct ledger_key *k)
{
    uint64_t seed = k->tenant ^ ((uint64_t)k->day << 8 | (uint64_t)k->source);

    return hash_bytes(k->model, seed) ^ k->route.len;
}

static struct ledger_key key_of(const struct ledger_row *r)
{
    return (struct ledger_key){r->tenant, ledger_row_route(r), ledger_row_model(r), r->day,
                               (enum source)r->source};
}

static bool is_of(const struct ledger_row *r, const struct ledger_key *k)
{
    return r->tenant == k->tenant && r->day == k->day && r->source == (uint8_t)k->source &&
           span_eq(ledger_row_model(r), k->model) && span_eq(ledger_row_route(r), k->route);
}

/* Where it is, or where it would go. There is always a free slot. */
static uint32_t *slot_of(const struct ledger *l, const struct ledger_key *k)
{
    size_t mask = l->slot_count - 1, i = (size_t)hash_key(k) & mask;

    while (l->slots[i] != 0 && !is_of(&l->rows[l->slots[i] - 1], k))
        i = (i + 1) & mask;
    return &l->slots[i];
}

/* Anew, rows of the same key made one. */
static void fill_slots(struct ledger *l)
{
    size_t kept = 0;

    memset(l->slots, 0, l->slot_count * sizeof(*l->slots));
    for (size_t i = 0; i < l->row_count; i++) {
        struct ledger_key k = key_of(&l->rows[i]);
        uint32_t *slot = slot_of(l, &k);

        if (*slot != 0) {
            ledger_sums_add(&l->rows[*slot - 1].sums, &l->rows[i].sums);
            continue;
        }
        if (kept != i)
            l->rows[kept] = l->rows[i];
        *slot = (uint32_t)++kept;
    }
    l->row_count = kept;
}

static enum status grow(struct ledger *l)
{
    size_t most = l->rows_max + SPARE_ROWS;
    size_t room = l->row_room > 0 ? 2 * l->row_room : ROOM_FIRST, slots = 2 * ROOM_FIRST;
    struct ledger_row *rows;
    uint32_t *fresh;

    if (room > most)
        room = most;
    while (slots < 2 * room)
        slots *= 2;
    fresh = calloc(slots, sizeof(*fresh));
    if (fresh == NULL)
        return ST_NOMEM;
    rows = realloc(l->rows, room * sizeof(*rows));
    if (rows == NULL) {
        free(fresh);
        return ST_NOMEM;
    }
    free(l->slots);
    l->rows = rows;
    l->row_room = room;
    l->slots = fresh;
    l->slot_count = slots;
    fill_slots(l);
    return ST_OK;
}

/* --- making room --------------------------------------------------------------------- */

static void set_names(struct ledger_row *r, struct span route, struct span model)
{
    r->route_bytes = (uint8_t)route.len;
    r->model_bytes = (uint8_t)model.len;
    if (route.len > 0)
        memcpy(r->route, route.ptr, route.len);
    if (model.len > 0)
        memcpy(r->model, model.ptr, model.len);
}

/* Of rows up to that day; `earlier`: it is given up too. */
static void forget_names(struct ledger *l, uint32_t last, bool earlier)
{
    for (size_t i = 0; i < l->row_count; i++) {
        struct ledger_row *r = &l->rows[i];

        if (r->day > last)
            continue;
        r->tenant = 0;
        set_names(r, SPAN("other"), SPAN("other"));
        if (earlier)
            r->day = LEDGER_EARLIER;
    }
    fill_slots(l);
}

static bool is_named(const struct ledger_row *r)
{
    return r->tenant != 0 || !span_eq(ledger_row_model(r), SPAN("other"));
}

static size_t named_until(const struct ledger *l, uint32_t last)
{
    size_t n = 0;

    for (size_t i = 0; i < l->row_count; i++)
        n += l->rows[i].day <= last && is_named(&l->rows[i]);
    return n;
}

/* The first day until which that many rows have names, but before today. */
static uint32_t day_of_named(const struct ledger *l, size_t count)
{
    uint32_t low = 0, high = l->today - 1;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (named_until(l, middle) >= count)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_full(const struct ledger *l)
{
    return l->row_count >= l->rows_max;
}

/* An eighth at a time, or it would be done for every row. */
static void make_room(struct ledger *l)
{
    size_t eighth = l->rows_max / 8, most = l->rows_max - eighth;

    if (l->today == 0)
        return;
    forget_names(l, day_of_named(l, eighth), false);
    if (l->row_count > most)
        forget_names(l, l->today - 1, true);
}

/* --- adding --------------------------------------------------------------------------- */

static struct span cut(struct span s, size_t most)
{
    return (struct span){s.ptr, s.len < most ? s.len : most};
}

/* NULL: out of memory, or no room even for this. */
static struct ledger_row *new_row(struct ledger *l, const struct ledger_key *k)
{
    struct ledger_row *r;

    if (l->row_count == l->row_room &&
        (l->row_room == l->rows_max + SPARE_ROWS || grow(l) != ST_OK))
        return NULL;
    r = &l->rows[l->row_count];
    memset(r, 0, sizeof(*r));
    r->tenant = k->tenant;
    r->day = k->day;
    r->source = (uint8_t)k->source;
    set_names(r, k->route, k->model);
    *slot_of(l, k) = (uint32_t)++l->row_count;
    return r;
}

static struct ledger_row *find_row(const struct ledger *l, const struct ledger_key *k)
{
    uint32_t at = l->slots != NULL ? *slot_of(l, k) : 0;

    return at > 0 ? &l->rows[at - 1] : NULL;
}

static struct ledger_row *row_of(struct ledger *l, const struct ledger_key *key)
{
    struct ledger_key k = *key;
    struct ledger_row *r;

    k.route = cut(k.route, LEDGER_ROUTE_MAX);
    k.model = cut(k.model, LEDGER_MODEL_MAX);
    r = find_row(l, &k);
    if (r != NULL)
        return r;
    if (is_full(l))
        make_room(l);
    if (is_full(l)) {
        k.tenant = 0;
        k.route = k.model = SPAN("other");
        r = find_row(l, &k);
    }
    return r != NULL ? r : new_row(l, &k);
}

void ledger_add(struct ledger *l, const struct ledger_key *key, const struct ledger_sums *add)
{
    struct ledger_row *r = row_of(l, key);

    l->dirty = true;
    ledger_sums_add(&l->started[key->source], add);
    if (r != NULL)
        ledger_sums_add(&r->sums, add);
    else
        l->discarded += add->requests;
}

enum status ledger_restore_row(struct ledger *l, const struct ledger_key *key,
                               const struct ledger_sums *sums)
{
    struct ledger_key k = *key;
    struct ledger_row *r;

    if (k.day > l->today)
        k.day = l->today;
    r = row_of(l, &k);
    if (r == NULL)
        return ST_NOMEM;
    ledger_sums_add(&r->sums, sums);
    return ST_OK;
}

/* --- days ----------------------------------------------------------------------------- */

static void add_day(struct ledger_day *to, const struct ledger_day *add)
{
    to->cpu_s += add->cpu_s;
    to->measured_wh += add->measured_wh;
    to->estimated_wh += add->estimated_wh;
}

/* The two oldest become one of "earlier". */
static void fold_days(struct ledger *l)
{
    l->days[0].day = LEDGER_EARLIER;
    add_day(&l->days[0], &l->days[1]);
    l->day_count--;
    memmove(&l->days[1], &l->days[2], (l->day_count - 1) * sizeof(l->days[0]));
}

void ledger_restore_day(struct ledger *l, const struct ledger_day *day)
{
    size_t at = l->day_count;

    while (at > 0 && l->days[at - 1].day > day->day)
        at--;
    if (at > 0 && l->days[at - 1].day == day->day) {
        add_day(&l->days[at - 1], day);
        return;
    }
    if (l->day_count == LEDGER_DAYS_MAX) {
        fold_days(l);
        /* One older than all is of "earlier" too. */
        if (at < 2) {
            add_day(&l->days[0], day);
            return;
        }
        at--;
    }
    memmove(&l->days[at + 1], &l->days[at], (l->day_count - at) * sizeof(l->days[0]));
    l->days[at] = *day;
    l->day_count++;
}

void ledger_add_own(struct ledger *l, const struct ledger_day *add)
{
    struct ledger_day day = *add;

    day.day = l->today;
    add_day(&l->started_own, add);
    ledger_restore_day(l, &day);
}
