#include "privacy/classes.h"

const char *privacy_class_name(enum privacy_class c)
{
    static const char *const names[] = {
#define X(id, name, word) name,
        PRIVACY_CLASS_MAP(X)
#undef X
    };

    return names[c];
}

const char *privacy_class_word(enum privacy_class c)
{
    static const char *const words[] = {
#define X(id, name, word) word,
        PRIVACY_CLASS_MAP(X)
#undef X
    };

    return words[c];
}
