/* A LoRA adapter (Hu et al. 2021): beside some matrices W of a decoder two small ones, so that
 * a product is
 *
 *     y = W x + (alpha / rank) B (A x),    A [rank][cols], B [rows][rank]
 *
 * The weights stay as they are: sequences with several adapters, or with none, share a pass.
 * File: GGUF as llama.cpp's convert_lora_to_gguf.py writes it (general.type adapter,
 * adapter.type lora, adapter.lora.alpha; tensors NAME.lora_a and NAME.lora_b). */
#ifndef ENGINE_DECODER_ADAPTER_H
#define ENGINE_DECODER_ADAPTER_H

#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/kernels/quant.h"
#include "engine/threads.h"

#define DECODER_ADAPTER_RANK_MAX 256

/* y[n][rows] was W of x[n][cols]. */
struct decoder_adapter_product {
    const struct quant_kernels *k;
    struct threads *threads;
    const struct quant_matrix *w; /* of the decoder's weights: known by its address */
    float *low;                   /* [QUANT_TOKENS][DECODER_ADAPTER_RANK_MAX], to work with */
    const float *x;
    size_t n;
    float *y;
    size_t ldy;
};

/* Adds what the adapter has for that matrix, if anything. What it computes for a column
 * depends on that column alone. */
void decoder_adapter_add(const struct decoder_adapter *a,
                         const struct decoder_adapter_product *p);

/* Not 0, and another one for another file: keys and values that were computed with an adapter
 * are of use for it alone. */
uint64_t decoder_adapter_partition(const struct decoder_adapter *a);

#endif
