/* The kinds of encoders: one table for the readers of files, the loader and the forward
 * pass. All are the same loop (encoder_forward.c); what differs is said here.
 *
 * bert        Devlin et al. 2018: learned positions, biases, GELU. XLM-RoBERTa is the same
 *             with positions that begin at another row
 * nomic-bert  Nussbaum et al. 2024: rotary positions, SwiGLU, no biases
 * static      model2vec (Tulkens and van Dongen 2024): a table of words and no layer at all */
#ifndef ENGINE_ENCODER_ARCHITECTURE_H
#define ENGINE_ENCODER_ARCHITECTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum encoder_format { ENCODER_SAFETENSORS, ENCODER_GGUF, ENCODER_FORMATS };

/* Names of tensors in one format, without ".weight"; NULL: the architecture has none. Those
 * from `q` on stand behind `layer` and its number. */
struct encoder_names {
    const char *words, *positions, *types, *norm;
    const char *layer;
    const char *q, *k, *v; /* k NULL: q is all three, one below the other */
    const char *out, *up, *gate, *down;
    const char *after_attention, *after_feed; /* norms */
};

struct encoder_architecture {
    const char *name;
    bool rotary; /* positions turn queries and keys, NEOX order; else they are added */
    bool biases;
    bool gated; /* the feed-forward is up * silu(gate); else gelu(up) */
    bool bare;  /* texts have no special tokens, and words that are not known are left out */
    struct encoder_names names[ENCODER_FORMATS];
};

/* As GGUF's general.architecture names it; NULL: none. */
const struct encoder_architecture *encoder_architecture_find(struct span name);

/* What is supported, for refusals: "bert, nomic-bert, …". */
const char *encoder_architecture_list(void);

#endif
