/* A schema, a zero byte, and bytes that choose: a schema that is taken has texts, and from
 * wherever one comes that the bytes chose there is an end, which is JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/schema/schema.h"

#define LIMIT     (16u << 20)
#define STEPS_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

/* The byte that `choice` stands for among those that may follow; false: none may. */
static bool choose(struct schema_walk *w, uint8_t choice, char *out)
{
    char may[256];
    size_t n = 0;

    for (unsigned b = 0; b < 256; b++) {
        char c = (char)b;

        if (schema_walk_may(w, (struct span){&c, 1}))
            may[n++] = c;
    }
    if (n > 0)
        *out = may[choice % n];
    return n > 0;
}

static void check_text(struct span text)
{
    struct arena arena;
    struct json *json;
    struct json_error err;

    arena_init(&arena, 4096, LIMIT);
    /* A key of any name may come twice. */
    must(json_parse(&arena, text, JSON_DEPTH_MAX, &json, &err) == ST_OK ||
         strstr(err.text, "duplicate") != NULL);
    arena_release(&arena);
}

static void write_by(const struct schema *s, const uint8_t *choices, size_t n)
{
    struct schema_walk *w;
    struct buf text;
    size_t from;

    buf_init(&text, LIMIT);
    must(schema_walk_open(s, &w) == ST_OK);
    for (size_t i = 0; i < n && i < STEPS_MAX && !schema_walk_must_end(w); i++) {
        char c;

        if (!choose(w, choices[i], &c)) {
            must(schema_walk_may_end(w));
            break;
        }
        schema_walk_go(w, (struct span){&c, 1});
        must(buf_append(&text, (struct span){&c, 1}) == ST_OK);
    }
    from = text.len;
    must(schema_walk_ending(w, &text) == ST_OK);
    if (text.len > from) {
        const struct span rest = {text.ptr + from, text.len - from};

        must(schema_walk_may(w, rest));
        schema_walk_go(w, rest);
    }
    must(schema_walk_may_end(w));
    check_text(buf_span(&text));
    schema_walk_close(w);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t n = zero != NULL ? (size_t)(zero - data) : size;
    struct schema_error why;
    struct json_error err;
    struct schema *s;
    struct arena arena;
    struct json *json;

    arena_init(&arena, 4096, LIMIT);
    if (json_parse(&arena, (struct span){(const char *)data, n}, 64, &json, &err) == ST_OK &&
        schema_open(json, &s, &why) == ST_OK) {
        write_by(s, data + n, size - n);
        schema_close(s);
    }
    arena_release(&arena);
    return 0;
}
