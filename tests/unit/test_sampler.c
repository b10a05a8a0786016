#include "engine/sampler.h"

#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "check.h"
#include "engine/outlet.h"

enum { N = 8 };

static uint32_t once(const float *logits, float temperature, float top_p, uint32_t top_k,
                     uint64_t seed)
{
    struct sampler s;
    uint32_t id;

    CHECK_STATUS(ST_OK, sampler_init(&s, temperature, top_p, top_k, seed, N));
    id = sampler_next(&s, logits, N);
    sampler_release(&s);
    return id;
}

static void greedy_takes_the_first_of_the_largest(void **state)
{
    static const float a[N] = {1, 5, 2, 5, 0, -1, 4, 5};

    (void)state;
    assert_int_equal(1, once(a, 0, 1, 0, 1));
    assert_int_equal(1, once(a, -1, 1, 0, 1));
    assert_int_equal(1, once(a, 1, 1, 1, 1)); /* one is left */
    assert_int_equal(1, once(a, 1, 0, 0, 1));
}

static void odd_logits_never_leave_the_vocabulary(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0};
    static const float temperatures[] = {0, 1e-45f, 1e-30f, 1, 1e30f, INFINITY, NAN};
    static const float tops[] = {-1, 0, 0.5f, 1, 2, NAN};
    float logits[N];

    (void)state;
    for (size_t a = 0; a < ARRAY_LEN(odd); a++) {
        for (size_t b = 0; b < ARRAY_LEN(odd); b++) {
            for (size_t i = 0; i < N; i++)
                logits[i] = i % 2 == 0 ? odd[a] : odd[b];
            for (size_t t = 0; t < ARRAY_LEN(temperatures); t++) {
                for (size_t p = 0; p < ARRAY_LEN(tops); p++) {
                    assert_true(once(logits, temperatures[t], tops[p], 0, 3) < N);
                    assert_true(once(logits, temperatures[t], tops[p], 2, 3) < N);
                }
            }
        }
    }
}

static void no_number_never_wins(void **state)
{
    static const float a[N] = {NAN, NAN, 1, NAN, 0.5f, NAN, NAN, NAN};

    (void)state;
    assert_int_equal(2, once(a, 0, 1, 0, 1));
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint32_t id = once(a, 1, 1, 0, seed);

        assert_true(id == 2 || id == 4);
    }
}

static void a_seed_repeats(void **state)
{
    static const float a[N] = {1, 1.1f, 0.9f, 1, 1.2f, 1, 1, 1};
    struct sampler s, t;
    unsigned differ = 0;

    (void)state;
    CHECK_STATUS(ST_OK, sampler_init(&s, 1, 1, 0, 42, N));
    CHECK_STATUS(ST_OK, sampler_init(&t, 1, 1, 0, 42, N));
    for (int i = 0; i < 200; i++) {
        uint32_t id = sampler_next(&s, a, N);

        assert_int_equal(id, sampler_next(&t, a, N));
        differ += id != once(a, 1, 1, 0, 43 + (uint64_t)i);
    }
    assert_true(differ > 100);
    sampler_release(&s);
    sampler_release(&t);
}

static void shares_are_those_of_the_softmax(void **state)
{
    static const float a[N] = {0, 1, 2, -50, -50, -50, -50, -50};
    unsigned got[N] = {0}, top[N] = {0};
    struct sampler s;

    (void)state;
    CHECK_STATUS(ST_OK, sampler_init(&s, 1, 1, 0, 1, N));
    for (int i = 0; i < 20000; i++)
        got[sampler_next(&s, a, N)]++;
    sampler_release(&s);
    /* e^0, e^1, e^2 of their sum */
    assert_true(fabs(got[0] / 20000.0 - 0.0900) < 0.01);
    assert_true(fabs(got[1] / 20000.0 - 0.2447) < 0.015);
    assert_true(fabs(got[2] / 20000.0 - 0.6652) < 0.015);
    /* 0.67 is reached by the first two only */
    CHECK_STATUS(ST_OK, sampler_init(&s, 1, 0.67f, 0, 1, N));
    for (int i = 0; i < 2000; i++)
        top[sampler_next(&s, a, N)]++;
    sampler_release(&s);
    assert_true(top[0] == 0 && top[1] > 0 && top[2] > 0);
}

/* Those that may be drawn, by sorting. */
static unsigned allowed(const float *logits, float top_p, uint32_t top_k, bool *may)
{
    uint32_t order[N];
    double total = 0, sum = 0;
    unsigned count = 0, most = top_k > 0 ? top_k : N;

    for (uint32_t i = 0; i < N; i++) {
        uint32_t at = i;

        for (; at > 0 && logits[order[at - 1]] < logits[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (unsigned i = 0; i < most; i++)
        total += exp((double)logits[order[i]]);
    for (uint32_t i = 0; i < N; i++)
        may[i] = false;
    while (count < most && (count == 0 || sum < (double)top_p * total)) {
        sum += exp((double)logits[order[count]]);
        may[order[count++]] = true;
    }
    return count;
}

static void the_likeliest_are_those_of_a_sort(void **state)
{
    static const float tops[] = {0.1f, 0.55f, 0.93f, 1};
    float logits[N];
    bool may[N];

    (void)state;
    for (unsigned k = 0; k < 200; k++) {
        float top_p = tops[k % ARRAY_LEN(tops)];
        uint32_t top_k = k / 4 % 5; /* 0: off */
        unsigned seen = 0;

        for (size_t i = 0; i < N; i++)
            logits[i] = (float)((k * 131 + i * 7919 + k * i * 31) % 97) / 50;
        allowed(logits, top_p, top_k, may);
        for (uint64_t seed = 0; seed < 120; seed++) {
            uint32_t id = once(logits, 1, top_p, top_k, seed);

            assert_true(may[id]);
            seen |= 1u << id;
        }
        for (unsigned i = 0; i < N; i++)
            assert_true(!may[i] || (seen & 1u << i) != 0);
    }
}

/* --- text on its way out -------------------------------------------------------------- */

static void on_text(void *arg, struct span text)
{
    CHECK_STATUS(ST_OK, buf_append(arg, text));
    CHECK_STATUS(ST_OK, buf_append(arg, SPAN("|")));
}

/* Feeds `pieces`, split at commas; what came out is each piece and a bar. */
static void check_outlet(const char *pieces, const struct span *stop, size_t stops,
                         bool stopped, const char *want)
{
    struct buf out;
    struct outlet o;
    bool hit = false;

    buf_init(&out, 4096);
    outlet_init(&o, stop, stops, on_text, &out);
    for (const char *p = pieces; *p != '\0' && !hit;) {
        size_t n = strcspn(p, ",");

        CHECK_STATUS(ST_OK, buf_append(&o.held, (struct span){p, n}));
        hit = outlet_pass(&o);
        p += n + (p[n] == ',');
    }
    if (!hit)
        outlet_end(&o);
    assert_int_equal(stopped, hit);
    CHECK_SPAN(span_of(want), buf_span(&out));
    outlet_release(&o);
    buf_release(&out);
}

static void text_goes_out_whole_and_without_stop_strings(void **state)
{
    static const struct span stops[] = {{"END", 3}, {"\n\n", 2}, {"", 0}};

    (void)state;
    check_outlet("a,b,c", NULL, 0, false, "a|b|c|");
    check_outlet("a\xc3,\xa9,b", NULL, 0, false, "a|\xc3\xa9|b|");
    check_outlet("\xf0\x9f,\x91,\x8d", NULL, 0, false, "\xf0\x9f\x91\x8d|");
    check_outlet("a\xf0\x9f", NULL, 0, false, "a|"); /* half a character is no text */
    check_outlet("a,E,N,D,b", stops, 3, true, "a|");
    check_outlet("aEND", stops, 3, true, "a|");
    check_outlet("E,N,X", stops, 3, false, "ENX|");
    check_outlet("xE,EN,D", stops, 3, true, "x|E|");
    check_outlet("x\n,y\n,\nz", stops, 3, true, "x|\ny|");
    check_outlet("xEN", stops, 3, false, "x|EN|");
    check_outlet("a", &stops[2], 1, false, "a|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_first_of_the_largest),
        cmocka_unit_test(odd_logits_never_leave_the_vocabulary),
        cmocka_unit_test(no_number_never_wins),
        cmocka_unit_test(a_seed_repeats),
        cmocka_unit_test(shares_are_those_of_the_softmax),
        cmocka_unit_test(the_likeliest_are_those_of_a_sort),
        cmocka_unit_test(text_goes_out_whole_and_without_stop_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
