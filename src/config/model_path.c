#include "config/model_path.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SAFETENSORS "/model.safetensors"

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), m = strlen(tail);

    return n > m && strcmp(s + n - m, tail) == 0;
}

static bool is_path(const char *model)
{
    return strchr(model, '/') != NULL || ends_with(model, ".gguf") ||
           ends_with(model, ".safetensors");
}

static enum status join(char *path, size_t cap, const char *dir, const char *name, char *why,
                        size_t why_cap)
{
    int n = dir[0] != '\0' ? snprintf(path, cap, "%s/%s", dir, name)
                           : snprintf(path, cap, "%s", name);

    if (n >= 0 && (size_t)n < cap)
        return ST_OK;
    snprintf(why, why_cap, "the path of model '%.60s' is too long", name);
    return ST_LIMIT;
}

/* The file or folder that `model` stands for. */
static enum status locate(const char *model_dir, const char *model, char *path, size_t cap,
                          struct stat *info, char *why, size_t why_cap)
{
    bool by_path = is_path(model);
    enum status st = join(path, cap, by_path ? "" : model_dir, model, why, why_cap);

    if (st != ST_OK)
        return st;
    if (stat(path, info) == 0)
        return ST_OK;
    if (by_path || errno != ENOENT)
        snprintf(why, why_cap, "model '%.100s': %s", path, strerror(errno));
    else
        snprintf(why, why_cap,
                 "model '%.60s' is not in '%.90s'; fetch it: ibid models pull %.60s", model,
                 model_dir, model);
    return ST_NOTFOUND;
}

/* The one .gguf file of a folder; two would be a guess. */
static enum status only_gguf(const char *folder, char *name, size_t cap, char *why,
                             size_t why_cap)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    unsigned found = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        if (ends_with(e->d_name, ".gguf") && strlen(e->d_name) < cap) {
            snprintf(name, cap, "%s", e->d_name);
            found++;
        }
    }
    if (dir != NULL)
        closedir(dir);
    if (found == 1)
        return ST_OK;
    snprintf(why, why_cap, "'%.120s' holds %s .gguf file; give the path of one", folder,
             found == 0 ? "no" : "more than one");
    return ST_NOTFOUND;
}

/* Makes the path of a folder that of its GGUF file. */
static enum status enter_folder(const char *model, char *path, size_t cap, char *why,
                                size_t why_cap)
{
    char name[256];
    size_t n = strlen(path);
    enum status st = only_gguf(path, name, sizeof(name), why, why_cap);

    if (st != ST_OK)
        return st;
    if (n + 1 + strlen(name) >= cap) {
        snprintf(why, why_cap, "the path of model '%.60s' is too long", model);
        return ST_LIMIT;
    }
    snprintf(path + n, cap - n, "/%s", name);
    return ST_OK;
}

enum status model_path_encoder(const char *model_dir, const char *model, char *path, size_t cap,
                               char *why, size_t why_cap)
{
    struct stat info;
    enum status st = locate(model_dir, model, path, cap, &info, why, why_cap);
    size_t n;

    if (st != ST_OK || !S_ISDIR(info.st_mode))
        return st;
    n = strlen(path);
    if (n + sizeof(SAFETENSORS) >= cap)
        return ST_OK; /* the engine says that it is too long */
    snprintf(path + n, cap - n, SAFETENSORS);
    st = stat(path, &info) == 0 ? ST_OK : ST_NOTFOUND;
    path[n] = '\0';
    if (st != ST_OK)
        (void)!enter_folder(model, path, cap, why, why_cap);
    return ST_OK; /* the engine says what is missing */
}

enum status model_path_decoder(const char *model_dir, const char *model, char *path, size_t cap,
                               char *why, size_t why_cap)
{
    struct stat info;
    enum status st = locate(model_dir, model, path, cap, &info, why, why_cap);

    if (st != ST_OK || !S_ISDIR(info.st_mode))
        return st;
    return enter_folder(model, path, cap, why, why_cap);
}

void model_path_name(const char *model, char *name, size_t cap)
{
    const char *last = strrchr(model, '/');
    size_t n;

    last = last != NULL && last[1] != '\0' ? last + 1 : model;
    n = strlen(last);
    if (ends_with(last, ".gguf"))
        n -= strlen(".gguf");
    else if (ends_with(last, ".safetensors"))
        n -= strlen(".safetensors");
    snprintf(name, cap, "%.*s", (int)n, last);
}
