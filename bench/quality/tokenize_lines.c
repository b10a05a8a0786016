/* Token ids of texts, for the quality bench:
 *
 *     tokenize_lines FILE.gguf < TEXTS > IDS
 *
 * A line is a text, as a JSON string; its ids go out as a line of numbers. The file needs a
 * tokenizer and nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/file.h"
#include "engine/gguf.h"
#include "engine/tokenizer/tokenizer.h"

#define IDS_MAX 65536

static void stop_with(const char *what)
{
    fprintf(stderr, "tokenize_lines: %s\n", what);
    exit(1);
}

static void tokenize(const struct tokenizer *t, struct span text)
{
    static uint32_t ids[IDS_MAX];
    size_t n = 0;

    if (tokenizer_encode(t, text, false, ids, IDS_MAX, IDS_MAX, &n) != ST_OK)
        stop_with("a text is too long");
    for (size_t i = 0; i < n; i++)
        printf(i + 1 < n ? "%u " : "%u", ids[i]);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct arena keys, scratch;
    struct engine_error why;
    struct tokenizer *t;
    struct file file;
    struct gguf g;
    char *line = NULL;
    size_t cap = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: tokenize_lines FILE.gguf < TEXTS > IDS\n");
        return 2;
    }
    arena_init(&keys, 65536, 1 << 30);
    arena_init(&scratch, 65536, 1 << 30);
    if (file_read(argv[1], 0, &file, &why) != ST_OK ||
        gguf_read(file.bytes, &keys, &g, &why) != ST_OK ||
        tokenizer_open(&g, &t, &why) != ST_OK)
        stop_with(why.text);
    while (getline(&line, &cap, stdin) > 0) {
        struct json_error broken;
        struct json *v;

        line[strcspn(line, "\n")] = '\0';
        if (json_parse(&scratch, span_of(line), 1, &v, &broken) != ST_OK ||
            v->type != JSON_STRING)
            stop_with("a line is no JSON string");
        tokenize(t, v->text);
        arena_reset(&scratch);
    }
    free(line);
    tokenizer_close(t);
    arena_release(&scratch);
    arena_release(&keys);
    file_release(&file);
    return 0;
}
