#include "proxy/local_turns.h"

#include "engine/engine.h"
#include "protocol/tools.h"
#include "proxy/examples.h"
#include "proxy/local_model.h"
#include "proxy/local_models.h"
#include "proxy/prompt.h"
#include "proxy/proxy.h"
#include "proxy/request.h"
#include "proxy/setup.h"

const struct prompt *local_turns_profile(const struct request *r)
{
    struct span model = local_models_name(r->proxy->parts.local, r->voice);

    return r->chat.continues ? NULL : prompt_find(r->setup->prompts, model, r->rule);
}

bool local_turns_think(const struct request *r, const struct prompt *profile)
{
    return prompt_thinks(profile) && r->chat.form != CHAT_JSON && !r->chat.must_call_tool;
}

static bool is_system(struct span role)
{
    return span_eq(role, SPAN("system")) || span_eq(role, SPAN("developer"));
}

static enum status join(struct arena *arena, struct span a, struct span b, struct span *out)
{
    struct buf text;
    enum status st;

    buf_init(&text, SIZE_MAX / 4);
    st = buf_append(&text, a);
    if (st == ST_OK && a.len > 0)
        st = buf_append(&text, SPAN("\n\n"));
    if (st == ST_OK)
        st = buf_append(&text, b);
    if (st == ST_OK)
        st = arena_copy(arena, buf_span(&text), out);
    buf_release(&text);
    return st;
}

/* Solved examples, where the last turn is to be: the operator's, then stored ones. */
static enum status show_examples(struct request *r, const struct prompt *profile,
                                 struct decoder_turn *t, size_t *count)
{
    size_t own = prompt_examples(profile, r->chat.last_text, t), stored;
    enum status st = examples_take(r, t + own, &stored);

    *count = own + stored;
    r->shown = t;
    r->shown_count = *count / 2;
    r->examples = (unsigned)r->shown_count;
    return st;
}

enum status local_turns_take(struct request *r, const struct prompt *profile,
                             struct local_request *ask)
{
    const struct chat_request *q = &r->chat;
    struct decoder_turn *t =
        arena_alloc(&r->arena, (q->turn_count + 1 + 2 * EXAMPLES_ALL) * sizeof(*t),
                    _Alignof(struct decoder_turn));
    bool has_system = q->turn_count > 0 && is_system(q->turns[0].role);
    struct span told = {NULL, 0};
    size_t n = 0, shown = 0;
    enum status st = ST_OK;

    if (t == NULL || (q->must_call_tool && tools_prompt(&r->arena, q, &told) != ST_OK))
        return ST_NOMEM;
    if (told.ptr != NULL && !has_system)
        t[n++] = (struct decoder_turn){SPAN("system"), told};
    for (size_t i = 0; i < q->turn_count && st == ST_OK; i++) {
        if (i + 1 == q->turn_count)
            st = show_examples(r, profile, t + n, &shown);
        n += shown;
        t[n++] = (struct decoder_turn){q->turns[i].role, q->turns[i].text};
    }
    if (st == ST_OK)
        st = prompt_shape(profile, &r->arena, t, n, r->thinks);
    if (st == ST_OK && told.ptr != NULL && has_system)
        st = join(&r->arena, t[0].text, told, &t[0].text);
    ask->turns = t;
    ask->turn_count = n;
    return st;
}
