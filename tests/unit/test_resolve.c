/* Last turns of conversations: what is made of them, and what is left alone. */
#include "cache/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#include "check.h"

/* Turns between bars, the last one is asked. `made`: NULL: as `why` says. */
static const struct {
    const char *talk;
    enum resolve is;
    const char *made, *why;
} cases[] = {
    /* what "it" and "they" mean */
    {"What is the Eiffel Tower?|How tall is it?", RESOLVED_MADE,
     "How tall is the Eiffel Tower?", NULL},
    {"Tell me about hay fever.|What are its triggers?", RESOLVED_MADE,
     "What are hay fever's triggers?", NULL},
    {"What are snow leopards?|How are they protected?", RESOLVED_MADE,
     "How are snow leopards protected?", NULL},
    {"What are whales?|What is their diet?", RESOLVED_MADE, "What is whales' diet?", NULL},
    {"What is a passkey?|Is it safer than a password?", RESOLVED_MADE,
     "Is passkey safer than a password?", NULL},
    {"What are the rules of water polo?|Which country invented it?", RESOLVED_MADE,
     "Which country invented water polo?", NULL},
    {"What is gout?|Can it come back?|How is it prevented?", RESOLVED_MADE,
     "How is gout prevented?", NULL},
    {"How did Bauhaus change furniture?|What are its principles?", RESOLVED_MADE,
     "What are Bauhaus' principles?", NULL},
    {"What is gout?|What are the causes?", RESOLVED_MADE, "What are the causes of gout?", NULL},
    {"What is hay fever?|What is asthma?|What triggers hay fever?|Is it contagious?",
     RESOLVED_MADE, "Is hay fever contagious?", NULL},
    /* two things can be meant */
    {"What is the capital of France?|How old is it?", RESOLVED_OPEN, NULL, "topic"},
    {"What is swine flu?|Is it like hay fever?|Is it contagious?", RESOLVED_OPEN, NULL,
     "topic"},
    {"What is France?|What is its capital?|How large is it?", RESOLVED_OPEN, NULL, "topic"},
    {"What is a book?|Who wrote Ulysses?|How long is it?", RESOLVED_OPEN, NULL, "topic"},
    {"What are whales?|What are their enemies?|How fast are they?", RESOLVED_OPEN, NULL,
     "topic"},
    {"What is rust?|Are they dangerous?", RESOLVED_OPEN, NULL, "topic"},
    {"What are whales?|How big is it?", RESOLVED_OPEN, NULL, "topic"},
    /* nothing is meant */
    {"What is a marathon?|How long does it take?", RESOLVED_OPEN, NULL, "topic"},
    {"What is a marathon?|Is it possible to walk?", RESOLVED_OPEN, NULL, "topic"},
    /* other words that lean */
    {"Who was Marie Curie?|Where was she born?", RESOLVED_OPEN, NULL, "leans"},
    {"What is Oslo?|How many people live there?", RESOLVED_OPEN, NULL, "leans"},
    {"What is Oslo?|What about Rome?", RESOLVED_OPEN, NULL, "leans"},
    {"What is Oslo?|Why is that?", RESOLVED_OPEN, NULL, "leans"},
    {"What is Python?|Which one is faster?", RESOLVED_OPEN, NULL, "leans"},
    {"What is Python?|What is better?", RESOLVED_OPEN, NULL, "leans"},
    {"What is gout?|What raises levels?", RESOLVED_OPEN, NULL, "topic"},
    {"What is Lyon?|What are popular markets?", RESOLVED_OPEN, NULL, "topic"},
    {"What is a bicycle?|What are the types of frames?", RESOLVED_OPEN, NULL, "topic"},
    {"Who was Grace Hopper?|What did Grace write?", RESOLVED_OPEN, NULL, "topic"},
    {"What is a Nokia Phone 9?|Is the Phone 9 safe?", RESOLVED_OPEN, NULL, "topic"},
    /* clear by itself */
    {"What is gout?|What is hay fever?", RESOLVED_WHOLE, NULL, NULL},
    {"Tell me about Oslo.|What is the capital of Norway?", RESOLVED_WHOLE, NULL, NULL},
    {"What is Oslo?|Is there a subway in Rome?", RESOLVED_WHOLE, NULL, NULL},
    /* something that was said may change the answer */
    {"Answer in French.|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"Explain everything briefly.|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"Tell me about Oslo in simple words.|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"I am vegan.|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"What is my name?|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"What is Oslo? Be brief.|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"Suppose all is free.|What is hay fever?", RESOLVED_NEVER, NULL, "manner"},
    {"What is Oslo?|Should I go to Oslo?", RESOLVED_NEVER, NULL, "person"},
    {"What is Oslo?|What do you think about Oslo?", RESOLVED_NEVER, NULL, "person"},
    {"What is Oslo?|Tell me about Oslo again.", RESOLVED_NEVER, NULL, "talk"},
    {"What is Oslo?|What did Oslo's answer mean?", RESOLVED_NEVER, NULL, "talk"},
    {"What is Oslo?|And in winter?", RESOLVED_NEVER, NULL, "form"},
    {"What is Oslo?|Oslo", RESOLVED_NEVER, NULL, "form"},
    {"Was ist Oslo?|Wie hoch ist Oslo?", RESOLVED_NEVER, NULL, "manner"},
    {"What is Oslo?|Wie hoch ist es?", RESOLVED_NEVER, NULL, "form"},
    {"What is Oslo?|What is Rome? What is Paris?", RESOLVED_NEVER, NULL, "several"},
    {"What is Oslo?\nBe brief.|What is Rome?", RESOLVED_NEVER, NULL, "manner"},
};

#define TURNS 32

static size_t split(const char *talk, struct span *turns)
{
    size_t n = 0;

    for (const char *p = talk; p != NULL; n++) {
        const char *bar = strchr(p, '|');

        assert_true(n < TURNS);
        turns[n] = (struct span){p, bar != NULL ? (size_t)(bar - p) : strlen(p)};
        p = bar != NULL ? bar + 1 : NULL;
    }
    return n;
}

static void turns_are_resolved(void **arg)
{
    struct span turns[TURNS];
    struct buf out;
    const char *why;
    int bad = 0;

    (void)arg;
    buf_init(&out, RESOLVE_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = split(cases[i].talk, turns);
        enum resolve is = resolve_turn(turns, n, &out, &why);

        if (is != cases[i].is) {
            bad++;
            print_error("'%s': %d, %s '%.*s'\n", cases[i].talk, (int)is, why != NULL ? why : "",
                        (int)out.len, out.len > 0 ? out.ptr : "");
            continue;
        }
        if (cases[i].made != NULL && !span_eq(buf_span(&out), span_of(cases[i].made)))
            fail_msg("'%s': '%.*s'", cases[i].talk, (int)out.len, out.ptr);
        if (cases[i].why != NULL && strcmp(why, cases[i].why) != 0)
            fail_msg("'%s': %s", cases[i].talk, why);
    }
    buf_release(&out);
    assert_int_equal(bad, 0);
}

static void reasons_are_listed(void **arg)
{
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool known = cases[i].why == NULL;

        for (const char *const *r = resolve_reasons(); *r != NULL; r++)
            known |= cases[i].why != NULL && strcmp(*r, cases[i].why) == 0;
        assert_true(known);
    }
}

/* Limits are those of the header; nothing is read beyond, whatever the bytes. */
static void any_bytes_are_taken(void **arg)
{
    struct span turns[TURNS];
    struct buf out;
    const char *why;
    char text[400];
    unsigned seed = 7;

    (void)arg;
    buf_init(&out, RESOLVE_BYTES_MAX);
    memset(text, 'a', sizeof(text));
    turns[0] = SPAN("What is Oslo?");
    turns[1] = (struct span){text, sizeof(text)};
    assert_int_equal(resolve_turn(turns, 2, &out, &why), RESOLVED_NEVER);
    assert_string_equal(why, "long");
    for (size_t i = 0; i < TURNS; i++)
        turns[i] = SPAN("What is Oslo?");
    assert_int_equal(resolve_turn(turns, RESOLVE_TURNS_MAX + 1, &out, &why), RESOLVED_NEVER);
    assert_int_equal(resolve_turn(turns, RESOLVE_TURNS_MAX, &out, &why), RESOLVED_WHOLE);
    for (unsigned round = 0; round < 20000; round++) {
        static const char *const bits[] = {
            "what is ", "it",     "its ", "'s",       ".",     "?",      " ",    "the ", "of ",
            "A",        "Paris ", "-",    "\xe2\x80", "they ", "who is", "\xff", "a ",   "'"};
        size_t len[3] = {0};
        char parts[3][200], *blocks[3];

        for (size_t t = 0; t < 3; t++) {
            for (size_t k = 0; k < 8; k++) {
                const char *bit;

                seed = seed * 1103515245u + 12345u;
                bit = bits[(seed >> 16) % ARRAY_LEN(bits)];
                memcpy(parts[t] + len[t], bit, strlen(bit));
                len[t] += strlen(bit);
            }
            /* Its own block: a read beyond it is seen by the sanitizer. */
            blocks[t] = malloc(len[t]);
            assert_non_null(blocks[t]);
            memcpy(blocks[t], parts[t], len[t]);
            turns[t] = (struct span){blocks[t], len[t]};
        }
        (void)resolve_turn(turns, 3, &out, &why);
        for (size_t t = 0; t < 3; t++)
            free(blocks[t]);
    }
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_resolved),
        cmocka_unit_test(reasons_are_listed),
        cmocka_unit_test(any_bytes_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
