#include "cli/manifest.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/args.h"

/* The next blank-separated word of *line; empty at its end. */
static struct span take_word(struct span *line)
{
    struct span word;
    size_t n = 0;

    while (line->len > 0 && line->ptr[0] == ' ')
        *line = (struct span){line->ptr + 1, line->len - 1};
    while (n < line->len && line->ptr[n] != ' ')
        n++;
    word = (struct span){line->ptr, n};
    *line = (struct span){line->ptr + n, line->len - n};
    return word;
}

static enum status copy(struct span s, char *out, size_t cap)
{
    if (s.len == 0 || s.len >= cap)
        return s.len == 0 ? ST_INVALID : ST_LIMIT;
    memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return ST_OK;
}

static enum status number(struct span s, uint64_t *out)
{
    char text[24];
    enum status st = copy(s, text, sizeof(text));

    if (st != ST_OK)
        return st;
    return args_number(text, 1, UINT64_MAX, out) ? ST_OK : ST_INVALID;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum status hex(struct span s, struct digest *out)
{
    if (s.len != 2 * DIGEST_BYTES)
        return ST_INVALID;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        int high = nibble(s.ptr[2 * i]), low = nibble(s.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return ST_INVALID;
        out->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return ST_OK;
}

/* A name that is a file's own, not a way out of its folder. */
static enum status file_name(struct span s, char *out, size_t cap)
{
    if (s.len > 0 && (s.ptr[0] == '.' || memchr(s.ptr, '/', s.len) != NULL))
        return ST_INVALID;
    return copy(s, out, cap);
}

static enum status parse_members(struct manifest_file *f, struct span line)
{
    struct span word = take_word(&line);
    enum status st = ST_OK;

    if (word.len == 0)
        return ST_INVALID;
    for (; st == ST_OK && word.len > 0; word = take_word(&line)) {
        if (f->member_count == MANIFEST_PARTS_MAX)
            return ST_LIMIT;
        st = copy(word, f->members[f->member_count++], sizeof(f->members[0]));
    }
    return st;
}

static enum status parse_file(struct manifest_model *m, struct span line)
{
    struct manifest_file *f;
    enum status st;

    if (m->file_count == MANIFEST_FILES_MAX)
        return ST_LIMIT;
    f = &m->files[m->file_count];
    st = file_name(take_word(&line), f->name, sizeof(f->name));
    if (st == ST_OK)
        st = number(take_word(&line), &f->bytes);
    if (st == ST_OK)
        st = hex(take_word(&line), &f->sha256);
    if (st == ST_OK)
        st = parse_members(f, line);
    if (st == ST_OK)
        m->file_count++;
    return st;
}

static enum status parse_package(struct manifest_model *m, struct span line)
{
    struct manifest_package *p;
    enum status st;

    if (m->package_count == MANIFEST_PARTS_MAX)
        return ST_LIMIT;
    p = &m->packages[m->package_count++];
    st = copy(take_word(&line), p->name, sizeof(p->name));
    if (st == ST_OK)
        st = copy(take_word(&line), p->version, sizeof(p->version));
    if (st == ST_OK)
        st = number(take_word(&line), &p->bytes);
    return st;
}

static enum status begin(struct manifest *m, struct span name)
{
    if (m->count == MANIFEST_MODELS_MAX)
        return ST_LIMIT;
    memset(&m->models[m->count], 0, sizeof(m->models[m->count]));
    return file_name(name, m->models[m->count++].name, sizeof(m->models[0].name));
}

static enum status parse_line(struct manifest *m, struct span line)
{
    struct span word = take_word(&line);
    struct manifest_model *now = m->count > 0 ? &m->models[m->count - 1] : NULL;

    if (word.len == 0 || word.ptr[0] == '#')
        return ST_OK;
    if (span_eq(word, SPAN("model")))
        return begin(m, take_word(&line));
    if (now == NULL)
        return ST_INVALID;
    if (span_eq(word, SPAN("kind")))
        return copy(take_word(&line), now->kind, sizeof(now->kind));
    if (span_eq(word, SPAN("parameters")))
        return number(take_word(&line), &now->parameters);
    if (span_eq(word, SPAN("licence")))
        return copy(take_word(&line), now->licence, sizeof(now->licence));
    if (span_eq(word, SPAN("origin")))
        return copy((struct span){line.ptr + 1, line.len > 0 ? line.len - 1 : 0}, now->origin,
                    sizeof(now->origin));
    if (span_eq(word, SPAN("package")))
        return parse_package(now, line);
    if (span_eq(word, SPAN("file")))
        return parse_file(now, line);
    return ST_INVALID;
}

static enum status check_whole(const struct manifest *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct manifest_model *x = &m->models[i];

        if (x->kind[0] == '\0' || x->licence[0] == '\0' || x->package_count == 0 ||
            x->parameters == 0 || x->file_count == 0 || manifest_find(m, x->name) != x)
            return ST_INVALID;
    }
    return ST_OK;
}

enum status manifest_parse(struct span text, struct manifest *out, unsigned *line)
{
    out->count = 0;
    for (*line = 1; text.len > 0; ++*line) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t n = end != NULL ? (size_t)(end - text.ptr) : text.len;
        enum status st = parse_line(out, (struct span){text.ptr, n});

        if (st != ST_OK)
            return st;
        n += end != NULL;
        text = (struct span){text.ptr + n, text.len - n};
    }
    return check_whole(out);
}

uint64_t manifest_package_bytes(const struct manifest_model *m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < m->package_count; i++)
        sum += m->packages[i].bytes;
    return sum;
}

void manifest_builtin(struct manifest *out)
{
    unsigned line;

    if (manifest_parse(span_of(manifest_text), out, &line) != ST_OK) {
        fprintf(stderr, "models.manifest:%u: malformed\n", line);
        abort();
    }
}

const struct manifest_model *manifest_find(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->models[i].name, name) == 0)
            return &m->models[i];
    }
    return NULL;
}
