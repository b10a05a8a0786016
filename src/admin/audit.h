/* Who did what to this ibid, as lines of JSON: actions of the admin API, signals, and requests
 * without the right token. No question, answer, token or word that was searched for is in them.
 * The file is written to by a thread of its own (rt/line_log.h). Loop thread only. */
#ifndef ADMIN_AUDIT_H
#define ADMIN_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"
#include "base/status.h"

struct audit;
struct config;
struct loop;

/* Texts are borrowed, and empty when there is nothing to say. */
struct audit_event {
    const char *action;  /* "purge" */
    const char *by;      /* "admin": somebody with the token; "signal"; "unknown" */
    const char *outcome; /* "done", "refused", "failed", "begun", "unknown" */
    const char *peer;    /* address */
    const char *client;  /* the name that its certificate proves */
    struct span method, path, query;
    unsigned status; /* of the answer; 0: there was none */
    const char *detail;
};

struct audit_stats {
    uint64_t lines_total, dropped_total;
};

/* Writes nothing until audit_adopt() says where. */
enum status audit_open(struct loop *loop, struct audit **out) MUST_CHECK;
/* The place that the settings name, opened anew. On failure it is as it was. */
enum status audit_adopt(struct audit *a, const struct config *c, char *why,
                        size_t why_cap) MUST_CHECK;
/* `closed` comes once, later, when what waits is written. */
void audit_close(struct audit *a, void (*closed)(void *owner), void *owner);

/* NULL is no log. */
void audit_note(struct audit *a, const struct audit_event *e);
void audit_stats(const struct audit *a, struct audit_stats *out);

#endif
