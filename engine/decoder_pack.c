#include "engine/decoder_pack.h"

#include <stdatomic.h>

#include "engine/kernels/quant_pack.h"

#define PART_BYTES (256u * 1024) /* that a thread packs at a time, at least */

struct packer {
    struct threads *threads;
    const struct quant_matrix *w; /* the one at hand */
    _Atomic bool failed;
};

static void pack_part(void *arg, size_t from, size_t to)
{
    struct packer *p = arg;

    /* Borrowed from a file that decoder.c owns and has made writable. */
    if (quant_pack_part(p->w, (uint8_t *)(uintptr_t)p->w->data, from, to) != ST_OK)
        atomic_store(&p->failed, true);
}

/* What the architecture has not got is empty. */
static enum status pack(struct packer *p, struct quant_matrix *w)
{
    size_t strips = w->data != NULL ? quant_pack_strips(w) : 0;

    if (strips == 0)
        return ST_OK;
    p->w = w;
    threads_run(p->threads, strips, 1 + PART_BYTES / (QUANT_PACK_ROWS * w->row_bytes),
                pack_part, p);
    if (atomic_load(&p->failed))
        return ST_NOMEM;
    w->packed = strips * QUANT_PACK_ROWS;
    return ST_OK;
}

static enum status pack_feed(struct packer *p, struct decoder_feed *f)
{
    enum status st = pack(p, &f->gate);

    if (st == ST_OK)
        st = pack(p, &f->up);
    return st == ST_OK ? pack(p, &f->down) : st;
}

static enum status pack_experts(struct packer *p, struct decoder_experts *x, size_t count)
{
    enum status st = pack(p, &x->router);

    for (size_t e = 0; st == ST_OK && e < count; e++)
        st = pack_feed(p, &x->list[e]);
    return st == ST_OK ? pack_feed(p, &x->shared) : st;
}

static enum status pack_layer(struct packer *p, struct decoder_layer *l, size_t experts)
{
    struct quant_matrix *const list[] = {&l->q, &l->k, &l->v, &l->o};
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(list); i++)
        st = pack(p, list[i]);
    if (st != ST_OK)
        return st;
    return l->experts != NULL ? pack_experts(p, l->experts, experts) : pack_feed(p, &l->feed);
}

enum status decoder_pack(struct decoder_weights *w, struct threads *t)
{
    bool tied = w->head.data == w->embeddings.data;
    struct packer p = {.threads = t};
    enum status st = pack(&p, &w->head);

    if (tied)
        w->embeddings = w->head;
    for (size_t i = 0; st == ST_OK && i < w->shape.layers; i++)
        st = pack_layer(&p, &w->layers[i], w->shape.experts);
    return st;
}
