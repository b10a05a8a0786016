#include "cache/guard.h"

#include "cache/guard_words.h"

/* How alike the rest of the wording must be for a gated guard to speak
 * (weighted Jaccard). */
#define GATE 0.75

/* In the order in which they are asked; the first that fires names the reason. */
static const struct {
    const char *name;
    guard_fn *fires;
    bool gated;
} guards[] = {
    {"number", guard_number, false},    {"quote", guard_quote, false},
    {"negation", guard_negation, true}, {"antonym", guard_antonym, true},
    {"time", guard_time, false},        {"direction", guard_direction, true},
    {"swapped", guard_swapped, true},   {"name", guard_name, true},
    {"length", guard_length, false},
};

void guard_check(struct span a, struct span b, struct guard_outcome *out)
{
    struct guard_pair p;

    *out = (struct guard_outcome){NULL, 1};
    if (span_eq(a, b))
        return;
    guard_words_read(a, b, &p);
    out->overlap = p.overlap;
    for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]); i++) {
        if (guards[i].gated && p.rest_overlap < GATE)
            continue;
        if (guards[i].fires(&p)) {
            out->fired = guards[i].name;
            return;
        }
    }
}

const char *const *guard_reasons(void)
{
    static const char *const reasons[] = {
        "hit",      "no_candidate", "below_floor", "below_threshold", "number",  "quote",
        "negation", "antonym",      "time",        "direction",       "swapped", "name",
        "length",   NULL,
    };

    return reasons;
}
