/* What the slow upstream streams, so that who reads it knows every byte: event `i` of answer
 * `n`, then the end. Of bench/load/slow.c and crowd.c. */
#ifndef LOAD_SLOW_TEXT_H
#define LOAD_SLOW_TEXT_H

#include <stdio.h>

#define SLOW_EVENT_MAX 512

static inline int slow_event(char out[SLOW_EVENT_MAX], unsigned n, unsigned i)
{
    return snprintf(
        out, SLOW_EVENT_MAX,
        "data: "
        "{\"id\":\"chatcmpl-%u\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"stub-model\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"word%u-%"
        "u \"},"
        "\"finish_reason\":null}]}\n\n",
        n, i == 0 ? "\"role\":\"assistant\"," : "", n, i);
}

static inline int slow_end(char out[SLOW_EVENT_MAX], unsigned n)
{
    return snprintf(
        out, SLOW_EVENT_MAX,
        "data: "
        "{\"id\":\"chatcmpl-%u\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"stub-model\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
        "\"stop\"}]}\n\n"
        "data: [DONE]\n\n",
        n);
}

#endif
