/* Any bytes as an answer, in any form: what comes out does not depend on how they were cut. The
 * first byte says the form, the second how they are cut. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "privacy/restorer.h"
#include "privacy/vault.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status run(const struct vault *v, enum restorer_form form, struct span in,
                       size_t step, struct buf *out)
{
    struct restorer *r;
    enum status st = restorer_open(v, form, 1 << 16, &r);

    if (st != ST_OK)
        return st;
    for (size_t at = 0; st == ST_OK && at < in.len; at += step)
        st = restorer_feed(
            r, (struct span){in.ptr + at, in.len - at < step ? in.len - at : step}, out);
    if (st == ST_OK)
        st = restorer_finish(r, true, out);
    restorer_close(r);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    static struct vault vault;
    static bool ready;
    struct buf a, b;
    struct digest seed;
    struct span in;
    enum restorer_form form;

    if (size < 2)
        return 0;
    if (!ready) {
        arena_init(&arena, 4096, 1 << 24);
        digest_sha256(SPAN("somebody"), &seed);
        if (vault_init(&vault, &arena, &seed, SPAN("")) != ST_OK)
            abort();
        /* What the corpus was written with. */
        memcpy(vault.mark, "_QKRX", 6);
        buf_init(&a, 1024);
        if (vault_put(&vault, PRIVACY_EMAIL, SPAN("\"ann\"@example.com"), &a) != ST_OK ||
            vault_put(&vault, PRIVACY_KEY, SPAN("k\n1"), &a) != ST_OK)
            abort();
        buf_release(&a);
        ready = true;
    }
    form = (enum restorer_form)(data[0] % 4);
    in = (struct span){(const char *)data + 2, size - 2};
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    if (run(&vault, form, in, size, &a) == ST_OK &&
        run(&vault, form, in, 1 + data[1] % 64, &b) == ST_OK) {
        assert(a.len == b.len);
        assert(a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
    }
    buf_release(&a);
    buf_release(&b);
    return 0;
}
