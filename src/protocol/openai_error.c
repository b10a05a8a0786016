/* OpenAI's errors: {"error": {"message", "type", "param", "code"}}. */
#include "base/buf.h"
#include "base/json.h"
#include "protocol/openai_answer.h"
#include "protocol/protocol.h"

static enum status put_member(struct buf *out, struct span head, struct span s)
{
    enum status st = buf_append(out, head);

    if (st != ST_OK)
        return st;
    return s.len > 0 ? json_write_string(out, s) : buf_append(out, SPAN("null"));
}

/* The status is in the head; the body does not repeat it. */
enum status openai_error_write(struct buf *out, const struct protocol_failure *f)
{
    enum status st = put_member(out, SPAN("{\"error\":{\"message\":"), f->message);

    if (st == ST_OK)
        st = put_member(out, SPAN(",\"type\":"), f->type);
    if (st == ST_OK)
        st = put_member(out, SPAN(",\"param\":"), f->param);
    if (st == ST_OK)
        st = put_member(out, SPAN(",\"code\":"), f->code);
    return st == ST_OK ? buf_append(out, SPAN("}}")) : st;
}

enum status openai_error_write_event(struct buf *out, const struct protocol_failure *f)
{
    enum status st = buf_append(out, SPAN("data: "));

    if (st == ST_OK)
        st = openai_error_write(out, f);
    return st == ST_OK ? buf_append(out, SPAN("\n\n")) : st;
}
