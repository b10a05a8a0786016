/* An entry and all it points to lie in one block, so that one malloc makes it and
 * one free ends it; the count of references sits in front.
 *
 * A frame is little-endian on every machine:
 *   head      magic[4] version:2 stale minutes:2 frame length:4
 *   fields    key[32] partition[32] created:8 expires:8 took:8
 *             prompt tokens:4 completion tokens:4
 *             lengths of model:4 question:4 vector (floats):4 answer:4
 *             tenant[32]
 *   parts     vector, model, question, answer
 *   checksum  XXH3 64 of everything before it
 * What another version or another program wrote is a miss, never a guess. */
#include "cache/entry.h"

#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/size.h"

/* What is fetched ahead; the machine goes on by itself where more is read in a row. */
#define EXPECT_BYTES_MAX 2048
#define LINE_BYTES       64

#define FRAME_VERSION  2
#define HEAD_BYTES     12
#define STALE_AT       6
#define FIELDS_BYTES   (3 * DIGEST_BYTES + 3 * 8 + 6 * 4)
#define CHECKSUM_BYTES 8
#define PARTS_AT       (HEAD_BYTES + FIELDS_BYTES)
/* Any constant will do; it only keeps our checksums from being another's. */
#define CHECKSUM_SEED 0x69626964u

static const char frame_magic[4] = {'i', 'b', 'i', 'd'};

struct block {
    atomic_uint refs;
    size_t bytes;
    struct entry entry;
    float data[]; /* vector, then the texts: the widest type goes first */
};

/* --- the block --------------------------------------------------------------------- */

/* What model, question, vector and answer take in a frame and in a block. */
static enum status parts_bytes(const struct entry *e, size_t *out)
{
    size_t n = (size_t)e->dimensions * sizeof(float);

    if (e->dimensions > ENTRY_DIMENSIONS_MAX || !size_add(n, e->model.len, &n) ||
        !size_add(n, e->question.len, &n) || !size_add(n, e->answer.len, &n) ||
        n > ENTRY_FRAME_BYTES_MAX - PARTS_AT - CHECKSUM_BYTES)
        return ST_LIMIT;
    *out = n;
    return ST_OK;
}

static struct span put_text(char **at, struct span s)
{
    struct span copy = {*at, s.len};

    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

enum status entry_new(const struct entry *e, struct entry **out)
{
    size_t parts = 0;
    enum status st = parts_bytes(e, &parts);
    struct block *b;
    char *at;

    assert((e->vector == NULL) == (e->dimensions == 0));
    if (st != ST_OK)
        return st;
    b = malloc(sizeof(*b) + parts);
    if (b == NULL)
        return ST_NOMEM;
    atomic_init(&b->refs, 1);
    b->bytes = sizeof(*b) + parts;
    b->entry = *e;
    at = (char *)b->data;
    if (e->dimensions > 0) {
        memcpy(at, e->vector, e->dimensions * sizeof(float));
        b->entry.vector = b->data;
        at += e->dimensions * sizeof(float);
    }
    b->entry.model = put_text(&at, e->model);
    b->entry.question = put_text(&at, e->question);
    b->entry.answer = put_text(&at, e->answer);
    *out = &b->entry;
    return ST_OK;
}

static struct block *block_of(struct entry *e)
{
    return CONTAINER_OF(e, struct block, entry);
}

struct entry *entry_ref(struct entry *e)
{
    /* Relaxed: whoever takes a reference holds one already. */
    atomic_fetch_add_explicit(&block_of(e)->refs, 1, memory_order_relaxed);
    return e;
}

void entry_unref(struct entry *e)
{
    struct block *b;
    unsigned before;

    if (e == NULL)
        return;
    b = block_of(e);
    /* Release: our reads are over; acquire: so are everybody's, when we are last. */
    before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        free(b);
}

static const struct block *const_block_of(const struct entry *e)
{
    return (const struct block *)((const char *)e - offsetof(struct block, entry));
}

size_t entry_bytes(const struct entry *e)
{
    return const_block_of(e)->bytes;
}

void entry_expect(const struct entry *e)
{
    const struct block *b = const_block_of(e);

    __builtin_prefetch(b);             /* references, key */
    __builtin_prefetch(&e->partition); /* may begin on the next line */
}

void entry_expect_all(const struct entry *e, size_t bytes)
{
    const char *p = (const char *)const_block_of(e);

    if (bytes > EXPECT_BYTES_MAX)
        bytes = EXPECT_BYTES_MAX;
    for (size_t i = 0; i < bytes; i += LINE_BYTES)
        __builtin_prefetch(p + i);
}

/* --- writing a frame ----------------------------------------------------------------- */

static void put_u16(char **at, uint16_t n)
{
    *(*at)++ = (char)(n & 0xff);
    *(*at)++ = (char)(n >> 8);
}

static void put_u32(char **at, uint32_t n)
{
    put_u16(at, (uint16_t)(n & 0xffff));
    put_u16(at, (uint16_t)(n >> 16));
}

static void put_u64(char **at, uint64_t n)
{
    put_u32(at, (uint32_t)(n & 0xffffffff));
    put_u32(at, (uint32_t)(n >> 32));
}

static void put_bytes(char **at, const void *p, size_t n)
{
    if (n > 0)
        memcpy(*at, p, n);
    *at += n;
}

static void put_fields(char **at, const struct entry *e)
{
    put_bytes(at, e->key.bytes, DIGEST_BYTES);
    put_bytes(at, e->partition.bytes, DIGEST_BYTES);
    put_u64(at, e->created_ms);
    put_u64(at, e->expires_ms);
    put_u64(at, e->took_us);
    put_u32(at, e->prompt_tokens);
    put_u32(at, e->completion_tokens);
    put_u32(at, (uint32_t)e->model.len);
    put_u32(at, (uint32_t)e->question.len);
    put_u32(at, e->dimensions);
    put_u32(at, (uint32_t)e->answer.len);
    put_bytes(at, e->tenant.bytes, DIGEST_BYTES);
}

static void put_vector(char **at, const float *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &v[i], sizeof(bits));
        put_u32(at, bits);
    }
}

enum status entry_encode(const struct entry *e, struct buf *out)
{
    size_t parts = 0, total;
    enum status st = parts_bytes(e, &parts);
    char *from, *at;

    if (st != ST_OK)
        return st;
    total = PARTS_AT + parts + CHECKSUM_BYTES;
    st = buf_reserve(out, total);
    if (st != ST_OK)
        return st;
    from = at = out->ptr + out->len;
    put_bytes(&at, frame_magic, sizeof(frame_magic));
    put_u16(&at, FRAME_VERSION);
    put_u16(&at, e->stale_min);
    put_u32(&at, (uint32_t)total);
    put_fields(&at, e);
    put_vector(&at, e->vector, e->dimensions);
    put_bytes(&at, e->model.ptr, e->model.len);
    put_bytes(&at, e->question.ptr, e->question.len);
    put_bytes(&at, e->answer.ptr, e->answer.len);
    put_u64(&at, hash_bytes((struct span){from, (size_t)(at - from)}, CHECKSUM_SEED));
    assert(at == from + total);
    out->len += total;
    return ST_OK;
}

/* --- reading a frame ----------------------------------------------------------------- */

static uint16_t take_u16(const char **at)
{
    const unsigned char *p = (const unsigned char *)*at;

    *at += 2;
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t take_u32(const char **at)
{
    uint32_t low = take_u16(at);

    return low | (uint32_t)take_u16(at) << 16;
}

static uint64_t take_u64(const char **at)
{
    uint64_t low = take_u32(at);

    return low | (uint64_t)take_u32(at) << 32;
}

static void take_fields(const char *at, struct entry *e)
{
    memcpy(e->key.bytes, at, DIGEST_BYTES);
    at += DIGEST_BYTES;
    memcpy(e->partition.bytes, at, DIGEST_BYTES);
    at += DIGEST_BYTES;
    e->created_ms = take_u64(&at);
    e->expires_ms = take_u64(&at);
    e->took_us = take_u64(&at);
    e->prompt_tokens = take_u32(&at);
    e->completion_tokens = take_u32(&at);
    e->model.len = take_u32(&at);
    e->question.len = take_u32(&at);
    e->dimensions = take_u32(&at);
    e->answer.len = take_u32(&at);
    memcpy(e->tenant.bytes, at, DIGEST_BYTES);
}

/* Magic, version and both ends of the frame; what is inside may then be read. */
static bool is_whole(struct span frame)
{
    const char *at = frame.ptr + sizeof(frame_magic), *end;

    if (frame.len < PARTS_AT + CHECKSUM_BYTES || frame.len > ENTRY_FRAME_BYTES_MAX ||
        memcmp(frame.ptr, frame_magic, sizeof(frame_magic)) != 0)
        return false;
    if (take_u16(&at) != FRAME_VERSION)
        return false;
    (void)take_u16(&at);
    if (take_u32(&at) != frame.len)
        return false;
    end = frame.ptr + frame.len - CHECKSUM_BYTES;
    return hash_bytes((struct span){frame.ptr, frame.len - CHECKSUM_BYTES}, CHECKSUM_SEED) ==
           take_u64(&end);
}

/* NaN or infinity would be nearest to everything or to nothing. */
static bool take_vector(const char *at, float *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits = take_u32(&at);

        memcpy(&v[i], &bits, sizeof(bits));
        if (!isfinite(v[i]))
            return false;
    }
    return true;
}

/* An entry whose parts point into the frame; the vector only has its length. */
static enum status take_entry(struct span frame, struct entry *e)
{
    const char *at = frame.ptr + PARTS_AT, *stale = frame.ptr + STALE_AT;
    size_t parts = 0;

    *e = (struct entry){.stale_min = take_u16(&stale)};
    take_fields(frame.ptr + HEAD_BYTES, e);
    if (e->stale_min > 0 && entry_fresh_ms(e) < e->created_ms)
        return ST_INVALID;
    if (parts_bytes(e, &parts) != ST_OK || frame.len != PARTS_AT + parts + CHECKSUM_BYTES)
        return ST_INVALID;
    at += e->dimensions * sizeof(float);
    e->model.ptr = at;
    e->question.ptr = e->model.ptr + e->model.len;
    e->answer.ptr = e->question.ptr + e->question.len;
    return ST_OK;
}

enum status entry_decode(struct span frame, struct entry **out)
{
    float vector[ENTRY_DIMENSIONS_MAX];
    struct entry e;
    enum status st;

    if (!is_whole(frame))
        return ST_INVALID;
    st = take_entry(frame, &e);
    if (st != ST_OK)
        return st;
    if (e.dimensions > 0) {
        if (!take_vector(frame.ptr + PARTS_AT, vector, e.dimensions))
            return ST_INVALID;
        e.vector = vector;
    }
    return entry_new(&e, out);
}
