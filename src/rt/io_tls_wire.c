#include "rt/io_tls_wire.h"

#include <string.h>

#include <openssl/crypto.h>

/* More than one read brings: no second one is asked for while something of it is left. */
#define KEPT_MAX_BYTES ((size_t)256 * 1024)
/* Records of what io_tls_stream.c encrypts at once, and of a handshake with long chains. */
#define OUT_MAX_BYTES ((size_t)256 * 1024)

/* The same for all streams of all threads; made once, read from then on. */
static BIO_METHOD *method;
static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static size_t take(struct io_tls_wire *w, char *to, size_t room)
{
    struct span from =
        w->kept.len > 0 ? (struct span){w->kept.ptr + w->kept_from, w->kept.len - w->kept_from}
                        : w->fresh;
    size_t n = from.len < room ? from.len : room;

    if (n > 0)
        memcpy(to, from.ptr, n);
    if (w->kept.len == 0) {
        w->fresh.ptr += n;
        w->fresh.len -= n;
        return n;
    }
    w->kept_from += n;
    if (w->kept_from == w->kept.len) {
        buf_release(&w->kept);
        w->kept_from = 0;
    }
    return n;
}

static int on_read(BIO *b, char *to, int room)
{
    size_t n = room > 0 ? take(BIO_get_data(b), to, (size_t)room) : 0;

    BIO_clear_retry_flags(b);
    if (n > 0)
        return (int)n;
    BIO_set_retry_read(b);
    return -1;
}

static int on_write(BIO *b, const char *from, int n)
{
    struct io_tls_wire *w = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (n <= 0 || buf_append(&w->out, (struct span){from, (size_t)n}) != ST_OK)
        return -1;
    return n;
}

static long on_control(BIO *b, int what, long number, void *pointer)
{
    (void)b, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH; /* what is flushed is io_tls_stream.c's to say */
}

static void make_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ibid's wire");

    if (m == NULL)
        return;
    BIO_meth_set_read(m, on_read);
    BIO_meth_set_write(m, on_write);
    BIO_meth_set_ctrl(m, on_control);
    method = m;
}

void io_tls_wire_init(struct io_tls_wire *w)
{
    *w = (struct io_tls_wire){.kept_from = 0};
    buf_init(&w->kept, KEPT_MAX_BYTES);
    buf_init(&w->out, OUT_MAX_BYTES);
}

void io_tls_wire_release(struct io_tls_wire *w)
{
    buf_release(&w->kept);
    buf_release(&w->out);
}

BIO *io_tls_wire_bio(struct io_tls_wire *w)
{
    BIO *b;

    if (CRYPTO_THREAD_run_once(&once, make_method) != 1 || method == NULL)
        return NULL;
    b = BIO_new(method);
    if (b == NULL)
        return NULL;
    BIO_set_data(b, w);
    BIO_set_init(b, 1);
    return b;
}

enum status io_tls_wire_offer(struct io_tls_wire *w, struct span data)
{
    if (w->kept.len > 0)
        return buf_append(&w->kept, data);
    w->fresh = data;
    return ST_OK;
}

enum status io_tls_wire_keep(struct io_tls_wire *w)
{
    struct span rest = w->fresh;

    w->fresh = (struct span){NULL, 0};
    return rest.len > 0 ? buf_append(&w->kept, rest) : ST_OK;
}

bool io_tls_wire_is_behind(const struct io_tls_wire *w)
{
    return w->kept.len > 0;
}
