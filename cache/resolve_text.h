/* A turn of a conversation as words, and what some words of English do in it: what leans on the
 * turns before, what speaks of the persons who talk, what tells how to answer. Reading
 * allocates nothing. Any thread. */
#ifndef CACHE_RESOLVE_TEXT_H
#define CACHE_RESOLVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#define RESOLVE_TEXT_BYTES_MAX 300
#define RESOLVE_TEXT_WORDS_MAX 48
#define RESOLVE_TEXT_WORD_MAX  32

struct resolve_word {
    char low[RESOLVE_TEXT_WORD_MAX]; /* lower case, with NUL; a longer one is cut */
    size_t from, to;                 /* in the text */
    bool capital;                    /* … and not only because it is the first */
};

struct resolve_text {
    struct span text; /* borrowed; without blanks at its ends */
    struct resolve_word words[RESOLVE_TEXT_WORDS_MAX];
    size_t count;
    bool many; /* several sentences, or lines */
};

enum resolve_kind {
    RESOLVE_STOP = 1 << 0,   /* says little: the, of, is, what, … */
    RESOLVE_IT = 1 << 1,     /* it, its */
    RESOLVE_THEY = 1 << 2,   /* they, them, their */
    RESOLVE_LEANS = 1 << 3,  /* any other word that means something said before */
    RESOLVE_PERSON = 1 << 4, /* who talks: I, my, you */
    RESOLVE_TALK = 1 << 5,   /* the talk itself: again, instead, shorter */
    RESOLVE_MANNER =
        1 << 6, /* how to answer, which may hold for what follows: briefly, always */
    RESOLVE_STARTS = 1 << 7,   /* begins a whole question or a plain request */
    RESOLVE_RELATES = 1 << 8,  /* is one of something: symptoms, author, price */
    RESOLVE_NOT = 1 << 9,      /* turns a meaning round; a stop word never is one */
    RESOLVE_JOINS = 1 << 10,   /* names two things: and, or, than, between */
    RESOLVE_ENGLISH = 1 << 11, /* in no language near it: "was" and "is" are in others too */
};

/* false: beyond the limits, or empty. */
bool resolve_text_read(struct span s, struct resolve_text *out);
/* Bits of enum resolve_kind of one word. */
unsigned resolve_text_kind(const struct resolve_word *w);
/* Of all words together. */
unsigned resolve_text_kinds(const struct resolve_text *t);
bool resolve_text_is(const struct resolve_word *w, const char *word);
/* Ends like a plural. */
bool resolve_text_plural(const struct resolve_word *w);
/* The same but for an ending of possession or plural. */
bool resolve_text_same(const struct resolve_word *a, const struct resolve_word *b);
/* Where the words of `part`, from *at on, stand in a row in `t`; SIZE_MAX: they do not. */
size_t resolve_text_find(const struct resolve_text *t, const struct resolve_word *part,
                         size_t n);

#endif
