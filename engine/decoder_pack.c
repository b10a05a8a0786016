#include "engine/decoder_pack.h"

#include "engine/kernels/quant_pack.h"

/* What the architecture has not got is empty. */
static enum status pack(struct quant_matrix *w)
{
    if (w->data == NULL)
        return ST_OK;
    /* Borrowed from a file that decoder.c owns and has made writable. */
    return quant_pack(w, (uint8_t *)(uintptr_t)w->data);
}

static enum status pack_feed(struct decoder_feed *f)
{
    enum status st = pack(&f->gate);

    if (st == ST_OK)
        st = pack(&f->up);
    return st == ST_OK ? pack(&f->down) : st;
}

static enum status pack_experts(struct decoder_experts *x, size_t count)
{
    enum status st = pack(&x->router);

    for (size_t e = 0; st == ST_OK && e < count; e++)
        st = pack_feed(&x->list[e]);
    return st == ST_OK ? pack_feed(&x->shared) : st;
}

static enum status pack_layer(struct decoder_layer *l, size_t experts)
{
    struct quant_matrix *const list[] = {&l->q, &l->k, &l->v, &l->o};
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(list); i++)
        st = pack(list[i]);
    if (st != ST_OK)
        return st;
    return l->experts != NULL ? pack_experts(l->experts, experts) : pack_feed(&l->feed);
}

enum status decoder_pack(struct decoder_weights *w)
{
    bool tied = w->head.data == w->embeddings.data;
    enum status st = pack(&w->head);

    if (tied)
        w->embeddings = w->head;
    for (size_t i = 0; st == ST_OK && i < w->shape.layers; i++)
        st = pack_layer(&w->layers[i], w->shape.experts);
    return st;
}
