#include "cache/explain.h"

#include "cache/guard_pair.h"

void explain_pair(struct span a, struct span b, float similarity, struct explanation *out)
{
    struct guard_outcome unguarded;

    guard_text_read(a, &out->a);
    guard_text_read(b, &out->b);
    guard_explain(&out->a, &out->b, &out->outcome, out->guards);
    unguarded = out->outcome;
    unguarded.doubt = 0;
    out->unguarded = decision_probability(similarity, &unguarded);
}

bool explain_next_word(const struct guard_text *t, size_t *at, struct span *word)
{
    while (*at < t->count) {
        const struct guard_word *w = &t->words[(*at)++];

        if (guard_pair_own(w)) {
            *word = w->raw;
            return true;
        }
    }
    return false;
}

static void write_words(struct json_writer *w, const char *name, const struct guard_text *t)
{
    struct span word;
    size_t at = 0;

    json_writer_open(w, name, '[');
    while (explain_next_word(t, &at, &word))
        json_writer_text(w, NULL, word);
    json_writer_close(w, ']');
}

void explain_write(struct json_writer *w, const struct explanation *e, bool words)
{
    json_writer_real(w, "overlap", e->outcome.overlap);
    json_writer_real(w, "common", e->outcome.common);
    json_writer_real(w, "stops", e->outcome.stops);
    json_writer_real(w, "exchanged", e->outcome.exchanged);
    json_writer_u64(w, "respelled", e->outcome.respelled);
    json_writer_bool(w, "bare", e->outcome.bare);
    json_writer_u64(w, "words", e->outcome.words);
    json_writer_bool(w, "names", e->outcome.names);
    json_writer_bool(w, "substituted", e->outcome.substituted);
    json_writer_bool(w, "added", e->outcome.added);
    json_writer_bool(w, "reworded", e->outcome.reworded);
    json_writer_bool(w, "trouble", e->outcome.trouble);
    json_writer_real(w, "unguarded", e->unguarded);
    json_writer_open(w, "guards", '{');
    for (size_t i = 0; i < GUARD_COUNT; i++)
        json_writer_text(w, e->guards[i].name,
                         span_of(guard_verdict_name(e->guards[i].verdict)));
    json_writer_close(w, '}');
    if (!words)
        return;
    write_words(w, "only_a", &e->a);
    write_words(w, "only_b", &e->b);
}
