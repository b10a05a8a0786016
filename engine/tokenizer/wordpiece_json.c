#include "engine/tokenizer/wordpiece_json.h"

#include <stdlib.h>

#include "base/json.h"
#include "engine/error.h"
#include "engine/tokenizer/wordpiece.h"

/* true when the member is there and true */
static bool is_set(const struct json *v, const char *name)
{
    bool set = false;

    return json_bool(json_get(v, span_of(name)), &set) && set;
}

static bool is_text(const struct json *v, const char *name, const char *want)
{
    return span_eq(json_str(json_get(v, span_of(name))), span_of(want));
}

static enum status check_normalizer(const struct json *norm, bool *lowercase,
                                    struct engine_error *err)
{
    const struct json *accents = json_get(norm, SPAN("strip_accents"));
    bool strip;

    *lowercase = is_set(norm, "lowercase");
    strip = *lowercase; /* when it is not said */
    (void)!json_bool(accents, &strip);
    if (!is_text(norm, "type", "BertNormalizer") || !is_set(norm, "clean_text") ||
        !is_set(norm, "handle_chinese_chars") || strip != *lowercase)
        return error_set(err, ST_INVALID,
                         "tokenizer.json: only a BertNormalizer that cleans, pads ideographs "
                         "and takes accents off where it lowers is supported");
    return ST_OK;
}

static enum status check_kinds(const struct json *root, struct wordpiece_options *o,
                               struct engine_error *err)
{
    const struct json *model = json_get(root, SPAN("model"));
    const struct json *after = json_get(root, SPAN("post_processor"));
    uint64_t chars = WORDPIECE_WORD_CHARS_MAX;

    if (!is_text(model, "type", "WordPiece"))
        return error_set(err, ST_INVALID, "tokenizer.json: only WordPiece is supported here");
    (void)!json_u64(json_get(model, SPAN("max_input_chars_per_word")), &chars);
    if (!is_text(model, "continuing_subword_prefix", "##") ||
        !is_text(model, "unk_token", "[UNK]") || chars != WORDPIECE_WORD_CHARS_MAX)
        return error_set(err, ST_INVALID,
                         "tokenizer.json: only '##', '[UNK]' and words of %d characters are "
                         "supported",
                         WORDPIECE_WORD_CHARS_MAX);
    if (!is_text(json_get(root, SPAN("pre_tokenizer")), "type", "BertPreTokenizer"))
        return error_set(err, ST_INVALID, "tokenizer.json: only BertPreTokenizer is supported");
    if (!o->bare && !is_text(after, "type", "TemplateProcessing") &&
        !is_text(after, "type", "BertProcessing"))
        return error_set(err, ST_INVALID, "tokenizer.json: only [CLS] text [SEP] is supported");
    return check_normalizer(json_get(root, SPAN("normalizer")), &o->lowercase, err);
}

static enum status read_vocab(const struct json *vocab, struct wordpiece_piece *out,
                              struct engine_error *err)
{
    for (const struct json *v = vocab->child; v != NULL; v = v->next, out++) {
        bool next = v->key.len > 2 && v->key.ptr[0] == '#' && v->key.ptr[1] == '#';
        uint64_t id;

        if (!json_u64(v, &id) || id >= vocab->count)
            return error_set(err, ST_INVALID,
                             "tokenizer.json: the id of '%.*s' is out of range",
                             (int)(v->key.len < 64 ? v->key.len : 64), v->key.ptr);
        *out = (struct wordpiece_piece){v->key, (uint32_t)id, WORDPIECE_FIRST};
        if (next)
            *out = (struct wordpiece_piece){
                {v->key.ptr + 2, v->key.len - 2}, (uint32_t)id, WORDPIECE_NEXT};
    }
    return ST_OK;
}

static enum status read_added(const struct json *added, uint32_t size,
                              struct wordpiece_piece *out, struct engine_error *err)
{
    for (const struct json *v = added != NULL ? added->child : NULL; v != NULL;
         v = v->next, out++) {
        struct span text = json_str(json_get(v, SPAN("content")));
        uint64_t id;

        if (text.len == 0 || !json_u64(json_get(v, SPAN("id")), &id) || id >= size)
            return error_set(err, ST_INVALID, "tokenizer.json: an added token is not usable");
        if (is_set(v, "single_word") || is_set(v, "lstrip") || is_set(v, "rstrip") ||
            is_set(v, "normalized"))
            return error_set(err, ST_INVALID,
                             "tokenizer.json: added token '%.*s' asks for more than an exact "
                             "match, which is not supported",
                             (int)(text.len < 64 ? text.len : 64), text.ptr);
        *out = (struct wordpiece_piece){text, (uint32_t)id, WORDPIECE_SPECIAL};
    }
    return ST_OK;
}

enum status wordpiece_json_open(const struct json *root, bool bare, struct wordpiece **out,
                                struct engine_error *err)
{
    const struct json *vocab = json_get(json_get(root, SPAN("model")), SPAN("vocab"));
    const struct json *added = json_get(root, SPAN("added_tokens"));
    struct wordpiece_options o = {.bare = bare};
    struct wordpiece_piece *pieces;
    enum status st = check_kinds(root, &o, err);
    size_t n;

    if (st != ST_OK)
        return st;
    if (vocab == NULL || vocab->type != JSON_OBJECT || vocab->count == 0 ||
        vocab->count > WORDPIECE_PIECES_MAX)
        return error_set(err, ST_INVALID, "tokenizer.json: no usable vocabulary");
    n = (size_t)vocab->count + (added != NULL ? added->count : 0);
    pieces = calloc(n, sizeof(*pieces));
    if (pieces == NULL)
        return error_set(err, ST_NOMEM, "tokenizer.json: out of memory");
    st = read_vocab(vocab, pieces, err);
    if (st == ST_OK)
        st = read_added(added, vocab->count, pieces + vocab->count, err);
    if (st == ST_OK)
        st = wordpiece_open(pieces, n, vocab->count, &o, out, err);
    free(pieces);
    return st;
}
