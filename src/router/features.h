/* What a text shows without a model: how long it is, how many figures and signs of mathematics
 * or code it has, what kind of question it asks. One pass over the bytes, no memory. */
#ifndef ROUTER_FEATURES_H
#define ROUTER_FEATURES_H

#include "base/span.h"

/* Of a longer text only the beginning is read; its length is the whole's. */
#define FEATURES_READ_MAX 16384

/* The order is that of the files of classifiers. */
enum feature {
    FEATURE_BYTES, /* counts are log(1 + n) */
    FEATURE_WORDS,
    FEATURE_DISTINCT,   /* words that differ, about */
    FEATURE_WORD_BYTES, /* mean length of a word */
    FEATURE_SENTENCES,
    FEATURE_LINES,
    FEATURE_OPTIONS, /* lines such as "A. …" or "2) …" */
    FEATURE_NUMBERS,
    FEATURE_DIGITS,
    FEATURE_DIGIT_SHARE, /* of all bytes */
    FEATURE_UPPER_SHARE,
    FEATURE_FOREIGN_SHARE, /* beyond ASCII */
    FEATURE_ENGLISH_SHARE, /* of the words, the commonest of English */
    FEATURE_MATHS,         /* = + * / ^ < > */
    FEATURE_MONEY,         /* $ % */
    FEATURE_BRACKETS,
    FEATURE_CODE, /* lines that end in ; { or }, and fences */
    FEATURE_QUESTIONS,
    FEATURE_BLANKS,    /* ___ */
    FEATURE_QUANTITY,  /* each, half, total … */
    FEATURE_NEGATIONS, /* these are 1 when there is any */
    FEATURE_CONDITIONS,
    FEATURE_HOW_MANY,
    FEATURE_WHAT,
    FEATURE_WHICH,
    FEATURE_WHY, /* why, explain, prove */
    FEATURES_COUNT,
};

/* FEATURES_COUNT values, all finite. Any bytes are a text. Any thread. */
void features_of(struct span text, double *out);

/* "words", "digit_share": for files and explanations. Static. */
const char *features_name(enum feature f);

#endif
