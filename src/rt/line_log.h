/* Lines to a file or the standard output. A thread of its own writes them: a disk or a reader
 * that is slow costs lines, which are counted, and nobody else his time. Loop thread only. */
#ifndef RT_LINE_LOG_H
#define RT_LINE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/status.h"

struct line_log;
struct loop;

/* pipe(7): a pipe that is ready takes so many bytes, whole. Longer lines there are none. */
#define LINE_LOG_BYTES_MAX 4096

struct line_log_stats {
    uint64_t lines_total, dropped_total;
};

/* Writes nothing until line_log_adopt() says where. */
enum status line_log_open(struct loop *loop, struct line_log **out) MUST_CHECK;
/* The place `path` ("-": the standard output; empty: none), opened anew: a file that was moved
 * away is another one then. `queue_bytes_max`: of lines that wait. On failure it is as it was.
 */
enum status line_log_adopt(struct line_log *l, const char *path, size_t queue_bytes_max,
                           char *why, size_t why_cap) MUST_CHECK;
/* What waits is written, or given up after a second without progress; `closed` comes once,
 * later. */
void line_log_close(struct line_log *l, void (*closed)(void *owner), void *owner);

/* Where a line is to be appended, with its end; NULL: nowhere. line_log_end() must follow, with
 * how that went: anything but ST_OK, and what is too long, drops it. */
struct buf *line_log_begin(struct line_log *l);
void line_log_end(struct line_log *l, enum status st);

void line_log_stats(const struct line_log *l, struct line_log_stats *out);

#endif
