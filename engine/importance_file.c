/* llama.cpp's layout (tools/imatrix of 0c1e57098bba): for each tensor NAME the sums of squares
 * NAME.in_sum2 [matrices][cols] and how many went into them, NAME.counts [matrices][1], all
 * F32; and of the text imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size. */
#include "engine/importance_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/format.h"
#include "engine/gguf.h"
#include "engine/gguf_save.h"
#include "engine/new_file.h"

#define SUMS        ".in_sum2"
#define COUNTS      ".counts"
#define NAME_BYTES  288 /* of a tensor, with the longer ending */
#define ARENA_LIMIT (64u * 1024 * 1024)

/* --- reading ---------------------------------------------------------------------------- */

static bool ends_with(struct span s, const char *end, struct span *before)
{
    size_t n = strlen(end);

    if (s.len <= n || memcmp(s.ptr + s.len - n, end, n) != 0)
        return false;
    *before = (struct span){s.ptr, s.len - n};
    return true;
}

/* F32 [rows][cols], or a vector where one of them is 1; NULL with a word: it is not. */
static const char *values_of(const struct gguf_tensor *t, size_t rows, size_t cols,
                             struct engine_error *err)
{
    size_t n = 1;

    for (unsigned i = 0; i < t->dims; i++)
        n *= (size_t)t->shape[i]; /* the reader has bounded the product */
    if (t->type == FORMAT_F32 && t->dims <= 2 && n == rows * cols)
        return t->data.ptr;
    (void)error_set(err, ST_INVALID, "tensor '%.*s' is not %zu times %zu F32 values",
                    (int)t->name.len, t->name.ptr, rows, cols);
    return NULL;
}

static float float_at(const char *p, size_t i)
{
    float v;

    memcpy(&v, p + i * sizeof(v), sizeof(v));
    return v;
}

/* Sums [matrices][cols] and counts [matrices]; a mean square is one column of its root. */
static enum status take(struct importance *m, struct span name, const struct gguf_tensor *sums,
                        const struct gguf_tensor *counts, struct engine_error *err)
{
    size_t cols = (size_t)sums->shape[0], n = sums->dims > 1 ? (size_t)sums->shape[1] : 1;
    const char *s = values_of(sums, n, cols, err), *c = values_of(counts, n, 1, err);
    float *root = malloc(cols * sizeof(*root));
    enum status st = root != NULL ? ST_OK : error_set(err, ST_NOMEM, "out of memory");

    if (st == ST_OK && (s == NULL || c == NULL))
        st = ST_INVALID;
    for (size_t k = 0; st == ST_OK && k < n; k++) {
        float count = float_at(c, k);

        for (size_t i = 0; i < cols; i++) {
            float v = float_at(s, k * cols + i);

            if (!(v >= 0) || !isfinite(v) || !(count >= 0) || !isfinite(count))
                st = ST_INVALID;
            root[i] = st == ST_OK && count > 0 ? sqrtf(v / count) : 0;
        }
        if (st != ST_OK)
            (void)error_set(err, st, "tensor '%.*s' holds what is no sum of squares",
                            (int)sums->name.len, sums->name.ptr);
        else if (importance_add(m, name, n, k, root, 1, cols) != ST_OK)
            st = error_set(err, ST_NOMEM, "out of memory");
    }
    free(root);
    return st;
}

static enum status take_all(struct importance *m, const struct gguf *g,
                            struct engine_error *err)
{
    enum status st = ST_OK;
    struct span name;

    for (size_t i = 0; st == ST_OK && i < g->tensor_count; i++) {
        const struct gguf_tensor *counts;
        char key[NAME_BYTES];

        if (!ends_with(g->tensors[i].name, SUMS, &name))
            continue;
        snprintf(key, sizeof(key), "%.*s" COUNTS, (int)name.len, name.ptr);
        counts = gguf_tensor_find(g, key);
        if (counts == NULL)
            return error_set(err, ST_INVALID, "tensor '%s' is missing", key);
        st = take(m, name, &g->tensors[i], counts, err);
    }
    return st;
}

enum status importance_file_load(struct importance *m, const char *path,
                                 struct engine_error *err)
{
    struct file file = {{NULL, 0}};
    struct arena arena;
    struct gguf g;
    uint64_t chunks;
    enum status st = file_map(path, &file, err);

    arena_init(&arena, 1 << 16, ARENA_LIMIT);
    if (st == ST_OK)
        st = gguf_read(file.bytes, &arena, &g, err);
    if (st == ST_OK && !span_eq(gguf_string(&g, "general.type"), SPAN("imatrix")))
        st = error_set(err, ST_INVALID,
                       "it is no importance matrix: its general.type is not 'imatrix'");
    if (st == ST_OK)
        st = take_all(m, &g, err);
    if (st == ST_OK && gguf_u64(&g, "imatrix.chunk_count", &chunks))
        m->chunks = (uint32_t)chunks;
    arena_release(&arena);
    file_release(&file);
    return st;
}

/* --- writing ---------------------------------------------------------------------------- */

/* What a file holds, as the writer of GGUF takes it. */
struct image {
    struct gguf g;
    struct gguf_pair pairs[4];
    struct gguf_tensor *tensors; /* owned: sums and counts of each in turn */
    char *names;                 /* owned, [2 count][NAME_BYTES] */
    uint32_t *types;             /* owned */
};

static void image_tensor(struct image *im, size_t i, const struct importance_tensor *t,
                         const char *ending, size_t cols)
{
    char *name = im->names + i * NAME_BYTES;
    int n = snprintf(name, NAME_BYTES, "%.*s%s", (int)t->name.len, t->name.ptr, ending);

    im->types[i] = FORMAT_F32;
    im->tensors[i] = (struct gguf_tensor){
        .name = {name, (size_t)n}, .dims = 2, .shape = {cols, t->matrices}, .type = FORMAT_F32};
}

static bool image_init(struct image *im, const struct importance *m)
{
    size_t n = 2 * m->count + 1;

    *im = (struct image){.g = {.tensor_count = 2 * m->count}};
    im->tensors = calloc(n, sizeof(*im->tensors));
    im->names = calloc(n, NAME_BYTES);
    im->types = calloc(n, sizeof(*im->types));
    if (im->tensors == NULL || im->names == NULL || im->types == NULL)
        return false;
    for (size_t i = 0; i < m->count; i++) {
        image_tensor(im, 2 * i, &m->list[i], COUNTS, 1);
        image_tensor(im, 2 * i + 1, &m->list[i], SUMS, m->list[i].cols);
    }
    im->g.tensors = im->tensors;
    return true;
}

static void image_release(struct image *im)
{
    free(im->tensors);
    free(im->names);
    free(im->types);
}

static enum status save_tensor(struct gguf_save *s, const struct importance_tensor *t)
{
    enum status st = ST_OK;

    for (size_t k = 0; st == ST_OK && k < t->matrices; k++) {
        float v = (float)t->counts[k];

        st = gguf_save_data(s, &v, sizeof(v));
    }
    if (st == ST_OK)
        st = gguf_save_pad(s);
    for (size_t i = 0; st == ST_OK && i < t->matrices * t->cols; i++) {
        float v = (float)t->sums[i];

        st = gguf_save_data(s, &v, sizeof(v));
    }
    return st == ST_OK ? gguf_save_pad(s) : st;
}

static enum status save_all(const struct importance *m, FILE *file, struct span text)
{
    uint64_t len = text.len;
    char *texts = malloc(sizeof(len) + text.len);
    struct gguf_save s;
    struct image im;
    enum status st = image_init(&im, m) && texts != NULL ? ST_OK : ST_NOMEM;

    if (st == ST_OK) {
        memcpy(texts, &len, sizeof(len));
        memcpy(texts + sizeof(len), text.ptr, text.len);
        im.pairs[0] = (struct gguf_pair){
            .key = SPAN("general.type"), .kind = GGUF_STRING, .value = SPAN("imatrix")};
        im.pairs[1] = (struct gguf_pair){.key = SPAN("imatrix.datasets"),
                                         .kind = GGUF_ARRAY,
                                         .value = {texts, sizeof(len) + text.len},
                                         .element = GGUF_STRING,
                                         .count = 1};
        im.pairs[2] = (struct gguf_pair){.key = SPAN("imatrix.chunk_count"),
                                         .kind = GGUF_U32,
                                         .value = {(const char *)&m->chunks, 4}};
        im.pairs[3] = (struct gguf_pair){.key = SPAN("imatrix.chunk_size"),
                                         .kind = GGUF_U32,
                                         .value = {(const char *)&m->chunk, 4}};
        im.g.pairs = im.pairs;
        im.g.pair_count = ARRAY_LEN(im.pairs);
        st = gguf_save_open(&s, file, &im.g, im.types, GGUF_SAVE_NO_TYPE);
    }
    for (size_t i = 0; st == ST_OK && i < m->count; i++)
        st = save_tensor(&s, &m->list[i]);
    image_release(&im);
    free(texts);
    return st;
}

enum status importance_file_save(const struct importance *m, const char *path, struct span text,
                                 struct engine_error *err)
{
    struct new_file f;
    enum status st = new_file_open(&f, path, err);

    if (st != ST_OK)
        return st;
    st = save_all(m, f.file, text);
    if (st == ST_NOMEM)
        (void)error_set(err, st, "out of memory");
    return new_file_close(&f, st, err);
}
