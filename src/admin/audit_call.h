/* What the audit log is to say of a call to the admin listener: noted when the call begins,
 * since its request is gone when it ends, and written when it has ended, since its client may
 * be gone by then and what it asked for is done all the same. Loop thread only. */
#ifndef ADMIN_AUDIT_CALL_H
#define ADMIN_AUDIT_CALL_H

#include <stdbool.h>

#include "base/compiler.h"

struct admin_call;

#define AUDIT_CALL_TEXT_MAX 256

struct audit_call {
    const char *action; /* static; NULL: nothing is to be said */
    const char *by;     /* static */
    unsigned status;    /* that was answered; 0: nobody was there */
    char peer[64];
    char client[AUDIT_CALL_TEXT_MAX];
    char method[16], path[AUDIT_CALL_TEXT_MAX], query[AUDIT_CALL_TEXT_MAX];
    char detail[128];
};

/* The call is `action`, by somebody with the token (or not). A query is remembered of a DELETE
 * alone: elsewhere it may hold words that are searched for. */
void audit_call_begin(struct admin_call *c, const char *action, bool token);
/* What the path does not say; never a text of somebody's. */
void audit_call_detail(struct admin_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* When it has ended. */
void audit_call_end(struct admin_call *c);

#endif
