#include "engine/tokenizer/wordpiece_gguf.h"

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/gguf.h"
#include "engine/tokenizer/vocabulary.h"
#include "engine/tokenizer/wordpiece.h"

#define MARK     "\xe2\x96\x81" /* U+2581 */
#define MARK_LEN 3

static struct wordpiece_piece piece_of(const struct vocabulary *words, uint32_t id)
{
    struct span text = words->texts[id];

    if (words->types[id] == TOKEN_UNUSED)
        return (struct wordpiece_piece){{"", 0}, id, WORDPIECE_FIRST};
    if (words->types[id] == TOKEN_CONTROL || words->types[id] == TOKEN_USER ||
        words->types[id] == TOKEN_UNKNOWN)
        return (struct wordpiece_piece){text, id, WORDPIECE_SPECIAL};
    if (text.len >= MARK_LEN && memcmp(text.ptr, MARK, MARK_LEN) == 0)
        return (struct wordpiece_piece){
            {text.ptr + MARK_LEN, text.len - MARK_LEN}, id, WORDPIECE_FIRST};
    return (struct wordpiece_piece){text, id, WORDPIECE_NEXT};
}

static enum status read_options(const struct gguf *g, struct wordpiece_options *o,
                                struct engine_error *err)
{
    static const char lower[] = "tokenizer.ggml.normalizer.lowercase";
    static const char accents[] = "tokenizer.ggml.normalizer.strip_accents";
    bool strip;

    o->lowercase = true;
    if (gguf_find(g, lower) != NULL && !gguf_bool(g, lower, &o->lowercase))
        return error_set(err, ST_INVALID, "%s is no truth value", lower);
    strip = o->lowercase;
    if ((gguf_find(g, accents) != NULL && !gguf_bool(g, accents, &strip)) ||
        strip != o->lowercase)
        return error_set(err, ST_INVALID,
                         "%s: only a tokenizer that takes accents off where it lowers is "
                         "supported",
                         accents);
    return ST_OK;
}

enum status wordpiece_gguf_open(const struct gguf *g, struct wordpiece **out,
                                struct engine_error *err)
{
    struct wordpiece_options o = {.bare = false};
    struct wordpiece_piece *pieces = NULL;
    struct vocabulary words = {.size = 0};
    enum status st = read_options(g, &o, err);

    if (st == ST_OK)
        st = vocabulary_read(&words, g, err);
    if (st == ST_OK) {
        pieces = calloc((size_t)words.size + 1, sizeof(*pieces));
        if (pieces == NULL)
            st = error_set(err, ST_NOMEM, "out of memory");
    }
    for (uint32_t id = 0; st == ST_OK && id < words.size; id++)
        pieces[id] = piece_of(&words, id);
    if (st == ST_OK)
        st = wordpiece_open(pieces, words.size, words.size, &o, out, err);
    free(pieces);
    vocabulary_release(&words);
    return st;
}
