/* Who gave an answer: the value of x-ibid-source, and a label of the metrics. */
#ifndef PROXY_SOURCE_H
#define PROXY_SOURCE_H

#define SOURCE_MAP(X)                                                                          \
    X(NONE, "none") /* none yet, or an error of our own */                                     \
    X(EXACT, "exact")                                                                          \
    X(SEMANTIC, "semantic")                                                                    \
    X(COALESCED, "coalesced")                                                                  \
    X(LOCAL, "local")                                                                          \
    X(UPSTREAM, "upstream")

enum source {
#define X(name, text) SOURCE_##name,
    SOURCE_MAP(X)
#undef X
};

#define SOURCE_COUNT 6

/* "exact". Never NULL. */
const char *source_name(enum source s);

#endif
