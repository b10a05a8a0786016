/* A calibration may come from anywhere: what is taken judges any answer with a probability,
 * draws a line, and is the same when it is written and read again. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "router/cascade_file.h"

static void judge(const struct cascade *c, struct span text)
{
    struct signs_input in = {.tokens = 3,
                             .log_p = -2,
                             .question = text,
                             .answer = text,
                             .shown = &text,
                             .shown_count = 1};
    double signs[SIGNS_COUNT], sure;

    signs_of(&in, signs);
    sure = cascade_sure(c, signs);
    if (!(sure >= 0 && sure <= 1))
        abort();
    for (double loss = 0; loss <= 1; loss += 0.25) {
        double line = cascade_line(c, loss);

        if (!(line >= 0 && line <= 2))
            abort();
    }
}

static void write_again(const struct cascade *c)
{
    struct cascade again;
    struct buf text;
    char why[160];

    buf_init(&text, CASCADE_FILE_MAX_BYTES);
    if (cascade_file_write(c, &text) != ST_OK ||
        cascade_file_read(buf_span(&text), &again, why, sizeof(why)) != ST_OK)
        abort();
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct cascade c;
    char why[160];

    if (cascade_file_read(text, &c, why, sizeof(why)) != ST_OK)
        return 0;
    judge(&c, text);
    write_again(&c);
    return 0;
}
