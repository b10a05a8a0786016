#include "engine/outlet.h"

#include <string.h>

void outlet_init(struct outlet *o, const struct span *stop, size_t stop_count,
                 decoder_text_fn *on_text, void *arg)
{
    *o =
        (struct outlet){.stop = stop, .stop_count = stop_count, .on_text = on_text, .arg = arg};
    buf_init(&o->held, OUTLET_HELD_MAX);
}

void outlet_release(struct outlet *o)
{
    buf_release(&o->held);
}

static bool starts_with(struct span s, struct span prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

/* Offset of the first stop string, or held.len. */
static size_t find_stop(const struct outlet *o)
{
    for (size_t i = 0; i < o->held.len; i++) {
        struct span rest = {o->held.ptr + i, o->held.len - i};

        for (size_t k = 0; k < o->stop_count; k++) {
            if (o->stop[k].len > 0 && starts_with(rest, o->stop[k]))
                return i;
        }
    }
    return o->held.len;
}

/* How much of the end could be the beginning of a stop string. */
static size_t stop_tail(const struct outlet *o)
{
    for (size_t i = 0; i < o->held.len; i++) {
        struct span rest = {o->held.ptr + i, o->held.len - i};

        for (size_t k = 0; k < o->stop_count; k++) {
            if (o->stop[k].len > rest.len && starts_with(o->stop[k], rest))
                return rest.len;
        }
    }
    return 0;
}

/* How many bytes at the end belong to a character that is not whole. */
static size_t torn_tail(struct span s)
{
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        unsigned char c = (unsigned char)s.ptr[s.len - back];

        if ((c & 0xc0) == 0x80)
            continue;
        return (c >= 0xf0 && back < 4) || (c >= 0xe0 && c < 0xf0 && back < 3) ||
                       (c >= 0xc0 && c < 0xe0 && back < 2)
                   ? back
                   : 0;
    }
    return 0;
}

static void let_out(struct outlet *o, size_t n)
{
    if (n == 0)
        return;
    o->on_text(o->arg, (struct span){o->held.ptr, n});
    buf_consume(&o->held, n);
}

bool outlet_pass(struct outlet *o)
{
    size_t at = find_stop(o), keep;

    if (at < o->held.len) {
        let_out(o, at);
        return true;
    }
    keep = stop_tail(o);
    if (keep == 0)
        keep = torn_tail(buf_span(&o->held));
    let_out(o, o->held.len - keep);
    return false;
}

void outlet_end(struct outlet *o)
{
    let_out(o, o->held.len - torn_tail(buf_span(&o->held)));
}
