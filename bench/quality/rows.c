#include "rows.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const char *why, const char *what)
{
    fprintf(stderr, "%s '%s'\n", why, what);
    exit(1);
}

static float *read_vectors(const char *path, size_t *count)
{
    FILE *f = fopen(path, "rb");
    float *v;
    long bytes;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (bytes = ftell(f)) <= 0)
        die("cannot read", path);
    rewind(f);
    v = malloc((size_t)bytes);
    if (v == NULL || fread(v, 1, (size_t)bytes, f) != (size_t)bytes)
        die("cannot read", path);
    fclose(f);
    *count = (size_t)bytes / (ROWS_DIMS * sizeof(*v));
    return v;
}

static char *copy(const char *s)
{
    char *c = strdup(s), *to = c;

    if (c == NULL)
        die("no memory for", s);
    for (const char *from = c; *from != '\0'; from++) {
        bool newline = from[0] == '\\' && from[1] == 'n';

        *to++ = newline ? '\n' : *from;
        from += newline;
    }
    *to = '\0';
    return c;
}

static int by_text(const void *x, const void *y)
{
    const struct row *const *a = x, *const *b = y;
    int order = strcmp((*a)->text, (*b)->text);

    return order != 0 ? order : (*a > *b) - (*a < *b);
}

static void find_same(struct rows *r)
{
    struct row **sorted = malloc((r->count + 1) * sizeof(struct row *));

    if (sorted == NULL)
        die("no memory for", "sorting");
    for (size_t i = 0; i < r->count; i++)
        sorted[i] = &r->row[i];
    qsort(sorted, r->count, sizeof(struct row *), by_text);
    for (size_t i = 0; i < r->count; i++) {
        bool repeats = i > 0 && strcmp(sorted[i]->text, sorted[i - 1]->text) == 0;

        sorted[i]->same = repeats ? sorted[i - 1]->same : (size_t)(sorted[i] - r->row);
    }
    free(sorted);
}

void rows_read(const char *path, struct rows *out)
{
    size_t cap = 0, room = 0, have;
    char *line = NULL;

    *out = (struct rows){.vectors = read_vectors(path, &have)};
    while (getline(&line, &cap, stdin) > 0) {
        char *tab = strchr(line, '\t');

        line[strcspn(line, "\n")] = '\0';
        if (tab == NULL || out->count == have)
            die("no tab, or no vector, for line", line);
        *tab = '\0';
        if (out->count == room) {
            room = room * 2 + 1024;
            out->row = realloc(out->row, room * sizeof(*out->row));
            if (out->row == NULL)
                die("no memory for", line);
        }
        out->row[out->count] =
            (struct row){copy(line), copy(tab + 1), out->vectors + out->count * ROWS_DIMS, 0};
        out->count++;
    }
    free(line);
    find_same(out);
}

float rows_cosine(const struct row *a, const struct row *b)
{
    float part[16] = {0}, sum = 0;

    for (size_t i = 0; i < ROWS_DIMS; i += 16) {
        for (size_t j = 0; j < 16; j++)
            part[j] += a->vector[i + j] * b->vector[i + j];
    }
    for (size_t j = 0; j < 16; j++)
        sum += part[j];
    return sum;
}
