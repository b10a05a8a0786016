/* A tokenizer.json up to the first NUL, then a text. Without '{' at the front all of it is
 * text, for a vocabulary that is known to be good. */
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "engine/tokenizer/wordpiece.h"
#include "fuzz/measure.h"

#define TAKEN_FIXED  (4u << 20)
#define TAKEN_FACTOR 64

#define IDS_MAX 64

static const char good[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[UNK]\"},{\"id\":2,\"content\":\"[CLS]\"},"
    "{\"id\":3,\"content\":\"[SEP]\"}],\"normalizer\":{\"type\":\"BertNormalizer\","
    "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
    "\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\"},\"model\":{\"type\":\"WordPiece\","
    "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,"
    "\"[SEP]\":3,\"a\":4,\"##a\":5,\"ab\":6,\"##ab\":7,\".\":8,\"\xe4\xb8\x80\":9,"
    "\"##\xc3\xa9\":10}}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good_)
{
    if (!good_)
        abort();
}

static void check_encode(const struct wordpiece *w, struct span text)
{
    uint32_t ids[IDS_MAX], first[1];
    size_t count, same, none = 0;

    if (wordpiece_encode(w, text, ids, IDS_MAX, SIZE_MAX, &count) != ST_OK) {
        must(!unicode_valid(text));
        return;
    }
    must(unicode_valid(text) && count >= 2);
    for (size_t i = 0; i < count && i < IDS_MAX; i++)
        must(ids[i] < wordpiece_size(w));
    must(wordpiece_encode(w, text, first, 1, SIZE_MAX, &same) == ST_OK && same == count &&
         first[0] == ids[0]);
    must(wordpiece_encode(w, text, NULL, 0, count - 1, &none) == ST_LIMIT && none == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wordpiece *known;
    struct span json = {(const char *)data, size}, text = json;
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    struct engine_error why;
    struct wordpiece *w;
    enum status st;

    if (known == NULL)
        must(wordpiece_open(span_of(good), &known, &why) == ST_OK);
    if (size == 0 || data[0] != '{') {
        check_encode(known, text);
        return 0;
    }
    if (end != NULL)
        json.len = (size_t)(end - data);
    text = (struct span){json.ptr + json.len, size - json.len};
    if (text.len > 0)
        text = (struct span){text.ptr + 1, text.len - 1};
    measure_start();
    st = wordpiece_open(json, &w, &why);
    measure_end(TAKEN_FIXED + TAKEN_FACTOR * size);
    if (st != ST_OK)
        return 0;
    check_encode(w, text);
    wordpiece_close(w);
    return 0;
}
