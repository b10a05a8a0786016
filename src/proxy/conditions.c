#include "proxy/conditions.h"

#include <stdint.h>
#include <string.h>

#include "config/config.h"
#include "http/head.h"

bool conditions_begins(struct span path, struct span start)
{
    return path.len >= start.len && memcmp(path.ptr, start.ptr, start.len) == 0 &&
           (path.len == start.len || path.ptr[start.len] == '/');
}

bool conditions_path(const char *start, const struct http_head *head)
{
    return start[0] == '\0' || (head != NULL && conditions_begins(head->path, span_of(start)));
}

bool conditions_header(const char *header, const struct http_head *head)
{
    const char *colon = strchr(header, ':');
    struct span name, value;

    if (colon == NULL)
        return true;
    name = (struct span){header, (size_t)(colon - header)};
    value = span_of(colon + 1 + strspn(colon + 1, " "));
    for (size_t i = 0; head != NULL && i < head->field_count; i++) {
        if (http_name_eq(head->fields[i].name, name) && span_eq(head->fields[i].value, value))
            return true;
    }
    return false;
}

/* '*' stands for any bytes, none included. A failed match goes back to the last star only,
 * so the work is bounded by the product of both lengths. */
static bool matches(struct span pattern, struct span s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, back = 0;

    while (i < s.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            back = i;
        } else if (p < pattern.len && pattern.ptr[p] == s.ptr[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

bool conditions_model(const char *patterns, struct span model)
{
    struct span list = span_of(patterns), pattern;

    while ((pattern = config_word(&list)).len > 0) {
        if (matches(pattern, model))
            return true;
    }
    return false;
}
