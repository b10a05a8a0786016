#include "cache/bounded_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "cache/answer_groups.h"
#include "cache/bounded.h"

#define PATH_BYTES    2048
#define CHECKSUM_SEED 0x626f756eu
#define VERSION       2
/* Of both; more is not one of ours. */
#define COUNT_MAX (1u << 24)

struct head {
    char magic[8];
    uint32_t version, model_bytes;
    uint64_t models, groups;
    uint64_t checksum; /* of what follows */
};

static const char magic[8] = "ibidbnd";

static bool path_of(const char *data_dir, const char *ending, char *out)
{
    int n;

    if (data_dir == NULL || data_dir[0] == '\0')
        return false;
    n = snprintf(out, PATH_BYTES, "%s/bounded%s", data_dir, ending);
    return n > 0 && n < PATH_BYTES;
}

static size_t body_bytes(uint64_t models, uint64_t groups)
{
    return (size_t)(models + 1) * sizeof(struct bounded_model) +
           (size_t)groups * sizeof(struct answer_group);
}

/* The model of all, the others, the groups from the oldest. */
static void fill(char *at, const struct bounded_contents *c)
{
    memcpy(at, c->all, sizeof(*c->all));
    at += sizeof(*c->all);
    if (c->model_count > 0)
        memcpy(at, c->models, c->model_count * sizeof(*c->models));
    at += c->model_count * sizeof(*c->models);
    for (size_t i = 0; i < c->groups->count; i++) {
        struct answer_group g = answer_groups_at(c->groups, i);

        memcpy(at, &g, sizeof(g));
        at += sizeof(g);
    }
}

static bool write_bytes(const char *path, const struct head *h, const char *body, size_t n)
{
    FILE *f = fopen(path, "we");
    bool ok;

    if (f == NULL)
        return false;
    ok = fwrite(h, sizeof(*h), 1, f) == 1 && fwrite(body, 1, n, f) == n;
    return fclose(f) == 0 && ok;
}

enum status bounded_file_write(const char *data_dir, const struct bounded_contents *c)
{
    char path[PATH_BYTES], temp[PATH_BYTES];
    struct head h = {.version = VERSION,
                     .model_bytes = sizeof(struct bounded_model),
                     .models = c->model_count,
                     .groups = c->groups->count};
    size_t n = body_bytes(h.models, h.groups);
    char *body;
    bool ok;

    if (!path_of(data_dir, "", path) || !path_of(data_dir, ".new", temp))
        return ST_OK;
    body = malloc(n);
    if (body == NULL)
        return ST_NOMEM;
    memcpy(h.magic, magic, sizeof(magic));
    fill(body, c);
    h.checksum = hash_bytes((struct span){body, n}, CHECKSUM_SEED);
    ok = write_bytes(temp, &h, body, n) && rename(temp, path) == 0;
    if (!ok)
        log_at(LOG_WARN, NULL, kv_event("bounded_not_written"), kv_str("path", path),
               kv_str("why", strerror(errno)));
    free(body);
    return ok ? ST_OK : ST_UNAVAILABLE;
}

static bool is_sound(const struct bounded_model *m)
{
    for (int i = 0; i < LOGISTIC_INPUTS; i++) {
        if (!isfinite(m->logistic.weight[i]))
            return false;
    }
    return isfinite(m->spent) && m->recent > 0 && m->requests > 0 && m->expected > 0;
}

static int last_used_first(const void *x, const void *y)
{
    const struct bounded_model *a = x, *b = y;

    return (a->used < b->used) - (a->used > b->used);
}

static void take_models(const char *at, size_t n, struct bounded_contents *c)
{
    struct bounded_model *all = malloc((n + 1) * sizeof(*all));

    c->model_count = 0;
    if (all == NULL)
        return;
    if (n > 0)
        memcpy(all, at, n * sizeof(*all));
    qsort(all, n, sizeof(*all), last_used_first);
    for (size_t i = 0; i < n && c->model_count < c->models_max; i++) {
        if (is_sound(&all[i]))
            c->models[c->model_count++] = all[i];
    }
    free(all);
}

static void take(const char *body, const struct head *h, struct bounded_contents *c)
{
    struct bounded_model all;

    memcpy(&all, body, sizeof(all));
    if (is_sound(&all))
        *c->all = all;
    body += sizeof(all);
    take_models(body, (size_t)h->models, c);
    body += h->models * sizeof(struct bounded_model);
    for (uint64_t i = 0; i < h->groups; i++) {
        struct answer_group g;

        memcpy(&g, body + i * sizeof(g), sizeof(g));
        answer_groups_put(c->groups, g);
    }
}

/* NULL, or what is wrong. */
static const char *read_file(FILE *f, struct bounded_contents *c)
{
    struct head h;
    char *body;
    size_t n;
    bool whole;

    if (fread(&h, sizeof(h), 1, f) != 1 || memcmp(h.magic, magic, sizeof(magic)) != 0)
        return "it is not a file of ours";
    if (h.version != VERSION || h.model_bytes != sizeof(struct bounded_model))
        return "it is of another version";
    if (h.models > COUNT_MAX || h.groups > COUNT_MAX)
        return "it is harmed";
    n = body_bytes(h.models, h.groups);
    body = malloc(n);
    if (body == NULL)
        return "out of memory";
    whole = fread(body, 1, n, f) == n && fgetc(f) == EOF &&
            hash_bytes((struct span){body, n}, CHECKSUM_SEED) == h.checksum;
    if (whole)
        take(body, &h, c);
    free(body);
    return whole ? NULL : "it is harmed";
}

enum status bounded_file_read(const char *data_dir, struct bounded_contents *c)
{
    char path[PATH_BYTES];
    const char *why;
    FILE *f;

    if (!path_of(data_dir, "", path))
        return ST_NOTFOUND;
    f = fopen(path, "re");
    if (f == NULL && errno == ENOENT)
        return ST_NOTFOUND;
    why = f != NULL ? read_file(f, c) : strerror(errno);
    if (f != NULL)
        fclose(f);
    if (why == NULL)
        return ST_OK;
    log_at(LOG_WARN, NULL, kv_event("bounded_not_read"), kv_str("path", path),
           kv_str("why", why));
    return ST_INVALID;
}
