/* RapidJSON's SAX reader makes the tree. It works in situ on a copy in the arena, so
 * strings and numbers are where they were, decoded, and nothing is copied twice.
 * Numbers come as text. Depth and duplicate keys are ours to see to. */
#include <cstdint>

extern "C" {
#include "base/json.h"
#include "base/unicode.h"
}

#include <cstdio>
#include <cstdlib>
#include <cstring>

#define RAPIDJSON_SSE42
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

namespace
{

/* Up to here comparing each with each is cheaper than sorting. */
constexpr uint32_t few_members = 12;

struct level {
    struct json *value;
    struct json *last; /* newest member */
};

int by_key(const void *a, const void *b)
{
    const struct json *x = *static_cast<struct json *const *>(a);
    const struct json *y = *static_cast<struct json *const *>(b);
    size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int order = n > 0 ? std::memcmp(x->key.ptr, y->key.ptr, n) : 0;

    return order != 0 ? order : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

class builder
{
  public:
    builder(struct arena *arena_, const char *text_, unsigned depth_max_)
        : arena(arena_), text(text_), depth_max(depth_max_)
    {
    }

    struct json *root = nullptr;
    enum status status = ST_OK;
    struct span duplicate = {nullptr, 0};
    bool lone_surrogate = false;

    bool Null() { return add(JSON_NULL, {nullptr, 0}) != nullptr; }
    bool Bool(bool b) { return add(b ? JSON_TRUE : JSON_FALSE, {nullptr, 0}) != nullptr; }
    bool RawNumber(const char *s, rapidjson::SizeType n, bool)
    {
        return add(JSON_NUMBER, {s, n}) != nullptr;
    }
    bool String(const char *s, rapidjson::SizeType n, bool)
    {
        return is_text(s, n) && add(JSON_STRING, {s, n}) != nullptr;
    }
    bool Key(const char *s, rapidjson::SizeType n, bool)
    {
        key = {s, n};
        return is_text(s, n);
    }
    bool StartObject() { return open(JSON_OBJECT); }
    bool StartArray() { return open(JSON_ARRAY); }
    bool EndArray(rapidjson::SizeType)
    {
        depth--;
        return true;
    }
    bool EndObject(rapidjson::SizeType)
    {
        depth--;
        return keys_are_unique(levels[depth].value);
    }
    /* Not called with numbers as text. */
    bool Int(int) { return false; }
    bool Uint(unsigned) { return false; }
    bool Int64(int64_t) { return false; }
    bool Uint64(uint64_t) { return false; }
    bool Double(double) { return false; }

  private:
    struct arena *arena;
    const char *text; /* what is parsed, in situ */
    unsigned depth_max;
    unsigned depth = 0;
    struct span key = {nullptr, 0};
    struct level levels[JSON_DEPTH_MAX];

    /* The reader refuses the first half of a surrogate pair without its second, but takes a
     * second one alone and makes of it what is not UTF-8: two such texts would
     * be written alike. */
    bool is_text(const char *s, size_t n)
    {
        const char *end = s + n, *at = s;

        while ((at = static_cast<const char *>(
                    std::memchr(at, 0xed, static_cast<size_t>(end - at)))) != nullptr) {
            /* What is behind a string is there to be read: the reader ends it with a NUL. */
            if (static_cast<unsigned char>(*++at) < 0xa0)
                continue;
            status = ST_INVALID;
            lone_surrogate = true;
            return false;
        }
        return true;
    }

    struct json *add(enum json_type type, struct span of)
    {
        void *p = arena_alloc(arena, sizeof(struct json), alignof(struct json));
        auto *v = static_cast<struct json *>(p);

        if (v == nullptr) {
            status = ST_LIMIT;
            return nullptr;
        }
        *v = {type,
              0,
              key,
              of,
              of.ptr != nullptr ? static_cast<size_t>(of.ptr - text) : 0,
              nullptr,
              nullptr};
        if (depth == 0) {
            root = v;
            return v;
        }
        struct level *l = &levels[depth - 1];
        if (l->value->type == JSON_ARRAY)
            v->key = {nullptr, 0};
        (l->last == nullptr ? l->value->child : l->last->next) = v;
        l->last = v;
        l->value->count++;
        return v;
    }

    bool open(enum json_type type)
    {
        if (depth >= depth_max) {
            status = ST_LIMIT;
            return false;
        }
        struct json *v = add(type, {nullptr, 0});
        if (v == nullptr)
            return false;
        levels[depth++] = {v, nullptr};
        return true;
    }

    bool fail_duplicate(struct span name)
    {
        duplicate = name;
        status = ST_INVALID;
        return false;
    }

    bool keys_are_unique(struct json *object)
    {
        if (object->count > few_members)
            return many_keys_are_unique(object);
        for (struct json *a = object->child; a != nullptr; a = a->next) {
            for (struct json *b = a->next; b != nullptr; b = b->next) {
                if (span_eq(a->key, b->key))
                    return fail_duplicate(a->key);
            }
        }
        return true;
    }

    bool many_keys_are_unique(struct json *object)
    {
        auto **list = static_cast<struct json **>(std::malloc(object->count * sizeof(void *)));
        uint32_t n = 0;
        bool ok = true;

        if (list == nullptr) {
            status = ST_NOMEM;
            return false;
        }
        for (struct json *v = object->child; v != nullptr; v = v->next)
            list[n++] = v;
        std::qsort(list, n, sizeof(*list), by_key);
        for (uint32_t i = 1; ok && i < n; i++)
            ok = !span_eq(list[i - 1]->key, list[i]->key) || fail_duplicate(list[i]->key);
        std::free(list);
        return ok;
    }
};

enum status explain(const builder &b, const rapidjson::ParseResult &r, unsigned depth_max,
                    struct json_error *err)
{
    enum status st = b.status != ST_OK ? b.status : ST_INVALID;

    err->offset = r.Offset();
    if (b.duplicate.ptr != nullptr)
        std::snprintf(err->text, sizeof(err->text), "duplicate key '%.*s'",
                      static_cast<int>(b.duplicate.len < 64 ? b.duplicate.len : 64),
                      b.duplicate.ptr);
    else if (st == ST_LIMIT)
        std::snprintf(err->text, sizeof(err->text),
                      "nested deeper than %u levels, or too large", depth_max);
    else if (st == ST_NOMEM)
        std::snprintf(err->text, sizeof(err->text), "out of memory");
    else if (b.lone_surrogate)
        std::snprintf(err->text, sizeof(err->text),
                      "broken JSON at byte %zu: half of a surrogate pair", r.Offset());
    else
        std::snprintf(err->text, sizeof(err->text), "broken JSON at byte %zu: %s", r.Offset(),
                      rapidjson::GetParseError_En(r.Code()));
    return st;
}

/* JSON has no control characters but tab, CR and LF between values (RFC 8259 2 and 7). The
 * reader takes 0x1a to 0x1f in a string where it looks at sixteen bytes at once, and a NUL for
 * the end of its input. Returns where the first of them is, or the length. */
size_t plain_prefix(struct span text)
{
    auto is_plain = [](unsigned char c) {
        return static_cast<unsigned>(c >= 0x20) | (c == '\t') | (c == '\n') | (c == '\r');
    };
    unsigned all = 1;
    size_t at = 0;

    for (size_t i = 0; i < text.len; i++)
        all &= is_plain(static_cast<unsigned char>(text.ptr[i]));
    if (all != 0)
        return text.len;
    while (is_plain(static_cast<unsigned char>(text.ptr[at])) != 0)
        at++;
    return at;
}

} // namespace

extern "C" enum status json_parse(struct arena *arena, struct span text, unsigned depth_max,
                                  struct json **out, struct json_error *err)
{
    /* The encoding is checked before, all at once: the reader would do it byte by byte. */
    constexpr unsigned flags =
        rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag;
    size_t valid = unicode_valid_prefix(text);
    /* 16 bytes beyond the end: the reader looks ahead in steps of that size. */
    auto *copy = static_cast<char *>(
        text.len < SIZE_MAX - 32 ? arena_alloc(arena, text.len + 32, 16) : nullptr);

    err->offset = 0;
    err->text[0] = '\0';
    if (copy == nullptr) {
        std::snprintf(err->text, sizeof(err->text), "out of memory");
        return ST_NOMEM;
    }
    size_t plain = plain_prefix(text);
    if (plain != text.len) {
        err->offset = plain;
        std::snprintf(err->text, sizeof(err->text),
                      "broken JSON at byte %zu: a control character", plain);
        return ST_INVALID;
    }
    if (valid != text.len) {
        err->offset = valid;
        std::snprintf(err->text, sizeof(err->text), "broken JSON at byte %zu: not UTF-8",
                      valid);
        return ST_INVALID;
    }
    if (text.len > 0)
        std::memcpy(copy, text.ptr, text.len);
    std::memset(copy + text.len, 0, 32);

    builder b(arena, copy, depth_max);
    rapidjson::InsituStringStream stream(copy);
    rapidjson::Reader reader;
    rapidjson::ParseResult r = reader.Parse<flags>(stream, b);

    if (r.IsError())
        return explain(b, r, depth_max, err);
    *out = b.root;
    return ST_OK;
}
