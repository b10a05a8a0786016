#include "cli/json_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"

#define LINE_ARENA ((size_t)16 << 20)
#define LINE_DEPTH 32

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n")] == '\0';
}

static const char *take_line(struct span line, struct arena *scratch, json_lines_take_fn *take,
                             void *owner)
{
    struct json_error err;
    struct json *o;

    if (json_parse(scratch, line, LINE_DEPTH, &o, &err) != ST_OK || o->type != JSON_OBJECT)
        return "it is no JSON object";
    return take(owner, o);
}

static bool read_lines(FILE *f, const char *path, json_lines_take_fn *take, void *owner)
{
    struct arena scratch;
    const char *why = NULL;
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t n;

    arena_init(&scratch, 65536, LINE_ARENA);
    while (why == NULL && (n = getline(&line, &room, f)) > 0) {
        number++;
        if (!is_blank(line))
            why = take_line((struct span){line, (size_t)n}, &scratch, take, owner);
        arena_reset(&scratch);
    }
    if (why != NULL)
        fprintf(stderr, "ibid: %s: line %zu: %s\n", path, number, why);
    free(line);
    arena_release(&scratch);
    return why == NULL;
}

bool json_lines_read(const char *path, json_lines_take_fn *take, void *owner)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool ok;

    if (f == NULL) {
        fprintf(stderr, "ibid: cannot read '%s': %s\n", path, strerror(errno));
        return false;
    }
    ok = read_lines(f, path, take, owner);
    if (f != stdin)
        fclose(f);
    return ok;
}
