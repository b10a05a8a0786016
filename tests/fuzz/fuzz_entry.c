/* Frames come from a file or from a Redis that others write to. A whole one must
 * survive the way there and back to the byte. The checksum would keep a fuzzer out
 * of the fields, so half of the inputs get a right one first. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cache/entry.h"

#define CHECKSUM_SEED 0x69626964u

static void check(struct span frame)
{
    struct entry *e;
    struct buf again;

    if (entry_decode(frame, &e) != ST_OK)
        return;
    buf_init(&again, ENTRY_FRAME_BYTES_MAX);
    if (entry_encode(e, &again) != ST_OK || !span_eq(buf_span(&again), frame))
        abort();
    buf_release(&again);
    entry_unref(e);
}

/* The same bytes with length and checksum put right. */
static void check_signed(const uint8_t *data, size_t size)
{
    char *copy;
    uint64_t sum;

    if (size < 24)
        return;
    copy = malloc(size);
    if (copy == NULL)
        return;
    memcpy(copy, data, size);
    memcpy(copy, "ibid\1\0\0\0", 8);
    for (unsigned i = 0; i < 4; i++)
        copy[8 + i] = (char)(size >> (8 * i) & 0xff);
    sum = hash_bytes((struct span){copy, size - 8}, CHECKSUM_SEED);
    for (unsigned i = 0; i < 8; i++)
        copy[size - 8 + i] = (char)(sum >> (8 * i) & 0xff);
    check((struct span){copy, size});
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check((struct span){(const char *)data, size});
    check_signed(data, size);
    return 0;
}
