/* The ledger: rows, their limit without a loss of sums, days, and its text and back. */
#include "proxy/ledger.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/day.h"
#include "proxy/ledger_file.h"

#include "check.h"

static const struct ledger_rates rates = {0.05, 3.5, 400, 300};

static void put(struct ledger *l, uint32_t day, uint64_t tenant, const char *model,
                enum source source, uint64_t tokens, double usd)
{
    const struct ledger_key k = {tenant, SPAN("up"), span_of(model), day, source};
    const struct ledger_sums s = {.requests = 1, .prompt_tokens = tokens, .usd = usd};

    ledger_add(l, &k, &s);
}

static struct ledger_sums sum_of(const struct ledger *l)
{
    struct ledger_sums s = {.requests = 0};

    for (size_t i = 0; i < l->row_count; i++)
        ledger_sums_add(&s, &l->rows[i].sums);
    return s;
}

static void the_same_key_is_the_same_row(void **state)
{
    struct ledger l;

    (void)state;
    ledger_init(&l, 64, 20000 * DAY_MS + 5);
    assert_int_equal(l.today, 20000);
    for (unsigned i = 0; i < 3; i++) {
        put(&l, l.today, 1, "m", SOURCE_EXACT, 10, 0.5);
        put(&l, l.today, 2, "m", SOURCE_EXACT, 10, 0.5);
        put(&l, l.today, 1, "n", SOURCE_EXACT, 10, 0.5);
        put(&l, l.today, 1, "m", SOURCE_UPSTREAM, 10, 0.5);
        put(&l, l.today - 1, 1, "m", SOURCE_EXACT, 10, 0.5);
    }
    assert_int_equal(l.row_count, 5);
    for (size_t i = 0; i < l.row_count; i++) {
        assert_int_equal(l.rows[i].sums.requests, 3);
        assert_int_equal(l.rows[i].sums.prompt_tokens, 30);
    }
    assert_int_equal(l.started[SOURCE_EXACT].requests, 12);
    assert_int_equal(l.started[SOURCE_UPSTREAM].requests, 3);
    assert_int_equal(ledger_saved(&l).prompt_tokens, 120);
    ledger_release(&l);
}

static void long_names_are_cut(void **state)
{
    char name[300];
    struct ledger l;

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ledger_init(&l, 64, 0);
    put(&l, 0, 1, name, SOURCE_EXACT, 1, 0);
    put(&l, 0, 1, name, SOURCE_EXACT, 1, 0);
    assert_int_equal(l.row_count, 1);
    assert_int_equal(l.rows[0].model_bytes, LEDGER_MODEL_MAX);
    ledger_release(&l);
}

/* Names of old days go first, then their days, then what is new is "other": never a sum. */
static void beyond_the_limit_names_go_and_sums_stay(void **state)
{
    struct ledger l;
    char model[32];
    size_t count = 0;

    (void)state;
    ledger_init(&l, 64, 20000 * DAY_MS);
    for (unsigned day = 0; day < 40; day++) {
        ledger_set_day(&l, (20000 + day) * DAY_MS);
        for (unsigned i = 0; i < 40; i++) {
            (void)snprintf(model, sizeof(model), "m%u", i);
            put(&l, l.today, i % 7 + 1, model, i % 2 ? SOURCE_EXACT : SOURCE_UPSTREAM, 3, 0.25);
            count++;
        }
        assert_true(l.row_count <= 64 + 2 * SOURCE_COUNT);
        assert_int_equal(sum_of(&l).requests, count);
        assert_int_equal(sum_of(&l).prompt_tokens, 3 * count);
        assert_true(fabs(sum_of(&l).usd - 0.25 * (double)count) < 1e-9);
    }
    assert_int_equal(l.discarded, 0);
    /* More of one day than there is room for. */
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(model, sizeof(model), "today%u", i);
        put(&l, l.today, i + 1, model, SOURCE_SEMANTIC, 1, 0);
    }
    assert_true(l.row_count <= 64 + 2 * SOURCE_COUNT);
    assert_int_equal(sum_of(&l).requests, count + 500);
    assert_int_equal(l.discarded, 0);
    ledger_release(&l);
}

static void days_are_bounded_too(void **state)
{
    const struct ledger_day each = {.cpu_s = 1, .measured_wh = 0.5};
    struct ledger l;
    double sum = 0;

    (void)state;
    ledger_init(&l, 64, DAY_MS);
    for (unsigned i = 1; i <= 3 * LEDGER_DAYS_MAX; i++) {
        ledger_set_day(&l, i * DAY_MS);
        ledger_add_own(&l, &each);
        ledger_add_own(&l, &each);
    }
    assert_int_equal(l.day_count, LEDGER_DAYS_MAX);
    assert_int_equal(l.days[0].day, LEDGER_EARLIER);
    for (size_t i = 0; i < l.day_count; i++) {
        sum += l.days[i].cpu_s;
        assert_true(i == 0 || l.days[i].day > l.days[i - 1].day);
    }
    assert_true(fabs(sum - 6.0 * LEDGER_DAYS_MAX) < 1e-9);
    assert_true(fabs(l.started_own.measured_wh - 3.0 * LEDGER_DAYS_MAX) < 1e-9);
    ledger_release(&l);
}

static void a_clock_that_goes_back_does_not(void **state)
{
    struct ledger l;

    (void)state;
    ledger_init(&l, 64, 20000 * DAY_MS);
    ledger_set_day(&l, 19990 * DAY_MS);
    assert_int_equal(l.today, 20000);
    ledger_release(&l);
}

static void what_is_written_is_read(void **state)
{
    struct ledger_rates seen;
    struct ledger a, b;
    struct buf one, two;
    char why[160] = "";
    uint64_t now_ms;

    (void)state;
    ledger_init(&a, 64, 20000 * DAY_MS);
    put(&a, a.today, UINT64_MAX, "gpt \"x\"\n", SOURCE_EXACT, UINT32_MAX, 1.0 / 3);
    put(&a, a.today, 0, "", SOURCE_UPSTREAM, 0, 1e-17);
    put(&a, LEDGER_EARLIER, 5, "m", SOURCE_LOCAL, 7, 0);
    ledger_add_own(&a, &(struct ledger_day){.cpu_s = 0.1, .estimated_wh = 2.0 / 7});
    buf_init(&one, LEDGER_FILE_BYTES_MAX);
    buf_init(&two, LEDGER_FILE_BYTES_MAX);
    CHECK_STATUS(ST_OK, ledger_file_write(&a, &rates, 17, &one));
    ledger_init(&b, 64, 20001 * DAY_MS);
    CHECK_STATUS(ST_OK, ledger_file_read(buf_span(&one), &b, &seen, &now_ms, why, sizeof(why)));
    assert_int_equal(now_ms, 17);
    assert_memory_equal(&seen, &rates, sizeof(rates));
    assert_int_equal(b.since_ms, a.since_ms);
    assert_int_equal(b.started[SOURCE_EXACT].requests, 0);
    CHECK_STATUS(ST_OK, ledger_file_write(&b, &rates, 17, &two));
    CHECK_SPAN(buf_span(&one), buf_span(&two));
    ledger_release(&a);
    ledger_release(&b);
    buf_release(&one);
    buf_release(&two);
}

/* Every part of a whole one, and a whole one with any byte another, is refused or read: no
 * more is asked here than that nothing breaks; and a part is never taken. */
static void a_part_is_no_ledger(void **state)
{
    struct ledger a, b;
    struct buf text;
    char why[160];

    (void)state;
    ledger_init(&a, 64, 20000 * DAY_MS);
    put(&a, a.today, 9, "model", SOURCE_EXACT, 3, 0.5);
    ledger_add_own(&a, &(struct ledger_day){.cpu_s = 1});
    buf_init(&text, LEDGER_FILE_BYTES_MAX);
    CHECK_STATUS(ST_OK, ledger_file_write(&a, &rates, 1, &text));
    for (size_t n = 0; n + 1 < text.len; n++) {
        ledger_init(&b, 64, 20000 * DAY_MS);
        assert_int_not_equal(
            ledger_file_read((struct span){text.ptr, n}, &b, NULL, NULL, why, sizeof(why)),
            ST_OK);
        ledger_release(&b);
    }
    for (size_t n = 0; n < text.len; n++) {
        char was = text.ptr[n];

        text.ptr[n] = was == '9' ? '8' : (char)(was ^ 1);
        ledger_init(&b, 64, 20000 * DAY_MS);
        (void)!ledger_file_read(buf_span(&text), &b, NULL, NULL, why, sizeof(why));
        ledger_release(&b);
        text.ptr[n] = was;
    }
    ledger_release(&a);
    buf_release(&text);
}

static void a_file_is_replaced_whole(void **state)
{
    char folder[] = "/tmp/ibid-ledger-XXXXXX", path[64];
    struct buf back;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/ledger.json", folder);
    buf_init(&back, LEDGER_FILE_BYTES_MAX);
    CHECK_STATUS(ST_NOTFOUND, ledger_file_load(path, &back));
    CHECK_STATUS(ST_OK, ledger_file_save(path, SPAN("a longer text than the next")));
    CHECK_STATUS(ST_OK, ledger_file_save(path, SPAN("short")));
    CHECK_STATUS(ST_OK, ledger_file_load(path, &back));
    CHECK_SPAN(SPAN("short"), buf_span(&back));
    buf_release(&back);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    /* Its folder is gone. */
    CHECK_STATUS(ST_UNAVAILABLE, ledger_file_save(path, SPAN("x")));
}

static void days_have_texts(void **state)
{
    static const struct {
        uint32_t day;
        const char *text;
    } known[] = {{0, "1970-01-01"},      {58, "1970-02-28"},    {59, "1970-03-01"},
                 {789, "1972-02-29"},    {11016, "2000-02-29"}, {19782, "2024-02-29"},
                 {20454, "2026-01-01"},  {47540, "2100-02-28"}, {47541, "2100-03-01"},
                 {DAY_MAX, "9999-12-31"}};
    static const char *const wrong[] = {
        "",           "2026-1-01",  "2026-02-29", "2100-02-29", "2026-13-01", "2026-00-10",
        "2026-01-00", "1969-12-31", "2026-01-32", "2026/01/01", "2026-01-0x", "02026-01-01"};
    char text[DAY_TEXT_BYTES];
    uint32_t back;

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        day_write(known[i].day, text);
        assert_string_equal(text, known[i].text);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(day_read(span_of(wrong[i]), &back));
    for (uint32_t day = 0; day <= DAY_MAX; day += 17) {
        day_write(day, text);
        assert_true(day_read(span_of(text), &back));
        assert_int_equal(back, day);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_key_is_the_same_row),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test(beyond_the_limit_names_go_and_sums_stay),
        cmocka_unit_test(days_are_bounded_too),
        cmocka_unit_test(a_clock_that_goes_back_does_not),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_part_is_no_ledger),
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(days_have_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
