#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_writer.h"

#define JSON_MAX_BYTES ((size_t)1024 * 1024)

bool output_json(output_members_fn *write, const void *of)
{
    struct json_writer w;
    struct buf out;
    bool ok;

    buf_init(&out, JSON_MAX_BYTES);
    w = (struct json_writer){&out, ST_OK, false};
    json_writer_open(&w, NULL, '{');
    write(&w, of);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    ok = w.st == ST_OK;
    if (!ok)
        fprintf(stderr, "ibid: more than %zu bytes of JSON, or no memory for it\n",
                JSON_MAX_BYTES);
    else if (fwrite(out.ptr, 1, out.len, stdout) != out.len)
        ok = false; /* main() says so of the whole of the standard output */
    buf_release(&out);
    return ok;
}

bool output_file(const char *path, struct span text)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fwrite(text.ptr, 1, text.len, f) == text.len;

    if (f != NULL && fclose(f) != 0)
        ok = false;
    if (!ok)
        fprintf(stderr, "ibid: cannot write '%s': %s\n", path, strerror(errno));
    return ok;
}
