/* Turns lines into vectors, for the quality bench:
 *
 *     embed_lines MODEL_FOLDER < TEXTS > VECTORS
 *
 * A line is a text; "\n" in it is written as a backslash and an n. A row of `dimensions`
 * floats each; a text beyond the encoder's window, or not UTF-8, gets zeros. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

#define BATCH 64

struct batch {
    char *text[BATCH]; /* owned */
    struct span span[BATCH];
    size_t n;
};

static void unescape(char *s)
{
    char *to = s;

    for (const char *from = s; *from != '\0'; from++) {
        bool newline = from[0] == '\\' && from[1] == 'n';

        *to++ = newline ? '\n' : *from;
        from += newline;
    }
    *to = '\0';
}

static bool read_batch(struct batch *b)
{
    static char *line;
    static size_t cap;
    ssize_t len;

    b->n = 0;
    while (b->n < BATCH && (len = getline(&line, &cap, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        unescape(line);
        b->text[b->n] = strdup(line);
        if (b->text[b->n] == NULL)
            abort();
        b->span[b->n] = span_of(b->text[b->n]);
        b->n++;
    }
    return b->n > 0;
}

int main(int argc, char **argv)
{
    const struct encoder_options o = {.precision = ENCODER_INT8};
    const struct engine_stop never = {NULL, NULL};
    struct engine_error why;
    struct encoder_session *s;
    struct encoder *e;
    struct model_info info;
    struct batch b;
    float *out;

    if (argc != 2 || encoder_open(argv[1], &o, &e, &why) != ST_OK) {
        fprintf(stderr, "embed_lines: %s\n", argc != 2 ? "one model folder, please" : why.text);
        return 2;
    }
    encoder_info(e, &info);
    out = calloc(BATCH * (size_t)info.dimensions, sizeof(*out));
    if (out == NULL || encoder_session_open(e, &s) != ST_OK)
        return 1;
    while (read_batch(&b)) {
        enum status each[BATCH];

        memset(out, 0, BATCH * (size_t)info.dimensions * sizeof(*out));
        if (encoder_embed(s, b.span, b.n, out, each, never) != ST_OK)
            return 1;
        fwrite(out, sizeof(*out) * info.dimensions, b.n, stdout);
        for (size_t i = 0; i < b.n; i++)
            free(b.text[i]);
    }
    encoder_session_close(s);
    encoder_close(e);
    free(out);
    return 0;
}
