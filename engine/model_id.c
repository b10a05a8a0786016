#include "engine/model_id.h"

#include <stdio.h>

#include "base/hash.h"

#define HEAD    (1024 * 1024) /* bytes of the file's beginning, all of which count */
#define SAMPLES 64
#define SAMPLE  256 /* bytes */

void model_id(struct span file, char out[MODEL_ID_BYTES])
{
    size_t step = file.len / SAMPLES + 1, head = file.len < HEAD ? file.len : HEAD;
    uint64_t a = hash_bytes((struct span){file.ptr, head}, file.len), b = 0;

    for (size_t at = 0; at < file.len; at += step) {
        size_t n = file.len - at < SAMPLE ? file.len - at : SAMPLE;

        b = hash_bytes((struct span){file.ptr + at, n}, b + 1);
    }
    snprintf(out, MODEL_ID_BYTES, "xxh3:%016llx%016llx", (unsigned long long)a,
             (unsigned long long)b);
}
