/* Token ids of texts, for the quality bench:
 *
 *     tokenize_lines FILE.gguf|FILE.json < TEXTS > IDS
 *
 * A line is a text, as a JSON string; its ids go out as a line of numbers. The GGUF file needs
 * a tokenizer and nothing else; the other one is an encoder's tokenizer.json. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "engine/file.h"
#include "engine/gguf.h"
#include "engine/tokenizer/encoder_tokens.h"
#include "engine/tokenizer/tokenizer.h"

#define IDS_MAX 65536

struct opened {
    struct file file;
    struct arena arena;
    struct tokenizer *decoder; /* one of them */
    struct encoder_tokens *encoder;
};

static void stop_with(const char *what)
{
    fprintf(stderr, "tokenize_lines: %s\n", what);
    exit(1);
}

static void open_file(struct opened *o, const char *path, bool encoder)
{
    bool is_json = strlen(path) > 5 && strcmp(path + strlen(path) - 5, ".json") == 0;
    struct engine_error why;
    struct gguf g;
    enum status st = file_read(path, 0, &o->file, &why);

    arena_init(&o->arena, 65536, 1 << 30);
    if (st == ST_OK && is_json)
        st = encoder_tokens_open(o->file.bytes, false, 0, &o->encoder, &why);
    else if (st == ST_OK)
        st = gguf_read(o->file.bytes, &o->arena, &g, &why);
    if (st == ST_OK && !is_json && encoder)
        st = encoder_tokens_open_gguf(&g, &o->encoder, &why);
    else if (st == ST_OK && !is_json)
        st = tokenizer_open(&g, &o->decoder, &why);
    if (st != ST_OK)
        stop_with(why.text);
}

static void close_file(struct opened *o)
{
    if (o->decoder != NULL)
        tokenizer_close(o->decoder);
    if (o->encoder != NULL)
        encoder_tokens_close(o->encoder);
    arena_release(&o->arena);
    file_release(&o->file);
}

static void tokenize(const struct opened *o, struct span text)
{
    static uint32_t ids[IDS_MAX];
    size_t n = 0;
    enum status st = o->encoder != NULL
                         ? encoder_tokens_encode(o->encoder, text, ids, IDS_MAX, IDS_MAX, &n)
                         : tokenizer_encode(o->decoder, text, false, ids, IDS_MAX, IDS_MAX, &n);

    if (st != ST_OK)
        stop_with("a text is too long");
    for (size_t i = 0; i < n; i++)
        printf(i + 1 < n ? "%u " : "%u", ids[i]);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct opened o = {.decoder = NULL};
    struct arena scratch;
    char *line = NULL;
    size_t cap = 0;

    if (argc != 2 && (argc != 3 || strcmp(argv[2], "encoder") != 0)) {
        fprintf(stderr, "usage: tokenize_lines FILE.gguf|FILE.json [encoder] < TEXTS > IDS\n");
        return 2;
    }
    open_file(&o, argv[1], argc == 3);
    arena_init(&scratch, 65536, 1 << 30);
    while (getline(&line, &cap, stdin) > 0) {
        struct json_error broken;
        struct json *v;

        line[strcspn(line, "\n")] = '\0';
        if (json_parse(&scratch, span_of(line), 1, &v, &broken) != ST_OK ||
            v->type != JSON_STRING)
            stop_with("a line is no JSON string");
        tokenize(&o, v->text);
        arena_reset(&scratch);
    }
    free(line);
    arena_release(&scratch);
    close_file(&o);
    return 0;
}
