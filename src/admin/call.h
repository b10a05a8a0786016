/* One request to the admin listener, and how it is answered. Loop thread only. */
#ifndef ADMIN_CALL_H
#define ADMIN_CALL_H

#include <stdbool.h>

#include "admin/audit_call.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/span.h"
#include "cache/cache.h"

#define JSON_TYPE "application/json"

struct admin;
struct admin_view;
struct http_stream;
struct reload_report;

/* Freed when the stream is gone and no look-up, purge or browse is under way
 * (admin_call_gone). */
struct admin_call {
    struct admin *admin;           /* borrowed; outlives every call */
    const struct admin_view *view; /* likewise */
    struct http_stream *stream;    /* borrowed; NULL once closed */
    void (*run)(struct admin_call *c);
    struct span rest; /* of the path, behind the action's: the argument */
    struct buf body;  /* of the request */

    struct cache_get get; /* a look-up in the store */
    bool fetching, removing;
    struct digest key;        /* what is looked up */
    struct cache_purge purge; /* of many entries */
    bool purging;
    struct audit_call audit;
    struct browse *browse; /* of what is stored (entries_list.h); NULL: none is under way */
    struct reload_report *reload; /* owned, of the reload that is under way; or NULL */
};

void call_respond(struct admin_call *c, unsigned status, const char *type, struct span body);
/* {"error":{"message":…}}; the message is static text. */
void call_refuse(struct admin_call *c, unsigned status, const char *message);

#endif
