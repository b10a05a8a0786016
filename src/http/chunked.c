#include "http/chunked.h"

#include <stdbool.h>

#include "http/head.h"

/* Sizes, extensions and trailers may outweigh the body by this much: a body of tokens
 * sent one by one stays far below it, an endless extension does not. */
#define FRAMING_MAX_BYTES 16384
#define FRAMING_FACTOR    16
#define SIZE_DIGITS_MAX   16

void chunked_start(struct chunked *c)
{
    *c = (struct chunked){.state = CHUNKED_SIZE_FIRST};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_text(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && (unsigned char)c != 0x7f);
}

static bool take_size(struct chunked *c, char byte)
{
    int digit = hex_digit(byte);

    if (digit >= 0) {
        c->left = c->left << 4 | (unsigned)digit;
        c->state = CHUNKED_SIZE;
        return ++c->digits <= SIZE_DIGITS_MAX;
    }
    if (c->state == CHUNKED_SIZE_FIRST)
        return false;
    c->state = byte == ';' ? CHUNKED_EXTENSION : CHUNKED_SIZE_LF;
    return byte == ';' || byte == '\r';
}

/* A line's bytes up to its CR. */
static bool take_text(struct chunked *c, char byte, enum chunked_state after_cr)
{
    if (byte == '\r')
        c->state = after_cr;
    return byte == '\r' || is_text(byte);
}

static bool take_exactly(struct chunked *c, char byte, char due, enum chunked_state next)
{
    c->state = next;
    return byte == due;
}

static bool take_trailer_name(struct chunked *c, char byte)
{
    bool first = c->state == CHUNKED_TRAILER_FIRST;

    if (first && byte == '\r') {
        c->state = CHUNKED_END_LF;
        return true;
    }
    if (!first && byte == ':') {
        c->state = CHUNKED_TRAILER_VALUE;
        return true;
    }
    c->state = CHUNKED_TRAILER_NAME;
    return http_is_token_char(byte);
}

static bool take_byte(struct chunked *c, char byte)
{
    switch (c->state) {
    case CHUNKED_SIZE_FIRST:
    case CHUNKED_SIZE:
        return take_size(c, byte);
    case CHUNKED_EXTENSION:
        return take_text(c, byte, CHUNKED_SIZE_LF);
    case CHUNKED_SIZE_LF:
        return take_exactly(c, byte, '\n', c->left > 0 ? CHUNKED_DATA : CHUNKED_TRAILER_FIRST);
    case CHUNKED_DATA_CR:
        return take_exactly(c, byte, '\r', CHUNKED_DATA_LF);
    case CHUNKED_DATA_LF:
        c->digits = 0;
        return take_exactly(c, byte, '\n', CHUNKED_SIZE_FIRST);
    case CHUNKED_TRAILER_FIRST:
    case CHUNKED_TRAILER_NAME:
        return take_trailer_name(c, byte);
    case CHUNKED_TRAILER_VALUE:
        return take_text(c, byte, CHUNKED_TRAILER_LF);
    case CHUNKED_TRAILER_LF:
        return take_exactly(c, byte, '\n', CHUNKED_TRAILER_FIRST);
    case CHUNKED_END_LF:
        return take_exactly(c, byte, '\n', CHUNKED_END);
    case CHUNKED_DATA:
    case CHUNKED_END:
        break;
    }
    return false;
}

static struct span take_data(struct chunked *c, struct span in)
{
    if (in.len > c->left)
        in.len = (size_t)c->left;
    c->left -= in.len;
    c->body_bytes += in.len;
    if (c->left == 0)
        c->state = CHUNKED_DATA_CR;
    return in;
}

enum status chunked_next(struct chunked *c, struct span in, size_t *used, struct span *piece)
{
    size_t i = 0;

    *piece = (struct span){NULL, 0};
    while (i < in.len && c->state != CHUNKED_DATA && c->state != CHUNKED_END) {
        if (!take_byte(c, in.ptr[i]))
            return ST_INVALID;
        i++;
    }
    c->framing_bytes += i;
    if (i < in.len && c->state == CHUNKED_DATA) {
        *piece = take_data(c, (struct span){in.ptr + i, in.len - i});
        i += piece->len;
    }
    if (c->framing_bytes > FRAMING_MAX_BYTES &&
        (c->framing_bytes - FRAMING_MAX_BYTES) / FRAMING_FACTOR > c->body_bytes)
        return ST_LIMIT;
    *used = i;
    return ST_OK;
}
