/* Reading HTTP/1.1 messages, either direction: bytes in any chunking -> a head, then
 * pieces of the body, then the end. llhttp reads the head; what is ambiguous is refused
 * before it, because a message that two readers can read in two ways is how requests are
 * smuggled (RFC 9112 6.3, 11.2). Pull-driven: one event a call. Pure. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"
#include "http/chunked.h"
#include "http/head.h"

enum message_side { MESSAGE_REQUEST, MESSAGE_RESPONSE };

enum message_event {
    MESSAGE_MORE, /* more bytes are needed; what was not used must be offered again */
    MESSAGE_HEAD, /* head is set */
    MESSAGE_BODY, /* piece is set, until the next call */
    MESSAGE_END,
};

struct message {
    llhttp_t parser;
    struct arena *arena; /* borrowed: of the message under way */
    enum message_side side;
    bool head_request; /* response to HEAD: has no body whatever it says */
    bool in_body;
    bool done;        /* all of it is read; MESSAGE_END needs no more bytes */
    size_t scanned;   /* of the head, looked through for its end */
    unsigned skipped; /* empty lines before the head */
    size_t head_max;
    uint64_t left; /* of an HTTP_LENGTH body */
    struct chunked chunked;

    struct http_head head;
    size_t lines; /* of fields, counted before they are read */
    struct span piece;

    /* why it was refused */
    unsigned refuse_status;  /* for the client: 400, 431, 501, 505 */
    const char *refuse_text; /* static */
};

/* Ready for a message whose head goes into `arena`. */
void message_start(struct message *m, enum message_side side, struct arena *arena,
                   size_t head_max, bool head_request);

/* One event from `in`; *used bytes of it are spent. In the head nothing is spent until
 * all of it is there. ST_INVALID: refuse_* say why, and no call may follow. ST_NOMEM. */
enum status message_next(struct message *m, struct span in, size_t *used,
                         enum message_event *event) MUST_CHECK;

/* After the head: what follows is bytes without framing, until the stream ends. */
void message_switch(struct message *m);

/* The stream ended. ST_OK: that ends the message (HTTP_UNTIL_EOF); ST_CLOSED: it was cut. */
enum status message_eof(struct message *m) MUST_CHECK;

#endif
