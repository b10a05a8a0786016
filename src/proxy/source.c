#include "proxy/source.h"

const char *source_name(enum source s)
{
    static const char *const names[SOURCE_COUNT] = {
#define X(name, text) [SOURCE_##name] = text,
        SOURCE_MAP(X)
#undef X
    };

    return names[s];
}
