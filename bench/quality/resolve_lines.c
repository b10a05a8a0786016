/* What becomes of the last turn of a conversation, for the quality bench:
 *
 *     resolve_lines < CONVERSATIONS > RESULTS
 *
 * A line is the turns of a user, between tabs; or with -c the same and behind them a proposal
 * for the last one. A line of the result: whole, made, open or never, a tab, the text or the
 * reason; with -c "fine", or the reason. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/resolve.h"
#include "cache/resolve_text.h"

#define TURNS 64

/* --- what a model proposes -------------------------------------------------------------------
 */

static bool says(const struct resolve_word *w)
{
    unsigned kind = resolve_text_kind(w);

    return (kind & RESOLVE_NOT) != 0 ||
           (kind & (RESOLVE_STOP | RESOLVE_IT | RESOLVE_THEY | RESOLVE_LEANS)) == 0;
}

static bool holds(const struct resolve_text *t, const struct resolve_word *w)
{
    for (size_t i = 0; i < t->count; i++) {
        if (resolve_text_same(&t->words[i], w))
            return true;
    }
    return false;
}

/* Words in a row that the turn has not: they stand so in a turn before. */
static bool is_copied(const struct span *turns, size_t n, const struct resolve_word *run,
                      size_t count)
{
    struct resolve_text before;

    for (size_t i = 0; i + 1 < n; i++) {
        if (resolve_text_read(turns[i], &before) &&
            resolve_text_find(&before, run, count) != SIZE_MAX)
            return true;
    }
    return false;
}

static const char *check(const struct span *turns, size_t n, struct span made)
{
    struct resolve_text t, m;
    size_t from = 0, added = 0;

    if (n < 2 || n > RESOLVE_TURNS_MAX || !resolve_text_read(turns[n - 1], &t) ||
        !resolve_text_read(made, &m))
        return "long";
    if (m.many)
        return "several";
    if (!resolve_text_is(&m.words[0], t.words[0].low))
        return "lost";
    if ((resolve_text_kinds(&m) & (RESOLVE_IT | RESOLVE_THEY | RESOLVE_LEANS)) != 0)
        return "leans";
    for (size_t i = 0; i < t.count; i++) {
        if (says(&t.words[i]) && !holds(&m, &t.words[i]))
            return "lost";
    }
    for (size_t i = 0; i <= m.count; i++) {
        bool fresh = i < m.count && says(&m.words[i]) && !holds(&t, &m.words[i]);

        if (fresh)
            continue;
        if (i > from && !is_copied(turns, n, &m.words[from], i - from))
            return "invented";
        added += i - from;
        from = i + 1;
    }
    return added > 0 ? NULL : "topic";
}

/* --- lines
 * ------------------------------------------------------------------------------------
 */

int main(int argc, char **argv)
{
    static const char *const names[] = {"whole", "made", "open", "never"};
    bool checks = argc > 1 && strcmp(argv[1], "-c") == 0;
    struct buf out;
    char *line = NULL;
    size_t cap = 0;

    buf_init(&out, RESOLVE_BYTES_MAX);
    while (getline(&line, &cap, stdin) > 0) {
        struct span turns[TURNS];
        const char *why;
        size_t n = 0;
        enum resolve is;

        line[strcspn(line, "\n")] = '\0';
        for (char *p = line; p != NULL && n < TURNS; n++) {
            char *tab = strchr(p, '\t');

            if (tab != NULL)
                *tab++ = '\0';
            turns[n] = span_of(p);
            p = tab;
        }
        if (checks) {
            why = n > 1 ? check(turns, n - 1, turns[n - 1]) : "form";
            puts(why == NULL ? "fine" : why);
            continue;
        }
        is = resolve_turn(turns, n, &out, &why);
        printf("%s\t", names[is]);
        if (is == RESOLVED_MADE)
            printf("%.*s\n", (int)out.len, out.ptr);
        else
            puts(is == RESOLVED_WHOLE ? "" : why);
    }
    buf_release(&out);
    free(line);
    return 0;
}
