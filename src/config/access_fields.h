/* What a line of the access log may hold; there is no word for a prompt, an answer, a query or
 * a credential. Read-only; any thread. */
#ifndef CONFIG_ACCESS_FIELDS_H
#define CONFIG_ACCESS_FIELDS_H

#define ACCESS_FIELD_MAP(X)                                                                    \
    X(TIME, "time")                                                                            \
    X(METHOD, "method")                                                                        \
    X(PATH, "path")                                                                            \
    X(STATUS, "status")                                                                        \
    X(SOURCE, "source")                                                                        \
    X(DIALECT, "dialect")                                                                      \
    X(MODEL, "model")                                                                          \
    X(UPSTREAM, "upstream")                                                                    \
    X(DURATION_MS, "duration_ms")                                                              \
    X(PROMPT_TOKENS, "prompt_tokens")                                                          \
    X(COMPLETION_TOKENS, "completion_tokens")                                                  \
    X(USD, "usd")                                                                              \
    X(MISS_REASON, "miss_reason")                                                              \
    X(WHOLE, "whole")                                                                          \
    X(TENANT, "tenant")                                                                        \
    X(PEER, "peer")                                                                            \
    X(TRACE_ID, "trace_id")

enum access_field {
#define X(name, text) ACCESS_##name,
    ACCESS_FIELD_MAP(X)
#undef X
        ACCESS_FIELDS /* how many there are */
};

#endif
