/* Figures over time: differences of counters, in a ring. */
#include "admin/series.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static struct series *series;

static void set_up(void)
{
    series = calloc(1, sizeof(*series));
    assert_non_null(series);
    series->hour = (struct series_ring){series->hour_samples, 4, 0, 0};
    series->day = (struct series_ring){series->day_samples, SERIES_DAY_POINTS + 1, 0, 0};
}

static void add(uint64_t at_ms, uint64_t exact, double usd, double error)
{
    struct series_sample s = {.at_ms = at_ms, .saved_usd = usd, .expected_error = error};

    s.by_source[SOURCE_EXACT] = exact;
    series_add(&series->hour, &s);
}

static void has(const char *text)
{
    struct buf out;

    buf_init(&out, 1u << 20);
    CHECK_STATUS(ST_OK, series_write(series, &out));
    CHECK_STATUS(ST_OK, buf_append(&out, (struct span){"", 1}));
    if (strstr(buf_span(&out).ptr, text) == NULL)
        fail_msg("no %s in %s", text, buf_span(&out).ptr);
    buf_release(&out);
}

static void a_point_is_a_difference(void **state)
{
    (void)state;
    set_up();
    has("\"hour\":{\"step_s\":10,\"at_ms\":[],\"exact\":[],");
    add(1000, 5, 1, 0.5);
    has("\"at_ms\":[],\"exact\":[]"); /* one sample is no point yet */
    add(11000, 7, 1.5, 0.25);
    has("\"at_ms\":[11000],\"exact\":[2],");
    has("\"saved_usd\":[0.5],");
    has("\"expected_error\":[0.25]");
    has("\"day\":{\"step_s\":300,\"at_ms\":[],");
    free(series);
}

static void the_oldest_goes(void **state)
{
    (void)state;
    set_up();
    for (uint64_t i = 0; i < 9; i++)
        add(1000 * i, i * i, (double)i, 0);
    /* Four samples, three points. */
    has("\"at_ms\":[6000,7000,8000],\"exact\":[11,13,15],");
    has("\"saved_usd\":[1,1,1],");
    free(series);
}

static void without_a_learner_there_is_no_expectation(void **state)
{
    (void)state;
    set_up();
    add(1000, 0, 0, -1);
    add(2000, 0, 0, -1);
    has("\"expected_error\":[]");
    free(series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_is_a_difference),
        cmocka_unit_test(the_oldest_goes),
        cmocka_unit_test(without_a_learner_there_is_no_expectation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
