#include "flow/smuggling_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (4u * 1024 * 1024)

static bool put(struct buf *b, char c)
{
    return buf_append(b, (struct span){&c, 1}) == ST_OK;
}

/* "\x4f": two hexadecimal digits after the letter. */
static bool put_hex(struct buf *b, const char *digits)
{
    char text[3] = {digits[0], digits[0] != '\0' ? digits[1] : '\0', '\0'}, *end;
    unsigned long n = strtoul(text, &end, 16);

    return end == text + 2 && put(b, (char)n);
}

/* One character of the text, escapes undone; *p goes past it. */
static bool put_one(struct buf *b, const char **p)
{
    static const char names[] = "rnt0\\", values[] = "\r\n\t\0\\";
    const char *at;

    if (**p != '\\')
        return put(b, *(*p)++);
    (*p)++;
    if (**p == 'x') {
        *p += 3;
        return put_hex(b, *p - 2);
    }
    at = **p != '\0' ? strchr(names, **p) : NULL;
    (*p)++;
    return at != NULL && put(b, values[at - names]);
}

static bool put_text(struct buf *b, const char *p, unsigned repetition)
{
    unsigned n;
    char c;
    int used;

    while (*p != '\0') {
        used = 0;
        if (sscanf(p, "{%u %c}%n", &n, &c, &used) == 2 && used > 0) {
            for (unsigned i = 0; i < n; i++) {
                if (!put(b, c))
                    return false;
            }
            p += used;
        } else if (*p == '%' && repetition > 0) {
            if (buf_printf(b, "%u", repetition) != ST_OK)
                return false;
            p++;
        } else if (!put_one(b, &p)) {
            return false;
        }
    }
    return true;
}

static bool put_line(struct buf *b, const char *line)
{
    unsigned n;
    int used = 0;

    if (sscanf(line, "@ %u%n", &n, &used) != 1 || used == 0 || line[used] != ' ')
        return put_text(b, line, 0);
    for (unsigned i = 1; i <= n; i++) {
        if (!put_text(b, line + used + 1, i))
            return false;
    }
    return true;
}

static bool start_case(struct smuggling_case *c, const char *line)
{
    char expectation[32];

    buf_clear(&c->bytes);
    if (sscanf(line, "= %95s %31s", c->name, expectation) != 2)
        return false;
    c->refuse = strcmp(expectation, "refuse") == 0;
    return c->refuse || strcmp(expectation, "neutralise") == 0;
}

size_t smuggling_table_run(const char *path,
                           void (*run)(void *owner, const struct smuggling_case *c),
                           void *owner)
{
    FILE *f = fopen(path, "r");
    struct smuggling_case c = {.refuse = false};
    char line[4096];
    size_t cases = 0, at = 0;
    bool open = false, good = f != NULL;

    buf_init(&c.bytes, BYTES_MAX);
    while (good && fgets(line, sizeof(line), f) != NULL) {
        at++;
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' && open) {
            run(owner, &c);
            cases++;
            open = false;
        } else if (line[0] == '=') {
            good = !open && start_case(&c, line);
            open = true;
        } else if (open) {
            good = put_line(&c.bytes, line);
        }
    }
    if (!good)
        fprintf(stderr, "%s:%zu: not understood\n", path, at);
    if (f != NULL)
        fclose(f);
    buf_release(&c.bytes);
    return good && !open ? cases : 0;
}
