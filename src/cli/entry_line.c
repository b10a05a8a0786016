#include "cli/entry_line.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/json.h"
#include "cache/entry.h"

enum status entry_line_write(struct buf *out, struct buf *frame, const struct entry *e)
{
    char key[2 * DIGEST_BYTES + 1];
    enum status st;

    buf_clear(out);
    buf_clear(frame);
    digest_hex(e->key.bytes, DIGEST_BYTES, key);
    st =
        buf_printf(out, "{\"ibid_entry\":1,\"key\":\"%.*s\",\"model\":", 2 * DIGEST_BYTES, key);
    if (st == ST_OK)
        st = json_write_string(out, e->model);
    if (st == ST_OK)
        st = buf_append(out, SPAN(",\"question\":"));
    if (st == ST_OK)
        st = json_write_string(out, e->question);
    if (st == ST_OK)
        st = buf_printf(out,
                        ",\"created_ms\":%" PRIu64 ",\"expires_ms\":%" PRIu64 ",\"frame\":\"",
                        e->created_ms, e->expires_ms);
    if (st == ST_OK)
        st = entry_encode(e, frame);
    if (st == ST_OK)
        st = base64_encode(out, buf_span(frame));
    return st == ST_OK ? buf_append(out, SPAN("\"}\n")) : st;
}
