#include "cli/model_files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "cli/manifest.h"

#define NOTE       ".verified"
#define READ_BYTES (256 * 1024)
#define LINE_BYTES 512
#define NS_PER_S   INT64_C(1000000000)
#define LEVELS     5 /* of folders that bytes and remove go down; pip nests three */

bool model_files_join(char out[MODEL_FILES_PATH], const char *dir, const char *name)
{
    int n = snprintf(out, MODEL_FILES_PATH, "%s/%s", dir, name);

    return n >= 0 && n < MODEL_FILES_PATH;
}

bool model_files_mkdir(const char *path)
{
    char part[MODEL_FILES_PATH];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return false;
        part[i] = path[i];
    }
    return true;
}

/* --- the note ---------------------------------------------------------------------- */

/* "DIGEST SIZE TIME NAME": what the note says of a file that has not changed. */
static bool note_line(const char *folder, const struct manifest_file *f, char *out, size_t cap)
{
    char path[MODEL_FILES_PATH], digest[2 * DIGEST_BYTES + 1];
    struct stat info;
    int n;

    if (!model_files_join(path, folder, f->name) || stat(path, &info) != 0 ||
        (uint64_t)info.st_size != f->bytes)
        return false;
    digest_hex(f->sha256.bytes, DIGEST_BYTES, digest);
    n = snprintf(out, cap, "%s %" PRIu64 " %" PRId64 " %s\n", digest, f->bytes,
                 (int64_t)info.st_mtim.tv_sec * NS_PER_S + info.st_mtim.tv_nsec, f->name);
    return n >= 0 && (size_t)n < cap;
}

bool model_files_present(const char *folder, const struct manifest_model *m)
{
    char line[LINE_BYTES];
    bool present = true;

    for (size_t i = 0; present && i < m->file_count; i++)
        present = note_line(folder, &m->files[i], line, sizeof(line));
    return present;
}

bool model_files_noted(const char *folder, const struct manifest_model *m)
{
    char path[MODEL_FILES_PATH], want[LINE_BYTES], have[LINE_BYTES];
    bool same = true;
    FILE *note;

    if (!model_files_join(path, folder, NOTE))
        return false;
    note = fopen(path, "r");
    if (note == NULL)
        return false;
    for (size_t i = 0; same && i < m->file_count; i++)
        same = fgets(have, sizeof(have), note) != NULL &&
               note_line(folder, &m->files[i], want, sizeof(want)) && strcmp(have, want) == 0;
    fclose(note);
    return same;
}

void model_files_note(const char *folder, const struct manifest_model *m)
{
    char path[MODEL_FILES_PATH], line[LINE_BYTES];
    bool ok = true;
    FILE *note;

    if (!model_files_join(path, folder, NOTE))
        return;
    note = fopen(path, "w");
    if (note == NULL)
        return;
    for (size_t i = 0; ok && i < m->file_count; i++)
        ok = note_line(folder, &m->files[i], line, sizeof(line)) && fputs(line, note) >= 0;
    if (fclose(note) != 0 || !ok)
        (void)remove(path);
}

/* --- digests ----------------------------------------------------------------------- */

static enum status hash_file(const char *path, char *block, struct digest *out)
{
    struct digest_ctx ctx;
    FILE *f = fopen(path, "rb");
    enum status st;
    size_t n;

    if (f == NULL)
        return ST_NOTFOUND;
    st = digest_init(&ctx);
    if (st == ST_OK) {
        digest_start(&ctx);
        while ((n = fread(block, 1, READ_BYTES, f)) > 0)
            digest_update(&ctx, (struct span){block, n});
        digest_final(&ctx, out);
        digest_release(&ctx);
        if (ferror(f))
            st = ST_UNAVAILABLE;
    }
    fclose(f);
    return st;
}

static enum status verify_file(const char *folder, const struct manifest_file *f, char *block,
                               char *why, size_t why_cap)
{
    char path[MODEL_FILES_PATH];
    struct digest got;
    enum status st;

    if (!model_files_join(path, folder, f->name))
        return ST_LIMIT;
    st = hash_file(path, block, &got);
    if (st != ST_OK) {
        snprintf(why, why_cap, "'%s' %s", f->name,
                 st == ST_NOTFOUND ? "is missing" : "cannot be read");
        return st;
    }
    if (!digest_eq(&got, &f->sha256)) {
        snprintf(why, why_cap, "'%s' has another SHA-256 than the manifest says", f->name);
        return ST_INVALID;
    }
    return ST_OK;
}

enum status model_files_verify(const char *folder, const struct manifest_model *m, char *why,
                               size_t why_cap)
{
    char *block = malloc(READ_BYTES);
    enum status st = ST_OK;

    if (block == NULL) {
        snprintf(why, why_cap, "out of memory");
        return ST_NOMEM;
    }
    for (size_t i = 0; st == ST_OK && i < m->file_count; i++)
        st = verify_file(folder, &m->files[i], block, why, why_cap);
    free(block);
    return st;
}

/* --- folders ----------------------------------------------------------------------- */

typedef void visit_fn(const char *path, const struct stat *info, void *arg);

/* Files first, then their folder. Depth is bounded by `levels`, not by what is there. */
static void walk(const char *folder, unsigned levels, visit_fn *visit, void *arg)
{
    DIR *dir = opendir(folder);
    char path[MODEL_FILES_PATH];
    struct dirent *e;
    struct stat info;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (!model_files_join(path, folder, e->d_name) || lstat(path, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && levels > 1)
            walk(path, levels - 1, visit, arg);
        visit(path, &info, arg);
    }
    if (dir != NULL)
        closedir(dir);
}

static void add_bytes(const char *path, const struct stat *info, void *arg)
{
    uint64_t *sum = arg;

    (void)path;
    if (S_ISREG(info->st_mode))
        *sum += (uint64_t)info->st_size;
}

uint64_t model_files_bytes(const char *folder)
{
    uint64_t sum = 0;

    walk(folder, LEVELS, add_bytes, &sum);
    return sum;
}

static void remove_one(const char *path, const struct stat *info, void *arg)
{
    (void)info;
    (void)arg;
    (void)remove(path);
}

void model_files_remove(const char *folder)
{
    walk(folder, LEVELS, remove_one, NULL);
    (void)rmdir(folder);
}
