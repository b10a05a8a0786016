/* The same bytes as a request and as an answer. A request that is taken keeps its identity
 * when it is written and read again; an answer that may be stored says the same
 * after every way it is given out. */
#include <stdlib.h>

#include "base/json.h"
#include "protocol/answer.h"
#include "protocol/canonical.h"
#include "protocol/collector.h"
#include "protocol/protocol.h"

#define DEPTH     32
#define LIMIT     (64u << 20)
#define BUDGET    100 /* bytes of a stream at a time */
#define BODY_MAX  65536
#define TURNS_MAX (1u << 20)
#define CLOCK_MS  1700000000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static void must_ok(enum status st)
{
    must(st == ST_OK);
}

/* --- requests ------------------------------------------------------------------------- */

static void fingerprint(const struct chat_request *q, bool partition, struct digest *out)
{
    const struct identity id = {.method = SPAN("POST")};
    struct digest_ctx ctx;
    struct buf scratch;

    must_ok(digest_init(&ctx));
    buf_init(&scratch, LIMIT);
    must_ok(partition ? canonical_partition(q, &id, &ctx, &scratch, out)
                      : canonical_fingerprint(q, &id, &ctx, &scratch, out));
    buf_release(&scratch);
    digest_release(&ctx);
}

/* All that the steps read of it lies within the arena; a sanitizer sees when not. */
static void touch(const struct chat_request *q)
{
    size_t sum = q->model.len;

    for (size_t i = 0; i < q->turn_count; i++) {
        for (size_t k = 0; k < q->turns[i].text.len; k++)
            sum += (unsigned char)q->turns[i].text.ptr[k];
        sum += q->turns[i].role.len;
    }
    for (size_t i = 0; i < q->stop_count; i++)
        sum += q->stop[i].len;
    must(sum < SIZE_MAX);
}

/* What was written canonically is canonical. */
static void check_canonical(struct arena *arena, const struct json *v)
{
    struct json_error why;
    struct json *again;
    struct buf a, b;

    buf_init(&a, LIMIT);
    buf_init(&b, LIMIT);
    must_ok(json_write_canonical(&a, v));
    must_ok(json_parse(arena, buf_span(&a), DEPTH, &again, &why));
    must_ok(json_write_canonical(&b, again));
    must(span_eq(buf_span(&a), buf_span(&b)));
    buf_release(&a);
    buf_release(&b);
}

static void check_request(const struct protocol *p, struct arena *arena, struct span body)
{
    struct protocol_request in = {.body = body, .depth_max = DEPTH};
    struct chat_request q, again;
    struct protocol_error why;
    struct digest a, b;
    struct buf form;

    if (p->decode(arena, &in, &q, &why) != ST_OK)
        return;
    touch(&q);
    buf_init(&form, LIMIT);
    check_canonical(arena, q.exact_form);
    must_ok(json_write(&form, q.body));
    in.body = buf_span(&form);
    must_ok(p->decode(arena, &in, &again, &why));
    fingerprint(&q, false, &a);
    fingerprint(&again, false, &b);
    must(digest_eq(&a, &b) && q.turn_count == again.turn_count);
    must((q.last_text.ptr == NULL) == (again.last_text.ptr == NULL) &&
         span_eq(q.last_text, again.last_text));
    if (q.last_text.ptr != NULL && p->comparable != NULL) {
        must_ok(protocol_hollow(p, arena, &q));
        must_ok(protocol_hollow(p, arena, &again));
        fingerprint(&q, true, &a);
        fingerprint(&again, true, &b);
        must(digest_eq(&a, &b));
    }
    buf_release(&form);
}

/* --- answers -------------------------------------------------------------------------- */

static void must_be(const struct answer *a, const struct answer *same)
{
    must(same->verdict == ANSWER_STORABLE);
    must(span_eq(a->text, same->text));
    must(span_eq(a->finish_reason, same->finish_reason) && span_eq(a->model, same->model));
}

static void check_whole(const struct protocol *p, struct arena *arena, const struct answer *a,
                        const struct answer_stamp *stamp)
{
    struct answer same;
    struct buf out;

    buf_init(&out, LIMIT);
    must_ok(answer_write(&out, a, stamp));
    must_ok(answer_read(p, arena, buf_span(&out), &same));
    must_be(a, &same);
    buf_release(&out);
}

static void check_packed(const struct answer *a)
{
    struct answer same;
    struct buf out;

    buf_init(&out, LIMIT);
    must_ok(answer_pack(&out, a));
    must_ok(answer_unpack(buf_span(&out), &same));
    same.verdict = a->verdict;
    must_be(a, &same);
    must(span_eq(a->json, same.json));
    buf_release(&out);
}

static void check_stream(const struct protocol *p, struct arena *arena, const struct answer *a,
                         const struct answer_stamp *stamp)
{
    struct collector *c;
    struct answer same;
    struct buf out;
    size_t cursor = 0;
    bool done = false;

    must_ok(collector_open(p, LIMIT, &c));
    buf_init(&out, LIMIT);
    for (size_t turns = 0; !done; turns++) {
        must(turns < TURNS_MAX);
        buf_clear(&out);
        must_ok(answer_write_stream(p, &out, a, stamp, a->has_usage, &cursor, BUDGET, &done));
        collector_feed(c, buf_span(&out));
    }
    must_ok(collector_finish(c, true, arena, &same));
    /* The collector has limits of its own, of names for one. */
    if (same.verdict == ANSWER_STORABLE) {
        must_be(a, &same);
        check_whole(p, arena, &same, stamp);
    }
    collector_close(c);
    buf_release(&out);
}

static void check_answer(const struct protocol *p, struct arena *arena, struct span body)
{
    struct answer_stamp stamp;
    struct answer a;

    if (answer_read(p, arena, body, &a) != ST_OK || a.verdict != ANSWER_STORABLE)
        return;
    answer_stamp_new(&stamp, CLOCK_MS);
    check_whole(p, arena, &a, &stamp);
    check_packed(&a);
    if (p->fold != NULL)
        check_stream(p, arena, &a, &stamp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = {(const char *)data, size};
    struct answer unpacked;
    struct arena arena;

    if (size > BODY_MAX)
        return 0;
    arena_init(&arena, 4096, LIMIT);
    for (size_t i = 0; protocol_at(i) != NULL; i++) {
        check_request(protocol_at(i), &arena, body);
        arena_reset(&arena);
        check_answer(protocol_at(i), &arena, body);
        arena_reset(&arena);
    }
    (void)!answer_unpack(body, &unpacked);
    arena_release(&arena);
    return 0;
}
