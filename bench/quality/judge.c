/* Says of pairs what the guards say, and what they have in common:
 *
 *     judge VECTORS pairs < PAIRS.tsv       rows 0 and 1 are a pair, 2 and 3, …; the
 *                                           label of the first says "1" when they are the same
 *     judge VECTORS FROM < TEXTS.tsv        every pair of texts with a cosine above FROM;
 *                                           the same when their labels are
 *
 * Prints a line a pair: same, cosine, probability (guards left out),
 * reason, overlap, exchanged words, respelled numbers, bare, words, names,
 * substituted, added (cache/guard.h), probability with the guards, common, stops, trouble,
 * reworded, then the two texts when a third argument "texts" is given; "strangers": as among
 * those (the first of a pair is asked, the second stored). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/decision.h"
#include "cache/guard.h"
#include "rows.h"

static bool with_texts, strangers;

static void print_text(const char *s)
{
    putchar('\t');
    for (; *s != '\0'; s++) {
        if (*s == '\n')
            fputs("\\n", stdout);
        else
            putchar(*s);
    }
}

static void judge(const struct row *a, const struct row *b, bool same)
{
    const struct decision_policy any = {.threshold = 0, .floor = -2, .strangers = strangers};
    struct decision_candidate c = {.similarity = rows_cosine(a, b),
                                   .question = span_of(b->text)};
    struct guard_outcome g, unguarded;
    struct decision d;

    decision_make(span_of(a->text), &c, 1, &any, &d);
    guard_check(span_of(a->text), span_of(b->text), &g);
    unguarded = g;
    unguarded.doubt = 0;
    printf("%d\t%.5f\t%.5f\t%s\t%.5f\t%.5f\t%u\t%d\t%u\t%d\t%d\t%d\t%.5f\t%.5f\t%.5f\t%d\t%d",
           same, (double)c.similarity, decision_probability(c.similarity, &unguarded), d.reason,
           g.overlap, g.exchanged, g.respelled, g.bare, g.words, g.names, g.substituted,
           g.added, decision_probability(c.similarity, &g), g.common, g.stops, g.trouble,
           g.reworded);
    if (with_texts) {
        print_text(a->text);
        print_text(b->text);
    }
    printf("\n");
}

static void judge_clusters(const struct rows *r, double from)
{
    for (size_t i = 0; i < r->count; i++) {
        for (size_t j = i + 1; j < r->count; j++) {
            const struct row *a = &r->row[i], *b = &r->row[j];

            if (a->same != b->same && (double)rows_cosine(a, b) >= from)
                judge(a, b, strcmp(a->label, b->label) == 0);
        }
    }
}

int main(int argc, char **argv)
{
    struct rows r;

    if (argc < 3) {
        fprintf(stderr, "usage: judge VECTORS pairs|FROM [texts] < TEXTS.tsv\n");
        return 2;
    }
    strangers = argc > 3 && strcmp(argv[3], "strangers") == 0;
    with_texts = argc > 3 && strcmp(argv[3], "texts") == 0;
    rows_read(argv[1], &r);
    if (strcmp(argv[2], "pairs") != 0) {
        judge_clusters(&r, strtod(argv[2], NULL));
        return 0;
    }
    for (size_t i = 0; i + 1 < r.count; i += 2)
        judge(&r.row[i], &r.row[i + 1], r.row[i].label[0] == '1');
    return 0;
}
