/* Two questions, separated by the first line end: any bytes are read within bounds, the
 * verdict does not depend on who came first, but for the guard that is about it, and a question
 * is never refused for itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache/decision.h"
#include "cache/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

/* A copy of its own, so that a read beyond the end is seen. */
static struct span copy(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size > 0 ? size : 1);

    must(bytes != NULL);
    if (size > 0)
        memcpy(bytes, data, size);
    return (struct span){bytes, size};
}

static void check(struct span a, struct span b, struct guard_outcome *out)
{
    double p;

    guard_check(a, b, out);
    must(out->overlap >= 0 && out->overlap <= 1 + 1e-9 && out->exchanged >= 0);
    p = decision_probability(1, out);
    must(p >= 0 && p <= 1);
}

/* Only the stored question's own sentences count. */
static bool is_directed(const struct guard_outcome *o)
{
    return o->fired != NULL && strcmp(o->fired, "extra") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t first = end != NULL ? (size_t)(end - data) : size;
    struct guard_outcome there, back, same;
    struct guard_text text;
    struct span a, b;

    if (size > 65536)
        return 0;
    a = copy(data, first);
    b = end != NULL ? copy(end + 1, size - first - 1) : copy(data, 0);
    check(a, b, &there);
    check(b, a, &back);
    must((there.fired == NULL) == (back.fired == NULL) || is_directed(&there) ||
         is_directed(&back));
    guard_text_read(a, &text);
    guard_check_read(&text, a, &same);
    must(same.fired == NULL && same.exchanged <= 1e-9);
    free((void *)(uintptr_t)a.ptr);
    free((void *)(uintptr_t)b.ptr);
    return 0;
}
