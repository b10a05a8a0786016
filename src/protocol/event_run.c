#include "protocol/event_run.h"

/* A piece of a text without a space is cut here. */
#define PIECE_MAX_BYTES 64

bool event_run_due(struct event_run *r)
{
    if (r->st != ST_OK || r->full)
        return false;
    if (r->next < r->from) {
        r->next++;
        return false;
    }
    if (r->out->len >= r->end_bytes) {
        r->full = true;
        return false;
    }
    r->next++;
    return true;
}

struct span event_run_piece(struct span *text)
{
    struct span s = *text;
    size_t n = 0;

    while (n < s.len && s.ptr[n] != ' ' && s.ptr[n] != '\n' && n < PIECE_MAX_BYTES)
        n++;
    while (n < s.len && (s.ptr[n] == ' ' || s.ptr[n] == '\n'))
        n++;
    while (n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
        n++;
    text->ptr += n;
    text->len -= n;
    return (struct span){s.ptr, n};
}
