#include "rt/line_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "rt/loop.h"
#include "rt/timer.h"
#include "rt/work.h"

#define FLUSH_US 100000
#define WAIT_MS  1000

struct line_log {
    struct loop *loop;
    struct work_pool *pool; /* NULL: there is no place to write to yet */
    int fd;                 /* owned unless it is standard output; -1: none */
    int next_fd;            /* takes its place when what is being written is; -1: none */
    bool stop;              /* no place is named any more */
    struct buf pending;
    size_t line_at; /* where the line that is being appended begins */
    struct timer timer;
    bool timing;
    uint64_t lines; /* in `pending` */
    struct line_log_stats stats;

    struct work work;
    bool writing;
    struct buf text;    /* the worker's while `writing` */
    uint64_t text_left; /* lines that were not written */

    struct loop_msg closing_msg;
    void (*closed)(void *owner); /* not NULL: closing */
    void *owner;
};

/* --- writing, on the worker ------------------------------------------------------------- */

/* As many whole lines as a pipe takes at once. */
static size_t piece_of(struct span s)
{
    size_t n = s.len < LINE_LOG_BYTES_MAX ? s.len : LINE_LOG_BYTES_MAX;

    while (n > 0 && s.ptr[n - 1] != '\n')
        n--;
    return n;
}

static bool write_piece(int fd, const char *p, size_t n)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    while (n > 0) {
        ssize_t done;

        if (poll(&ready, 1, WAIT_MS) <= 0)
            return false;
        done = write(fd, p, n);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return false;
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    return true;
}

static uint64_t count_lines(struct span s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '\n';
    return n;
}

static void run(struct work *first, unsigned worker)
{
    struct line_log *l = CONTAINER_OF(first, struct line_log, work);
    struct span s = buf_span(&l->text);

    (void)worker;
    while (s.len > 0) {
        size_t n = piece_of(s);

        if (n == 0 || !write_piece(l->fd, s.ptr, n))
            break;
        s.ptr += n;
        s.len -= n;
    }
    l->text_left = count_lines(s);
}

/* --- the queue -------------------------------------------------------------------------- */

static void close_place(int fd)
{
    if (fd > STDERR_FILENO)
        close(fd);
}

static void take_next_place(struct line_log *l)
{
    if (l->next_fd < 0 && !l->stop)
        return;
    close_place(l->fd);
    l->fd = l->next_fd;
    l->next_fd = -1;
    l->stop = false;
}

static void on_timer(struct timer *t);
static void go_on(struct line_log *l);

static void start_timer(struct line_log *l)
{
    if (l->timing)
        return;
    l->timing = true;
    timer_start(l->loop, &l->timer, FLUSH_US, on_timer);
}

static void on_written(struct work *w, enum status st)
{
    struct line_log *l = CONTAINER_OF(w, struct line_log, work);

    (void)st;
    l->writing = false;
    l->stats.dropped_total += l->text_left;
    buf_clear(&l->text);
    take_next_place(l);
    go_on(l);
}

static void flush(struct line_log *l)
{
    struct buf empty = l->text;

    if (l->writing || l->pending.len == 0)
        return;
    if (l->fd < 0) {
        l->stats.dropped_total += l->lines;
        l->lines = 0;
        buf_clear(&l->pending);
        return;
    }
    l->text = l->pending;
    l->text_left = l->lines;
    l->pending = empty;
    l->pending.limit = l->text.limit;
    l->lines = 0;
    if (work_submit(l->pool, &l->work, l->loop, run, on_written) == ST_OK) {
        l->writing = true;
        return;
    }
    l->stats.dropped_total += l->text_left;
    buf_clear(&l->text);
}

static void on_closing(struct loop_msg *m)
{
    struct line_log *l = CONTAINER_OF(m, struct line_log, closing_msg);
    void (*closed)(void *) = l->closed;
    void *owner = l->owner;

    if (l->pool != NULL)
        work_pool_close(l->pool);
    close_place(l->fd);
    close_place(l->next_fd);
    buf_release(&l->pending);
    buf_release(&l->text);
    free(l);
    closed(owner);
}

/* What waits is written soon, or at once when this is the end. */
static void go_on(struct line_log *l)
{
    if (l->closed == NULL) {
        if (l->pending.len > 0)
            start_timer(l);
        return;
    }
    flush(l);
    if (!l->writing)
        loop_defer(l->loop, &l->closing_msg, on_closing);
}

static void on_timer(struct timer *t)
{
    struct line_log *l = CONTAINER_OF(t, struct line_log, timer);

    l->timing = false;
    flush(l);
}

struct buf *line_log_begin(struct line_log *l)
{
    if (l->fd < 0 || l->stop)
        return NULL;
    l->line_at = l->pending.len;
    l->stats.lines_total++;
    return &l->pending;
}

void line_log_end(struct line_log *l, enum status st)
{
    if (st != ST_OK || l->pending.len - l->line_at > LINE_LOG_BYTES_MAX) {
        l->pending.len = l->line_at;
        l->stats.dropped_total++;
        return;
    }
    l->lines++;
    if (!l->writing)
        start_timer(l);
}

/* --- opening and closing ---------------------------------------------------------------- */

enum status line_log_open(struct loop *loop, struct line_log **out)
{
    struct line_log *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return ST_NOMEM;
    l->loop = loop;
    l->fd = l->next_fd = -1;
    buf_init(&l->pending, 0);
    buf_init(&l->text, 0);
    *out = l;
    return ST_OK;
}

static enum status open_place(const char *path, int *out, char *why, size_t why_cap)
{
    if (path[0] == '\0') {
        *out = -1;
        return ST_OK;
    }
    *out = strcmp(path, "-") == 0
               ? STDOUT_FILENO
               : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                      0640);
    if (*out >= 0)
        return ST_OK;
    snprintf(why, why_cap, "'%s': %s", path, strerror(errno));
    return ST_UNAVAILABLE;
}

enum status line_log_adopt(struct line_log *l, const char *path, size_t queue_bytes_max,
                           char *why, size_t why_cap)
{
    const struct work_pool_options o = {
        .threads = 1, .queue_max = 1, .batch_max = 1, .rank = WORK_BEHIND, .owner = l};
    int fd;
    enum status st = open_place(path, &fd, why, why_cap);

    if (st == ST_OK && fd >= 0 && l->pool == NULL)
        st = work_pool_open(&o, &l->pool);
    if (st != ST_OK)
        return st;
    l->pending.limit = queue_bytes_max;
    close_place(l->next_fd);
    l->next_fd = fd;
    l->stop = fd < 0;
    flush(l); /* to where it was meant for */
    if (!l->writing)
        take_next_place(l);
    return ST_OK;
}

void line_log_close(struct line_log *l, void (*closed)(void *owner), void *owner)
{
    l->closed = closed;
    l->owner = owner;
    if (l->timing)
        timer_stop(l->loop, &l->timer);
    go_on(l);
}

void line_log_stats(const struct line_log *l, struct line_log_stats *out)
{
    *out = l->stats;
}
