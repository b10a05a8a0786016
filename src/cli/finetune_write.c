#include "cli/finetune_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "cli/finetune.h"
#include "cli/version.h"

#define LINE_BYTES_MAX ((size_t)512 << 20)
#define PATH_BYTES     4096

enum form { CHAT, ALPACA, PROVENANCE, FORMS };

static const char *const endings[FORMS] = {"chat.jsonl", "alpaca.jsonl", "provenance.jsonl"};
static const char *const halves[2] = {"train", "heldout"};

struct writing {
    const struct finetune *f;
    const struct finetune_files *to;
    FILE *files[2][FORMS]; /* NULL: not wanted */
    uint64_t lines[2];
    struct buf line;
};

static bool complain(const char *folder, const char *name, const char *why)
{
    fprintf(stderr, "ibid: '%s/%s': %s\n", folder, name, why);
    return false;
}

static FILE *make(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name), fd;

    if (n < 0 || (size_t)n >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 ? fdopen(fd, "w") : NULL;
}

/* --- one row ------------------------------------------------------------------------------ */

static void write_message(struct json_writer *w, const char *role, struct span text)
{
    json_writer_open(w, NULL, '{');
    json_writer_text(w, "role", span_of(role));
    json_writer_text(w, "content", text);
    json_writer_close(w, '}');
}

static void write_chat(struct json_writer *w, const struct writing *x,
                       const struct finetune_row *row)
{
    json_writer_open(w, "messages", '[');
    if (x->to->system != NULL)
        write_message(w, "system", span_of(x->to->system));
    write_message(w, "user", row->question);
    write_message(w, "assistant", row->answer);
    json_writer_close(w, ']');
}

/* What the task is stands where the trainer looks for the task, and a system prompt is one. */
static void write_alpaca(struct json_writer *w, const struct writing *x,
                         const struct finetune_row *row)
{
    bool told = x->to->system != NULL;

    json_writer_text(w, "instruction", told ? span_of(x->to->system) : row->question);
    json_writer_text(w, "input", told ? row->question : SPAN(""));
    json_writer_text(w, "output", row->answer);
}

static void write_hex(struct json_writer *w, const char *name, const struct digest *d)
{
    char hex[2 * DIGEST_BYTES + 1];

    digest_hex(d->bytes, DIGEST_BYTES, hex);
    json_writer_text(w, name, span_of(hex));
}

static void write_time(struct json_writer *w, uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    char text[32] = "";
    struct tm t;

    if (gmtime_r(&s, &t) != NULL && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &t) > 0)
        json_writer_text(w, "answered_at", span_of(text));
}

static void write_provenance(struct json_writer *w, const struct writing *x,
                             const struct finetune_row *row)
{
    json_writer_text(w, "model", row->model);
    json_writer_text(w, "licence", span_of(row->licence));
    write_time(w, row->created_ms);
    write_hex(w, "entry", &row->key);
    write_hex(w, "partition", &row->partition);
    write_hex(w, "tenant", &row->tenant);
    json_writer_open(w, "judged_by", '[');
    json_writer_text(w, NULL, SPAN("rules"));
    if (row->answers >= 0 && x->to->judge != NULL)
        json_writer_text(w, NULL, span_of(x->to->judge));
    json_writer_close(w, ']');
    if (row->answers >= 0)
        json_writer_real(w, "answers", row->answers);
}

static bool write_line(struct writing *x, enum form form, const struct finetune_row *row)
{
    FILE *file = x->files[row->held_out][form];
    struct json_writer w = {&x->line, ST_OK, false};

    if (file == NULL)
        return true;
    buf_clear(&x->line);
    json_writer_open(&w, NULL, '{');
    if (form == CHAT)
        write_chat(&w, x, row);
    else if (form == ALPACA)
        write_alpaca(&w, x, row);
    else
        write_provenance(&w, x, row);
    json_writer_close(&w, '}');
    json_writer_raw(&w, SPAN("\n"));
    return w.st == ST_OK && fwrite(x->line.ptr, 1, x->line.len, file) == x->line.len;
}

static bool write_rows(struct writing *x)
{
    for (size_t i = 0; i < x->f->count; i++) {
        const struct finetune_row *row = &x->f->rows[i];

        if (row->left != NULL)
            continue;
        for (enum form form = 0; form < FORMS; form++) {
            if (!write_line(x, form, row))
                return complain(x->to->folder, endings[form], "can not be written");
        }
        x->lines[row->held_out]++;
    }
    return true;
}

/* --- all ---------------------------------------------------------------------------------- */

static void write_summary(struct json_writer *w, const struct writing *x)
{
    const struct finetune *f = x->f;

    json_writer_open(w, NULL, '{');
    json_writer_text(w, "made_by", SPAN("ibid " IBID_VERSION));
    json_writer_u64(w, "entries", f->seen);
    json_writer_u64(w, "train", x->lines[0]);
    json_writer_u64(w, "held_out", x->lines[1]);
    json_writer_real(w, "near", f->o.near);
    json_writer_real(w, "held_out_share", f->o.held_out);
    json_writer_u64(w, "partition_min", f->o.partition_min);
    json_writer_open(w, "left_out", '{');
    for (size_t i = 0; i < FINETUNE_REASONS_MAX && f->left[i].name != NULL; i++)
        json_writer_u64(w, f->left[i].name, f->left[i].count);
    json_writer_close(w, '}');
    json_writer_close(w, '}');
    json_writer_raw(w, SPAN("\n"));
}

static bool put_summary(struct writing *x)
{
    FILE *file = make(x->to->folder, "summary.json");
    struct json_writer w = {&x->line, ST_OK, false};
    bool ok;

    if (file == NULL)
        return complain(x->to->folder, "summary.json", strerror(errno));
    buf_clear(&x->line);
    write_summary(&w, x);
    ok = w.st == ST_OK && fwrite(x->line.ptr, 1, x->line.len, file) == x->line.len;
    ok = fclose(file) == 0 && ok;
    return ok ? true : complain(x->to->folder, "summary.json", "can not be written");
}

static bool open_files(struct writing *x)
{
    const bool wanted[FORMS] = {x->to->chat, x->to->alpaca, true};

    if (mkdir(x->to->folder, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "ibid: '%s' can not be made: %s\n", x->to->folder, strerror(errno));
        return false;
    }
    for (unsigned h = 0; h < 2; h++) {
        for (enum form form = 0; form < FORMS; form++) {
            char name[64];

            snprintf(name, sizeof(name), "%s.%s", halves[h], endings[form]);
            if (wanted[form])
                x->files[h][form] = make(x->to->folder, name);
            if (wanted[form] && x->files[h][form] == NULL)
                return complain(x->to->folder, name, strerror(errno));
        }
    }
    return true;
}

static bool close_files(struct writing *x)
{
    bool ok = true;

    for (unsigned h = 0; h < 2; h++) {
        for (enum form form = 0; form < FORMS; form++)
            ok = (x->files[h][form] == NULL || fclose(x->files[h][form]) == 0) && ok;
    }
    return ok ? true : complain(x->to->folder, "*.jsonl", "can not be written");
}

bool finetune_write(const struct finetune *f, const struct finetune_files *to,
                    struct finetune_written *out)
{
    struct writing x = {.f = f, .to = to};
    bool ok;

    buf_init(&x.line, LINE_BYTES_MAX);
    ok = open_files(&x) && write_rows(&x);
    ok = close_files(&x) && ok;
    ok = ok && put_summary(&x);
    buf_release(&x.line);
    *out = (struct finetune_written){x.lines[0], x.lines[1]};
    return ok;
}
