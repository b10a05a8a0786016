/* Trace contexts as W3C defines them, and metrics as OpenTelemetry does. */
#include <string.h>

#include "admin/otlp_metrics.h"
#include "base/buf.h"
#include "base/digest.h"
#include "check.h"
#include "proxy/trace.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN8 "00f067aa0ba902b7"

/* https://www.w3.org/TR/trace-context/#traceparent-header-field-values */
static void parents_are_read(void **state)
{
    static const struct {
        const char *header;
        bool ok, sampled;
    } rows[] = {
        {"00-" TRACE "-" SPAN8 "-01", true, true},
        {"00-" TRACE "-" SPAN8 "-00", true, false},
        {"00-" TRACE "-" SPAN8 "-03", true, true},
        {"00-" TRACE "-" SPAN8 "-fe", true, false},
        /* later versions: what we know of them */
        {"cc-" TRACE "-" SPAN8 "-01", true, true},
        {"cc-" TRACE "-" SPAN8 "-01-what-the-future-brings", true, true},
        {"cc-" TRACE "-" SPAN8 "-01.what-the-future-brings", false, false},
        {"ff-" TRACE "-" SPAN8 "-01", false, false},
        {"00-" TRACE "-" SPAN8 "-01-more", false, false},
        {"00-00000000000000000000000000000000-" SPAN8 "-01", false, false},
        {"00-" TRACE "-0000000000000000-01", false, false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN8 "-01", false, false},
        {"00-" TRACE "-" SPAN8 "-0", false, false},
        {"00-" TRACE "-" SPAN8 "-0g", false, false},
        {"00_" TRACE "-" SPAN8 "-01", false, false},
        {"0-" TRACE "-" SPAN8 "-011", false, false},
        {"", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct trace_context c;
        bool ok = trace_context_read(span_of(rows[i].header), &c);

        if (ok != rows[i].ok || (ok && c.sampled != rows[i].sampled))
            fail_msg("%s", rows[i].header);
    }
}

static void what_is_written_is_read(void **state)
{
    struct trace_ids ids;
    struct trace t = {.has_parent = false};
    struct trace_context c;
    char text[TRACE_PARENT_BYTES + 1];
    uint8_t before[TRACE_ID_BYTES] = {0};

    (void)state;
    assert_true(trace_ids_init(&ids));
    for (unsigned i = 0; i < 1000; i++) {
        trace_id_make(&ids, t.trace_id, TRACE_ID_BYTES);
        trace_id_make(&ids, t.model_id, SPAN_ID_BYTES);
        trace_context_write(&t, text);
        assert_int_equal(strlen(text), TRACE_PARENT_BYTES);
        assert_true(trace_context_read(span_of(text), &c) && c.sampled);
        assert_memory_equal(c.trace_id, t.trace_id, TRACE_ID_BYTES);
        assert_memory_equal(c.span_id, t.model_id, SPAN_ID_BYTES);
        assert_memory_not_equal(before, t.trace_id, TRACE_ID_BYTES);
        memcpy(before, t.trace_id, TRACE_ID_BYTES);
    }
}

static void metrics_are_converted(void **state)
{
    static const char page[] = "# HELP a_total As many, \"so\" many.\n"
                               "# TYPE a_total counter\n"
                               "a_total{x=\"1\",y=\"q\\\"}\"} 3\n"
                               "# HELP g A gauge.\n# TYPE g gauge\ng 0.25\n"
                               "# HELP h_s A histogram.\n# TYPE h_s histogram\n"
                               "h_s_bucket{s=\"e\",le=\"0.001\"} 2\n"
                               "h_s_bucket{s=\"e\",le=\"+Inf\"} 5\n"
                               "h_s_sum{s=\"e\"} 1.5\nh_s_count{s=\"e\"} 5\n";
    static const char want[] =
        "{\"name\":\"a_total\",\"description\":\"As many, \\\"so\\\" many.\",\"sum\":{"
        "\"dataPoints\":[{\"attributes\":[{\"key\":\"x\",\"value\":{\"stringValue\":\"1\"}},"
        "{\"key\":\"y\",\"value\":{\"stringValue\":\"q\\\"}\"}}],\"startTimeUnixNano\":"
        "\"1000\","
        "\"timeUnixNano\":\"2000\",\"asDouble\":3}],\"aggregationTemporality\":2,"
        "\"isMonotonic\":true}},"
        "{\"name\":\"g\",\"description\":\"A gauge.\",\"gauge\":{\"dataPoints\":[{"
        "\"attributes\":[],\"timeUnixNano\":\"2000\",\"asDouble\":0.25}]}},"
        "{\"name\":\"h_s\",\"description\":\"A histogram.\",\"histogram\":{\"dataPoints\":[{"
        "\"attributes\":[{\"key\":\"s\",\"value\":{\"stringValue\":\"e\"}}],"
        "\"startTimeUnixNano\":\"1000\",\"timeUnixNano\":\"2000\",\"count\":\"5\",\"sum\":1.5,"
        "\"explicitBounds\":[0.001],\"bucketCounts\":[\"2\",\"3\"]}],"
        "\"aggregationTemporality\":2}}";
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16);
    CHECK_STATUS(ST_OK, otlp_metrics_convert(span_of(page), &out, 1, 2));
    CHECK_SPAN(span_of(want), buf_span(&out));
    buf_release(&out);
}

static void other_texts_are_refused(void **state)
{
    static const char *const pages[] = {
        "a 1\n",
        "# TYPE a untyped\na 1\n",
        "# TYPE a counter\nb 1\n",
        "# TYPE a counter\na{x=\"1\" 1\n",
        "# TYPE a counter\na one\n",
        "# TYPE a counter\na\n",
        "# TYPE a histogram\na_bucket{x=\"1\"} 1\n",
        "# TYPE a histogram\na_most 1\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        struct buf out;

        buf_init(&out, 4096);
        if (otlp_metrics_convert(span_of(pages[i]), &out, 1, 2) != ST_INVALID)
            fail_msg("%s", pages[i]);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parents_are_read),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(metrics_are_converted),
        cmocka_unit_test(other_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
