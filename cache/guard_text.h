/* A question as words: what every guard looks at. Reading allocates nothing and takes any
 * bytes; what is beyond the limits is not looked at. Any thread. */
#ifndef CACHE_GUARD_TEXT_H
#define CACHE_GUARD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define GUARD_TEXT_WORDS_MAX 160
#define GUARD_TEXT_BYTES_MAX 4096
#define GUARD_TEXT_NONE      SIZE_MAX

struct guard_word {
    struct span raw;  /* lower case, as written; abbreviations and contractions spelled out */
    struct span text; /* the same in the singular */
    struct span base; /* the same without -ed and -ing */
    uint32_t hash;    /* of the base */
    bool inflected;   /* it had one of these endings */
    bool capital;     /* begins with a capital, and not only because a sentence does */
    bool opens;       /* the first of a sentence, or of what stands in brackets */
    bool stop;        /* a, the, of, is, …: says little */
    bool code;      /* in quotation marks or backquotes, or a path, flag, file name, address */
    double weight;  /* what it says: .15 (stop words) to 1.5 (words nobody uses) */
    size_t partner; /* the equal word of the other question; GUARD_TEXT_NONE: it has none */
    bool joined;    /* it is half of its partner: "chat room" / "chatroom" */

    bool number;
    bool soft;    /* may be none: "one", "first", "half" */
    bool ordinal; /* "second", "3rd" */
    double count; /* NAN: decisive, but no quantity ("2fa", "v1.2") */
    char
        unit; /* kind of unit, see guard_quantity.c; 0: none. Also of a unit without a number */
    double factor; /* of the unit, to the base of its kind; 1 without one */
};

struct guard_text {
    struct guard_word words[GUARD_TEXT_WORDS_MAX];
    size_t count;
    char bytes[GUARD_TEXT_BYTES_MAX * 2];
    size_t used;
};

void guard_text_read(struct span s, struct guard_text *out);

/* The word as written is `word`. */
bool guard_text_is(const struct guard_word *w, const char *word);
/* … is one of a list that NULL ends. */
bool guard_text_among(const struct guard_word *w, const char *const *list);
/* Where `word` stands, or GUARD_TEXT_NONE. */
size_t guard_text_find(const struct guard_text *t, const char *word);
/* It begins as what yes or no answers: "is …", "do …", "can …". */
bool guard_text_asks_yes(const struct guard_text *t);
/* Without its plural and inflection it is the same. */
bool guard_text_same(const struct guard_word *a, const struct guard_word *b);

#endif
