/* How it works: away reads as long as there is room in `up`; a turn of home takes what is there
 * and tells it in pieces, as one read of a socket would bring them. Home's writes go into
 * `down`, which to its callers is what the kernel's buffer of a socket is: what lies there
 * counts as written, and is sent after io_close() too, within a deadline.
 *
 * Each side ends by itself: home when on_closed has been told, away when the socket is closed,
 * neither while a message to it is on its way. Who ends last frees. */
#include "rt/io_carried.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "rt/io.h"
#include "rt/io_tcp.h"
#include "rt/loop.h"
#include "rt/timer.h"

/* Read ahead of home; one read more may come on top. */
#define UP_BYTES 65536
/* One event of reading. */
#define PIECE_BYTES 65536
/* Taken from home and not sent; and so much is free again when it is told. */
#define DOWN_BYTES      32768
#define DOWN_ROOM_BYTES (DOWN_BYTES / 2)
#define PARTS_MAX       8
#define EVENTS_PER_TURN 16
#define WRITES_PER_TURN 16
/* For what was written before io_close(), to a peer that does not read. */
#define LAST_WORDS_US 10000000

struct carried {
    struct io io; /* first */
    struct io_carrier *carrier;

    /* Home's thread. */
    bool reading;
    bool writing; /* on_written is due when `rest` is in `down` */
    bool told_end;
    bool closing;
    bool turn_due;
    struct buf in;               /* taken out of `up` */
    size_t told;                 /* of it */
    struct span rest[PARTS_MAX]; /* borrowed */
    size_t rest_next, rest_count;
    struct loop_msg turn;

    uv_mutex_t mutex; /* guards what follows, down to the messages */
    struct buf up, down;
    size_t unsent;           /* bytes in `down` and `wire` */
    enum status ended;       /* what reading came to; ST_OK: it goes on */
    bool up_full;            /* away does not read until home has taken */
    bool broken;             /* writing has failed */
    bool wants_room;         /* home waits for it */
    bool shut, close, reset; /* home's wishes */
    bool home_posted, away_posted;
    bool home_done, away_done;

    struct loop_msg to_home, to_away; /* each on its way while its `posted` is set */

    /* Away's thread. */
    struct list_node link;
    int fd; /* owned until it is in `inner`; then -1 */
    bool unix_socket;
    struct io *inner; /* owned; NULL: not opened, or closed */
    bool inner_writing, inner_shut, inner_closing, inner_paused;
    struct buf wire; /* out of `down` */
    size_t sent;     /* of it */
    size_t slice;    /* of it, that `inner` is writing */
    struct timer last_words;
};

static struct carried *of(struct io *io)
{
    return CONTAINER_OF(io, struct carried, io);
}

static void release(struct carried *c)
{
    buf_release(&c->in);
    buf_release(&c->up);
    buf_release(&c->down);
    buf_release(&c->wire);
    uv_mutex_destroy(&c->mutex);
    free(c);
}

/* --- home --------------------------------------------------------------------------- */

static void on_to_away(struct loop_msg *m);
static void on_turn(struct loop_msg *m);

static void poke(struct carried *c)
{
    if (c->turn_due)
        return;
    c->turn_due = true;
    loop_defer(c->carrier->home, &c->turn, on_turn);
}

/* Under the lock: is a message to away needed? Then the caller posts it, after the lock. */
static bool claim_away(struct carried *c)
{
    if (c->away_posted || c->away_done)
        return false;
    c->away_posted = true;
    return true;
}

static void post_away(struct carried *c)
{
    loop_post(c->carrier->away, &c->to_away, on_to_away);
}

/* Under the lock: as much of `s` as there is room for. */
static enum status put_down(struct carried *c, struct span s, size_t *taken)
{
    size_t room = c->unsent < DOWN_BYTES ? DOWN_BYTES - c->unsent : 0;
    enum status st;

    if (s.len > room)
        s.len = room;
    st = buf_append(&c->down, s);
    *taken = st == ST_OK ? s.len : 0;
    c->unsent += *taken;
    return st;
}

/* Under the lock: the write under way. Its status counts when nothing of it is left. */
static enum status put_rest(struct carried *c)
{
    enum status st = c->broken ? ST_UNAVAILABLE : ST_OK;

    while (st == ST_OK && c->rest_next < c->rest_count) {
        struct span *s = &c->rest[c->rest_next];
        size_t taken;

        st = put_down(c, *s, &taken);
        s->ptr += taken;
        s->len -= taken;
        if (s->len > 0)
            break;
        c->rest_next++;
    }
    if (st != ST_OK)
        c->rest_next = c->rest_count;
    c->wants_room = c->rest_next < c->rest_count;
    return st;
}

/* Under the lock; true: away is to go on reading. */
static bool take_up(struct carried *c)
{
    bool was_full = c->up_full;

    if (c->in.len > 0)
        return false;
    c->in = c->up;
    buf_init(&c->up, c->in.limit);
    c->up_full = false;
    return was_full;
}

/* One event, if one is due; false: none is. */
static bool tell(struct carried *c)
{
    const struct io_events *ev = c->io.events;
    enum status written = ST_OK, ended;
    bool post = false;

    uv_mutex_lock(&c->mutex);
    if (c->writing) {
        size_t before = c->unsent;

        written = put_rest(c);
        post = c->unsent > before && claim_away(c);
    }
    if (c->reading && take_up(c) && claim_away(c))
        post = true;
    /* Behind the bytes that came before it. */
    ended = c->in.len == 0 ? c->ended : ST_OK;
    uv_mutex_unlock(&c->mutex);
    if (post)
        post_away(c);

    if (c->writing && c->rest_next == c->rest_count) {
        c->writing = false;
        ev->on_written(c->io.owner, written);
        return true;
    }
    if (!c->reading)
        return false;
    if (c->in.len > 0) {
        struct span piece = {c->in.ptr + c->told, c->in.len - c->told};

        if (piece.len > PIECE_BYTES)
            piece.len = PIECE_BYTES;
        c->told += piece.len;
        ev->on_read(c->io.owner, ST_OK, piece);
        if (c->told == c->in.len) {
            buf_release(&c->in);
            c->told = 0;
        }
        return true;
    }
    if (ended == ST_OK || c->told_end)
        return false;
    c->told_end = true;
    c->reading = false;
    ev->on_read(c->io.owner, ended, (struct span){NULL, 0});
    return true;
}

/* Not while a message is on its way that would find nothing. */
static void finish_home(struct carried *c)
{
    struct io_carrier *carrier = c->carrier;
    const struct io_events *ev = c->io.events;
    void *owner = c->io.owner;
    bool last;

    uv_mutex_lock(&c->mutex);
    if (c->home_posted || c->turn_due) {
        uv_mutex_unlock(&c->mutex);
        return;
    }
    c->home_done = true;
    last = c->away_done;
    uv_mutex_unlock(&c->mutex);
    if (last)
        release(c);
    if (ev != NULL)
        ev->on_closed(owner);
    loop_unref(carrier->home);
    if (--carrier->open_now == 0 && carrier->home_idle != NULL)
        carrier->home_idle(carrier);
}

static void advance(struct carried *c)
{
    for (unsigned i = 0; !c->closing; i++) {
        if (i == EVENTS_PER_TURN) {
            poke(c);
            return;
        }
        if (!tell(c))
            return;
    }
    finish_home(c);
}

static void on_turn(struct loop_msg *m)
{
    struct carried *c = CONTAINER_OF(m, struct carried, turn);

    c->turn_due = false;
    advance(c);
}

static void on_to_home(struct loop_msg *m)
{
    struct carried *c = CONTAINER_OF(m, struct carried, to_home);

    uv_mutex_lock(&c->mutex);
    c->home_posted = false;
    uv_mutex_unlock(&c->mutex);
    advance(c);
}

static void read_start(struct io *io)
{
    struct carried *c = of(io);

    if (c->closing || c->told_end)
        return;
    c->reading = true;
    poke(c);
}

/* Away reads on until it has read enough. */
static void read_stop(struct io *io)
{
    of(io)->reading = false;
}

static enum status try_write(struct io *io, const struct span *part, size_t n, size_t *taken)
{
    struct carried *c = of(io);
    enum status st;
    bool post = false;

    assert(!c->writing && !c->closing);
    *taken = 0;
    uv_mutex_lock(&c->mutex);
    st = c->broken ? ST_UNAVAILABLE : ST_OK;
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        size_t more;

        st = put_down(c, part[i], &more);
        *taken += more;
        if (more < part[i].len)
            break;
    }
    if (*taken > 0)
        post = claim_away(c);
    uv_mutex_unlock(&c->mutex);
    if (post)
        post_away(c);
    return st;
}

static enum status write_parts(struct io *io, const struct span *part, size_t n)
{
    struct carried *c = of(io);

    assert(!c->writing && !c->closing && n <= PARTS_MAX);
    memcpy(c->rest, part, n * sizeof(part[0]));
    c->rest_next = 0;
    c->rest_count = n;
    c->writing = true;
    poke(c);
    return ST_OK;
}

static void wish(struct carried *c, bool *which)
{
    bool post;

    uv_mutex_lock(&c->mutex);
    *which = true;
    post = claim_away(c);
    uv_mutex_unlock(&c->mutex);
    if (post)
        post_away(c);
}

static void shut(struct io *io)
{
    struct carried *c = of(io);

    if (!c->closing)
        wish(c, &c->shut);
}

static void end_home(struct carried *c, bool *how)
{
    if (c->closing)
        return;
    c->closing = true;
    c->reading = false;
    wish(c, how);
    poke(c);
}

static void close_io(struct io *io)
{
    end_home(of(io), &of(io)->close);
}

static void reset_io(struct io *io)
{
    end_home(of(io), &of(io)->reset);
}

static const struct io_ops ops = {
    .read_start = read_start,
    .read_stop = read_stop,
    .try_write = try_write,
    .write = write_parts,
    .shutdown = shut,
    .close = close_io,
    .reset = reset_io,
};

/* --- away --------------------------------------------------------------------------- */

/* Home's wishes, as they were at one moment. */
struct wishes {
    bool shut, close, reset, read;
};

static void move_away(struct carried *c);

static bool claim_home(struct carried *c)
{
    if (c->home_posted || c->home_done)
        return false;
    c->home_posted = true;
    return true;
}

static void post_home(struct carried *c)
{
    loop_post(c->carrier->home, &c->to_home, on_to_home);
}

static void finish_away(struct carried *c)
{
    struct io_carrier *carrier = c->carrier;
    bool last;

    uv_mutex_lock(&c->mutex);
    if (c->away_posted) {
        uv_mutex_unlock(&c->mutex);
        return;
    }
    list_remove(&c->link); /* from here on home may free it */
    c->away_done = true;
    last = c->home_done;
    uv_mutex_unlock(&c->mutex);
    if (last)
        release(c);
    if (list_empty(&carrier->sockets) && carrier->away_idle != NULL)
        carrier->away_idle(carrier);
}

/* Reading and writing have ended, or only one of them. */
static void tell_failure(struct carried *c, enum status reading, bool writing)
{
    bool post;

    uv_mutex_lock(&c->mutex);
    if (reading != ST_OK && c->ended == ST_OK)
        c->ended = reading;
    if (writing) {
        c->broken = true;
        buf_release(&c->down);
    }
    post = claim_home(c);
    uv_mutex_unlock(&c->mutex);
    if (post)
        post_home(c);
}

static void on_inner_read(void *owner, enum status st, struct span data)
{
    struct carried *c = owner;
    bool post;

    if (c->inner_closing)
        return;
    if (st != ST_OK) {
        tell_failure(c, st, false);
        return;
    }
    uv_mutex_lock(&c->mutex);
    st = buf_append(&c->up, data);
    c->up_full = c->up.len >= UP_BYTES;
    c->inner_paused = c->up_full;
    post = st == ST_OK && claim_home(c);
    uv_mutex_unlock(&c->mutex);
    if (c->inner_paused || st != ST_OK)
        io_read_stop(c->inner);
    if (st != ST_OK)
        tell_failure(c, st, false);
    else if (post)
        post_home(c);
}

static void account_sent(struct carried *c, size_t n)
{
    bool post;

    c->sent += n;
    if (c->sent == c->wire.len) {
        buf_release(&c->wire);
        c->sent = 0;
    }
    uv_mutex_lock(&c->mutex);
    c->unsent -= n;
    post = c->wants_room && c->unsent <= DOWN_BYTES - DOWN_ROOM_BYTES && claim_home(c);
    uv_mutex_unlock(&c->mutex);
    if (post)
        post_home(c);
}

static void drop_writes(struct carried *c)
{
    buf_release(&c->wire);
    c->sent = 0;
    tell_failure(c, ST_OK, true);
}

static void on_inner_written(void *owner, enum status st)
{
    struct carried *c = owner;

    c->inner_writing = false;
    if (c->inner_closing)
        return;
    if (st == ST_OK)
        account_sent(c, c->slice);
    else
        drop_writes(c);
    move_away(c);
}

static void on_inner_closed(void *owner)
{
    struct carried *c = owner;

    c->inner = NULL;
    finish_away(c);
}

static const struct io_events inner_events = {on_inner_read, on_inner_written, on_inner_closed};

static void close_inner(struct carried *c, bool reset)
{
    if (c->inner_closing)
        return;
    c->inner_closing = true;
    timer_stop(c->carrier->away, &c->last_words);
    if (reset)
        io_reset(c->inner);
    else
        io_close(c->inner);
}

static void on_last_words(struct timer *t)
{
    close_inner(CONTAINER_OF(t, struct carried, last_words), true);
}

/* What home has written since, once the last is sent. False: there is nothing. */
static bool take_down(struct carried *c)
{
    if (c->sent < c->wire.len)
        return true;
    uv_mutex_lock(&c->mutex);
    if (c->down.len > 0) {
        c->wire = c->down;
        c->sent = 0;
        buf_init(&c->down, c->wire.limit);
    }
    uv_mutex_unlock(&c->mutex);
    return c->wire.len > 0;
}

/* One write; what does not go at once is left to the io. */
static void send_some(struct carried *c)
{
    struct span part = {c->wire.ptr + c->sent, c->wire.len - c->sent};
    size_t taken;
    enum status st = io_try_write(c->inner, &part, 1, &taken);

    if (st == ST_OK && taken > 0)
        account_sent(c, taken);
    if (st == ST_OK && taken < part.len) {
        part = (struct span){part.ptr + taken, part.len - taken};
        st = io_write(c->inner, &part, 1);
        c->inner_writing = st == ST_OK;
        c->slice = part.len;
    }
    if (st != ST_OK)
        drop_writes(c);
}

static struct wishes read_wishes(struct carried *c)
{
    struct wishes w;

    uv_mutex_lock(&c->mutex);
    w = (struct wishes){.shut = c->shut,
                        .close = c->close,
                        .reset = c->reset,
                        .read = c->inner_paused && !c->up_full};
    uv_mutex_unlock(&c->mutex);
    return w;
}

/* After the others. */
static void come_again(struct carried *c)
{
    bool post;

    uv_mutex_lock(&c->mutex);
    post = claim_away(c);
    uv_mutex_unlock(&c->mutex);
    if (post)
        post_away(c);
}

static void move_away(struct carried *c)
{
    struct wishes w = read_wishes(c);
    bool sent_all = false;

    if (c->inner_closing)
        return;
    for (unsigned i = 0; !w.reset && !c->inner_writing && !sent_all; i++) {
        if (i == WRITES_PER_TURN) {
            come_again(c);
            return;
        }
        sent_all = !take_down(c);
        if (!sent_all)
            send_some(c);
    }
    if (w.reset || (w.close && sent_all)) {
        close_inner(c, w.reset);
        return;
    }
    if (w.close) {
        io_read_stop(c->inner);
        if (c->last_words.slot == 0)
            timer_start(c->carrier->away, &c->last_words, LAST_WORDS_US, on_last_words);
        return;
    }
    if (w.shut && sent_all && !c->inner_shut) {
        c->inner_shut = true;
        io_shutdown(c->inner);
    }
    if (w.read) {
        c->inner_paused = false;
        io_read_start(c->inner);
    }
}

static enum status open_inner(struct carried *c)
{
    enum status st = io_tcp_open(c->carrier->away, c->fd, c->unix_socket, &c->inner);

    c->fd = -1;
    if (st != ST_OK)
        return st;
    io_attach(c->inner, &inner_events, c);
    io_read_start(c->inner);
    return ST_OK;
}

static void on_to_away(struct loop_msg *m)
{
    struct carried *c = CONTAINER_OF(m, struct carried, to_away);
    enum status st;

    uv_mutex_lock(&c->mutex);
    c->away_posted = false;
    uv_mutex_unlock(&c->mutex);
    if (c->fd >= 0) {
        list_append(&c->carrier->sockets, &c->link);
        st = open_inner(c);
        if (st != ST_OK)
            tell_failure(c, st, true);
    }
    if (c->inner != NULL)
        move_away(c);
    else
        finish_away(c);
}

void io_carried_give_up(struct io_carrier *c)
{
    struct list_node *n, *next;

    for (n = c->sockets.next; n != &c->sockets; n = next) {
        struct carried *s = CONTAINER_OF(n, struct carried, link);

        next = n->next;
        if (s->inner != NULL)
            close_inner(s, true);
    }
}

/* --- opening ------------------------------------------------------------------------ */

void io_carried_init(struct io_carrier *c, struct loop *home, struct loop *away)
{
    *c = (struct io_carrier){.home = home, .away = away};
    list_init(&c->sockets);
}

enum status io_carried_open(struct io_carrier *carrier, int fd, bool unix_socket,
                            struct io **out)
{
    struct carried *c = calloc(1, sizeof(*c));

    if (c == NULL || uv_mutex_init(&c->mutex) != 0) {
        free(c);
        close(fd);
        return ST_NOMEM;
    }
    c->io.ops = &ops;
    c->carrier = carrier;
    c->fd = fd;
    c->unix_socket = unix_socket;
    buf_init(&c->in, 0);
    buf_init(&c->up, 2 * UP_BYTES);
    buf_init(&c->down, DOWN_BYTES);
    buf_init(&c->wire, DOWN_BYTES);
    list_init(&c->link);
    loop_ref(carrier->home);
    carrier->open_now++;
    c->away_posted = true;
    post_away(c);
    *out = &c->io;
    return ST_OK;
}
