/* A classifier's file may come from anywhere: what is taken judges any text with finite
 * numbers, and is the same when it is written and read again. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "router/classifier_file.h"

static const float vector[CLASSIFIER_DIMENSIONS_MAX] = {0.5f, -0.5f};

static void judge(const struct classifier *c, struct span text)
{
    double f[FEATURES_COUNT];

    features_of(text, f);
    for (int with = 0; with < 2; with++) {
        struct classifier_verdict v = classifier_judge(c, with ? vector : NULL, f);

        if (!(v.enough >= 0 && v.enough <= 1 && v.loss >= -1 && v.loss <= 1))
            abort();
    }
    if (isnan(classifier_line_for_share(c, 0.3)) || isnan(classifier_line_for_quality(c, 0.1)))
        abort();
}

static void write_again(const struct classifier *c)
{
    struct classifier again;
    struct buf text;
    char why[160];

    buf_init(&text, CLASSIFIER_FILE_MAX_BYTES);
    if (classifier_file_write(c, NULL, 0, &text) != ST_OK ||
        classifier_file_read(buf_span(&text), &again, why, sizeof(why)) != ST_OK)
        abort();
    classifier_release(&again);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct classifier_example *e;
    struct classifier c;
    struct arena arena;
    char why[160];
    size_t count;

    if (classifier_file_read(text, &c, why, sizeof(why)) != ST_OK)
        return 0;
    judge(&c, text);
    write_again(&c);
    arena_init(&arena, 4096, (size_t)1 << 24);
    (void)!classifier_file_examples(text, c.dimensions, &arena, &e, &count);
    arena_release(&arena);
    classifier_release(&c);
    return 0;
}
