#include "proxy/calibration.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/config_models.h"
#include "proxy/ladder.h"
#include "router/cascade.h"
#include "router/cascade_file.h"

static enum status read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    char piece[4096];
    enum status st = f != NULL ? ST_OK : ST_UNAVAILABLE;
    size_t n;

    while (st == ST_OK && (n = fread(piece, 1, sizeof(piece), f)) > 0)
        st = buf_append(out, (struct span){piece, n});
    if (st == ST_OK && ferror(f))
        st = ST_UNAVAILABLE;
    if (f != NULL)
        fclose(f);
    return st;
}

static enum status read_cascade(const char *name, struct span text, struct cascade *out,
                                char *why, size_t why_cap)
{
    char trouble[160] = "";
    struct buf file;
    enum status st = ST_OK;

    buf_init(&file, CASCADE_FILE_MAX_BYTES);
    if (strcmp(name, "default") != 0) {
        st = read_file(name, &file);
        text = buf_span(&file);
        if (st != ST_OK)
            snprintf(why, why_cap, "cannot read '%s': %s", name,
                     st == ST_LIMIT ? "it is no such file" : strerror(errno));
    }
    if (st == ST_OK) {
        st = cascade_file_read(text, out, trouble, sizeof(trouble));
        if (st != ST_OK)
            snprintf(why, why_cap, "'%s': %s", name, trouble);
    }
    buf_release(&file);
    return st;
}

static bool has_word(struct span list, struct span word)
{
    struct span w;

    while ((w = config_word(&list)).len > 0) {
        if (span_eq(w, word))
            return true;
    }
    return false;
}

/* Whose answers will be looked at: are they those that it was learned from? */
static void check_models(const struct cascade *cascade, const struct config *c, char *why,
                         size_t why_cap)
{
    struct ladder l;

    ladder_init(&l, c);
    for (size_t i = 0; cascade->models[0] != '\0' && why[0] == '\0' && i < l.count; i++) {
        struct config_model m;

        config_models_get(c, l.rungs[i].model, &m);
        if (!has_word(span_of(cascade->models), span_of(m.name)))
            snprintf(why, why_cap,
                     "route.cascade was learned from answers of %s, not of %s: what it says of "
                     "these is a guess; see 'ibid tune cascade'",
                     cascade->models, m.name);
    }
}

enum status calibration_open(const struct config *c, struct span default_text,
                             struct cascade **out, char *why, size_t why_cap)
{
    struct cascade *made;
    enum status st;

    *out = NULL;
    why[0] = '\0';
    if (strcmp(c->route.cascade, "off") == 0)
        return ST_OK;
    made = malloc(sizeof(*made));
    if (made == NULL) {
        snprintf(why, why_cap, "out of memory");
        return ST_NOMEM;
    }
    st = read_cascade(c->route.cascade, default_text, made, why, why_cap);
    if (st != ST_OK) {
        free(made);
        return st;
    }
    check_models(made, c, why, why_cap);
    *out = made;
    return ST_OK;
}

void calibration_close(struct cascade *c)
{
    free(c);
}
