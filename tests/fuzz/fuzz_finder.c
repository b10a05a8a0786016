/* Any bytes: what is found lies within them, in order, none over another; the same once more.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/finder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct finder_pattern pattern = {"any", "[A-Z]{2}-\\d+"};
    static struct finder *f;
    const struct finder_options o = {(1u << PRIVACY_CLASSES) - 1, &pattern, 1};
    const struct find *list;
    char *text = malloc(size > 0 ? size : 1), why[128];
    size_t n = 0, end = 0, again;

    if (f == NULL && finder_open(&o, &f, why, sizeof(why)) != ST_OK)
        abort();
    if (text == NULL)
        return 0;
    /* A copy of its size, so that a byte beyond it is noticed. */
    if (size > 0)
        memcpy(text, data, size);
    if (finder_scan(f, (struct span){text, size}, &list, &n) == ST_OK) {
        for (size_t i = 0; i < n; i++) {
            assert(list[i].len > 0 && list[i].at >= end && list[i].len <= size - list[i].at);
            end = list[i].at + list[i].len;
        }
        if (finder_scan(f, (struct span){text, size}, &list, &again) != ST_OK || again != n)
            abort();
    }
    free(text);
    return 0;
}
