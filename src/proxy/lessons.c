#include "proxy/lessons.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/json.h"
#include "engine/engine.h"
#include "proxy/examples.h"
#include "router/words.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define LESSONS_MAX    1024
/* Of question and answer: a longer one takes the place that the question at hand needs. */
#define LESSON_BYTES_MAX 1024
#define WORDS_MAX        128
#define LINE_DEPTH       8

/* One solved example. */
struct lesson {
    struct span question, answer;
    uint64_t words[WORDS_MAX]; /* hashes, each once */
    double weight[WORDS_MAX];  /* the rarer among the examples the more */
    size_t word_count;
    double length; /* of the weights, as a vector */
};

struct lessons {
    struct lesson *list; /* owned */
    size_t count;
    struct arena texts; /* owned */
};

static size_t read_words(struct span text, uint64_t out[WORDS_MAX])
{
    struct words w = words_of(text);
    struct span word;
    size_t n = 0;

    while (n < WORDS_MAX && (word = words_next(&w)).len > 0) {
        uint64_t h = hash_bytes(word, 0) >> 1; /* room for h + 1 */
        size_t i = 0;

        while (i < n && out[i] != h)
            i++;
        out[i] = h;
        n += i == n;
    }
    return n;
}

static bool has_word(const uint64_t *words, size_t n, uint64_t h)
{
    for (size_t i = 0; i < n; i++) {
        if (words[i] == h)
            return true;
    }
    return false;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The first place in a sorted list where something not below h stands. */
static size_t place_of(const uint64_t *list, size_t n, uint64_t h)
{
    size_t low = 0;

    while (low < n) {
        size_t mid = low + (n - low) / 2;

        if (list[mid] < h)
            low = mid + 1;
        else
            n = mid;
    }
    return low;
}

static void weigh_one(struct lesson *l, const uint64_t *all, size_t n, size_t lessons)
{
    double squares = 0;

    for (size_t k = 0; k < l->word_count; k++) {
        size_t in = place_of(all, n, l->words[k] + 1) - place_of(all, n, l->words[k]);

        l->weight[k] = log(1 + (double)lessons / (double)(in > 0 ? in : 1));
        squares += l->weight[k] * l->weight[k];
    }
    l->length = sqrt(squares);
}

/* Inverse document frequency (Sparck Jones 1972). */
static enum status weigh(struct lessons *p)
{
    uint64_t *all = malloc((p->count * WORDS_MAX + 1) * sizeof(*all));
    size_t n = 0;

    if (all == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < p->list[i].word_count; k++)
            all[n++] = p->list[i].words[k];
    }
    qsort(all, n, sizeof(*all), by_hash);
    for (size_t i = 0; i < p->count; i++)
        weigh_one(&p->list[i], all, n, p->count);
    free(all);
    return ST_OK;
}

/* NULL, or what is wrong with the line. */
static const char *take_lesson(struct lessons *p, const struct json *o)
{
    struct span question = json_str(json_get(o, SPAN("prompt")));
    struct span answer = json_str(json_get(o, SPAN("answer")));
    struct lesson *l;

    if (question.len == 0 || answer.len == 0)
        return "it needs 'prompt' and 'answer', both texts";
    if (question.len + answer.len > LESSON_BYTES_MAX)
        return "'prompt' and 'answer' are longer than 1024 bytes together";
    if (p->count == LESSONS_MAX)
        return "these are too many examples: 1024 at most";
    l = realloc(p->list, (p->count + 1) * sizeof(*l));
    if (l == NULL)
        return "out of memory";
    p->list = l;
    l += p->count;
    *l = (struct lesson){.word_count = 0};
    if (arena_copy(&p->texts, question, &l->question) != ST_OK ||
        arena_copy(&p->texts, answer, &l->answer) != ST_OK)
        return "out of memory";
    l->word_count = read_words(question, l->words);
    p->count++;
    return NULL;
}

static const char *take_line(struct lessons *p, struct span line)
{
    struct arena scratch;
    struct json_error err;
    const char *why = "it is no JSON object";
    struct json *o;

    arena_init(&scratch, 4096, FILE_BYTES_MAX * 8);
    if (json_parse(&scratch, line, LINE_DEPTH, &o, &err) == ST_OK && o->type == JSON_OBJECT)
        why = take_lesson(p, o);
    arena_release(&scratch);
    return why;
}

static bool is_blank(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r')
            return false;
    }
    return true;
}

static enum status take_lines(struct lessons *p, struct span text, char *why, size_t why_cap)
{
    unsigned number = 1;

    for (; text.len > 0; number++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t n = end != NULL ? (size_t)(end - text.ptr) : text.len;
        struct span line = {text.ptr, n};
        const char *wrong = is_blank(line) ? NULL : take_line(p, line);

        if (wrong != NULL) {
            snprintf(why, why_cap, "line %u: %s", number, wrong);
            return ST_INVALID;
        }
        n += end != NULL;
        text.ptr += n;
        text.len -= n;
    }
    return ST_OK;
}

enum status lessons_open(const char *path, struct lessons **out, char *why, size_t why_cap)
{
    struct lessons *l;
    struct buf text;
    char piece[4096];
    enum status st = ST_OK;
    size_t n;
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        snprintf(why, why_cap, "cannot read '%s': %s", path, strerror(errno));
        return ST_UNAVAILABLE;
    }
    l = calloc(1, sizeof(*l));
    buf_init(&text, FILE_BYTES_MAX);
    while (st == ST_OK && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        st = buf_append(&text, (struct span){piece, n});
    if (st != ST_OK || l == NULL) {
        snprintf(why, why_cap, "'%s' is larger than a megabyte", path);
        st = ST_LIMIT;
    } else {
        arena_init(&l->texts, 65536, 4 * FILE_BYTES_MAX);
        st = take_lines(l, buf_span(&text), why, why_cap);
    }
    buf_release(&text);
    fclose(f);
    if (st == ST_OK)
        st = weigh(l);
    if (st != ST_OK) {
        lessons_close(l);
        return st;
    }
    *out = l;
    return ST_OK;
}

void lessons_close(struct lessons *l)
{
    if (l == NULL)
        return;
    free(l->list);
    arena_release(&l->texts);
    free(l);
}

/* Cosine of the two as bags of weighted words; what no example has is not weighed. */
static double nearness(const struct lesson *l, const uint64_t *words, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < l->word_count; i++) {
        if (has_word(words, n, l->words[i]))
            sum += l->weight[i] * l->weight[i];
    }
    return l->length > 0 ? sum / l->length : 0;
}

size_t lessons_near(const struct lessons *p, struct span question, size_t want,
                    struct decoder_turn *turns)
{
    const struct lesson *best[EXAMPLES_MAX];
    double near[EXAMPLES_MAX];
    uint64_t words[WORDS_MAX];
    size_t n = 0, word_count;

    if (want == 0 || p == NULL)
        return 0;
    if (want > EXAMPLES_MAX)
        want = EXAMPLES_MAX;
    word_count = read_words(question, words);
    for (size_t i = 0; i < p->count; i++) {
        double d = nearness(&p->list[i], words, word_count);
        size_t at = n;

        while (at > 0 && near[at - 1] < d)
            at--;
        if (at >= want)
            continue;
        n += n < want;
        for (size_t k = n - 1; k > at; k--) {
            best[k] = best[k - 1];
            near[k] = near[k - 1];
        }
        best[at] = &p->list[i];
        near[at] = d;
    }
    for (size_t i = 0; i < n; i++) {
        turns[2 * i] = (struct decoder_turn){SPAN("user"), best[n - 1 - i]->question};
        turns[2 * i + 1] = (struct decoder_turn){SPAN("assistant"), best[n - 1 - i]->answer};
    }
    return 2 * n;
}
