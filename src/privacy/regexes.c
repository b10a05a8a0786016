#define PCRE2_CODE_UNIT_WIDTH 8
#include "privacy/regexes.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "privacy/finder.h"

/* Steps of one search (pcre2api(3), match_limit): about ten milliseconds. Its own default is
 * ten millions. */
#define MATCH_LIMIT 200000
#define DEPTH_LIMIT 10000
#define HEAP_LIMIT  4096 /* KiB */
#define JIT_STACK   (256u * 1024)

struct regexes {
    pcre2_code *code[FINDER_PATTERNS_MAX]; /* owned, as all below */
    size_t count;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
};

void regexes_close(struct regexes *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        pcre2_code_free(s->code[i]);
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->limits);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

static enum status open_limits(struct regexes *s)
{
    s->match = pcre2_match_data_create(1, NULL);
    s->limits = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK, NULL);
    if (s->match == NULL || s->limits == NULL)
        return ST_NOMEM;
    pcre2_set_match_limit(s->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(s->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(s->limits, HEAP_LIMIT);
    /* Without one it has the thread's, of 32 KiB. */
    if (s->stack != NULL)
        pcre2_jit_stack_assign(s->limits, NULL, s->stack);
    return ST_OK;
}

enum status regexes_open(const struct finder_pattern *list, size_t count, struct regexes **out,
                         char *why, size_t why_cap)
{
    struct regexes *s = calloc(1, sizeof(*s));
    enum status st = s != NULL ? open_limits(s) : ST_NOMEM;

    for (size_t i = 0; st == ST_OK && i < count; i++) {
        PCRE2_UCHAR text[160];
        PCRE2_SIZE at = 0;
        int error = 0;

        s->code[i] = pcre2_compile(
            (PCRE2_SPTR)list[i].regex, PCRE2_ZERO_TERMINATED,
            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at, NULL);
        if (s->code[i] == NULL) {
            if (pcre2_get_error_message(error, text, sizeof(text)) < 0)
                text[0] = '\0';
            snprintf(why, why_cap, "pattern '%s', at byte %zu: %s", list[i].name, (size_t)at,
                     (const char *)text);
            st = ST_INVALID;
            break;
        }
        s->count = i + 1;
        /* Where it can not be had the interpreter serves. */
        (void)pcre2_jit_compile(s->code[i], PCRE2_JIT_COMPLETE);
    }
    if (st == ST_NOMEM)
        snprintf(why, why_cap, "no memory for the patterns");
    if (st != ST_OK)
        regexes_close(s);
    else
        *out = s;
    return st;
}

enum status regexes_next(struct regexes *s, size_t i, struct span text, size_t from, size_t *at,
                         size_t *len)
{
    const PCRE2_SIZE *place = pcre2_get_ovector_pointer(s->match);
    int rc = pcre2_match(s->code[i], (PCRE2_SPTR)text.ptr, text.len, from, PCRE2_NOTEMPTY,
                         s->match, s->limits);

    if (rc == PCRE2_ERROR_NOMATCH)
        return ST_NOTFOUND;
    if (rc < 0)
        return ST_LIMIT;
    /* \K can put the start behind the end. */
    if (place[0] >= place[1] || place[0] < from)
        return ST_NOTFOUND;
    *at = place[0];
    *len = place[1] - place[0];
    return ST_OK;
}
