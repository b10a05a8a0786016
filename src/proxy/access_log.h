/* Lines of JSON about requests (access_line.h), to a file or the standard output
 * (rt/line_log.h, whose functions these are with the settings' words). Loop thread only. */
#ifndef PROXY_ACCESS_LOG_H
#define PROXY_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

struct access_log;
struct config;
struct loop;
struct request;

struct access_log_stats {
    uint64_t lines_total, dropped_total;
};

/* Writes nothing until access_log_adopt() says where. */
enum status access_log_open(struct loop *loop, struct access_log **out) MUST_CHECK;
/* The place that the settings name, opened anew: a file that was moved away is another one
 * then. On failure it is as it was. */
enum status access_log_adopt(struct access_log *l, const struct config *c, char *why,
                             size_t why_cap) MUST_CHECK;
/* What waits is written, or given up after a second without progress; `closed` comes once,
 * later. */
void access_log_close(struct access_log *l, void (*closed)(void *owner), void *owner);

/* A request ended; NULL is no log. */
void access_log_note(struct access_log *l, const struct request *r, uint64_t took_us,
                     bool whole);
void access_log_stats(const struct access_log *l, struct access_log_stats *out);

#endif
