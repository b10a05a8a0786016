#define PCRE2_CODE_UNIT_WIDTH 8
#include "proxy/regex.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* Steps of one search (pcre2api(3), match_limit): about a millisecond of the loop. Its own
 * default is ten millions. */
#define MATCH_LIMIT 20000
#define DEPTH_LIMIT 1000
#define HEAP_LIMIT  1024 /* KiB */

struct regex {
    pcre2_code *code; /* owned, as the others */
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

void regex_close(struct regex *x)
{
    if (x == NULL)
        return;
    pcre2_code_free(x->code);
    pcre2_match_data_free(x->match);
    pcre2_match_context_free(x->limits);
    free(x);
}

static enum status compile(struct regex *x, const char *text, char *why, size_t why_cap)
{
    PCRE2_UCHAR trouble[160];
    PCRE2_SIZE at = 0;
    int error = 0;

    x->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                            &error, &at, NULL);
    if (x->code == NULL) {
        if (pcre2_get_error_message(error, trouble, sizeof(trouble)) < 0)
            trouble[0] = '\0';
        snprintf(why, why_cap, "at byte %zu: %s", (size_t)at, (const char *)trouble);
        return ST_INVALID;
    }
    /* Where it can not be had the interpreter serves. */
    (void)pcre2_jit_compile(x->code, PCRE2_JIT_COMPLETE);
    return ST_OK;
}

enum status regex_open(const char *text, struct regex **out, char *why, size_t why_cap)
{
    struct regex *x = calloc(1, sizeof(*x));
    enum status st = ST_NOMEM;

    snprintf(why, why_cap, "out of memory");
    if (x != NULL) {
        x->match = pcre2_match_data_create(1, NULL);
        x->limits = pcre2_match_context_create(NULL);
    }
    if (x != NULL && x->match != NULL && x->limits != NULL) {
        pcre2_set_match_limit(x->limits, MATCH_LIMIT);
        pcre2_set_depth_limit(x->limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(x->limits, HEAP_LIMIT);
        st = compile(x, text, why, why_cap);
    }
    if (st == ST_OK)
        *out = x;
    else
        regex_close(x);
    return st;
}

enum status regex_find(struct regex *x, struct span text)
{
    int rc = pcre2_match(x->code, (PCRE2_SPTR)(text.len > 0 ? text.ptr : ""), text.len, 0, 0,
                         x->match, x->limits);

    return rc == PCRE2_ERROR_NOMATCH ? ST_NOTFOUND : rc < 0 ? ST_LIMIT : ST_OK;
}
