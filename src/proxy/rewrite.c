#include "proxy/rewrite.h"

#include <string.h>

#include "cache/resolve.h"
#include "config/config.h"
#include "proxy/proxy.h"
#include "proxy/setup.h"
#include "proxy/steps.h"

struct span rewrite_question(const struct request *r)
{
    return r->alone.ptr != NULL ? r->alone : r->chat.last_text;
}

/* The turns of the user, the oldest first; 0: there are none before the last one, or too many.
 */
static size_t take_turns(const struct chat_request *q, struct span *turns)
{
    size_t n = 0;

    for (size_t i = 0; i < q->turn_count; i++) {
        if (!span_eq(q->turns[i].role, SPAN("user")))
            continue;
        if (n == RESOLVE_TURNS_MAX)
            return 0;
        turns[n++] = q->turns[i].text;
    }
    return n > 1 ? n : 0;
}

static const char *resolve(struct request *r, const struct span *turns, size_t n)
{
    struct span made = r->chat.last_text;
    struct chat_request q = r->chat;
    const char *why = "form";
    struct buf text;

    if (r->chat.has_attachments || protocol_alone(r->protocol, &r->arena, &q) != ST_OK)
        return why;
    buf_init(&text, RESOLVE_BYTES_MAX);
    switch (resolve_turn(turns, n, &text, &why)) {
    case RESOLVED_WHOLE:
        r->alone = made;
        why = "whole";
        break;
    case RESOLVED_MADE:
        if (arena_copy(&r->arena, buf_span(&text), &r->alone) == ST_OK)
            why = "made";
        break;
    case RESOLVED_OPEN:
    case RESOLVED_NEVER:
        break;
    }
    buf_release(&text);
    return why;
}

void rewrite_resolve(struct request *r)
{
    struct span turns[RESOLVE_TURNS_MAX];
    size_t n;

    if (strcmp(r->setup->config->cache.rewrite, "off") == 0)
        return;
    n = take_turns(&r->chat, turns);
    if (n > 0)
        account_rewrite(&r->proxy->account, resolve(r, turns, n));
}

/* A follow-up question: is it clear by itself, or from the turns before it, what is meant? Some
 * microseconds; where it is not clear, the conversation is compared exactly, as ever. */
enum step_result rewrite_enter(struct request *r)
{
    if (r->entry == NULL && (r->may_read_semantic || r->may_store_semantic))
        rewrite_resolve(r);
    return STEP_NEXT;
}
