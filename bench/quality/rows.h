/* What the tools of the quality bench read: texts with a label, and their vectors. */
#ifndef BENCH_QUALITY_ROWS_H
#define BENCH_QUALITY_ROWS_H

#include <stddef.h>

#define ROWS_DIMS 384

struct row {
    char *label; /* owned: what stands before the first tab of its line */
    char *text;  /* owned: what stands behind it, "\n" undone */
    const float *vector;
    size_t same; /* the first row with this very text */
};

struct rows {
    struct row *row;
    size_t count;
    float *vectors; /* owned */
};

/* Lines of standard input beside the vectors of `path`, as embed_lines writes them.
 * Ends the program when they do not fit together. */
void rows_read(const char *path, struct rows *out);

float rows_cosine(const struct row *a, const struct row *b);

#endif
