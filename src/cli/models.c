/* `ibid models`: what can be fetched, what is here, and what is in a file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/manifest.h"
#include "cli/model_files.h"
#include "cli/models_pull.h"
#include "cli/models_verbs.h"
#include "config/config.h"
#include "config/model_path.h"
#include "engine/engine.h"

#define MIB 1048576.0

static const char usage[] =
    "usage: ibid models list [-c FILE]\n"
    "       ibid models pull NAME… [-c FILE] [--quiet] [--verify]\n"
    "       ibid models show NAME|PATH [-c FILE]\n"
    "       ibid models bench NAME|PATH …    (ibid models bench --help)\n"
    "  list: the models that can be fetched by name, and which are here\n"
    "        (unchecked: there, but not fetched or read by pull)\n"
    "  pull: fetches into model_dir, checks SHA-256; what is there and whole stays\n"
    "  show: what is known of a model, and what its files say\n"
    "  -c, --config FILE  settings (model_dir)\n"
    "  -q, --quiet        say only what goes wrong\n"
    "  --verify           read all files again, even if they have not changed\n";

/* What the three have in common. */
struct job {
    struct config *config;
    struct manifest *manifest;
    const char **names; /* as many as argc at most */
    size_t name_count;
    struct models_pull_options options;
};

/* Files that came by another way than `pull` have not been checked. */
static const char *is_here(const struct job *j, const struct manifest_model *m)
{
    char folder[MODEL_FILES_PATH];

    if (!model_files_join(folder, j->config->model_dir, m->name) ||
        !model_files_present(folder, m))
        return "no";
    return model_files_noted(folder, m) ? "yes" : "unchecked";
}

static uint64_t files_bytes(const struct manifest_model *m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < m->file_count; i++)
        sum += m->files[i].bytes;
    return sum;
}

/* --- list -------------------------------------------------------------------------- */

static int list(const struct job *j)
{
    printf("%-24s %-8s %10s %10s  %-12s %s\n", "name", "kind", "parameters", "size", "licence",
           "here");
    for (size_t i = 0; i < j->manifest->count; i++) {
        const struct manifest_model *m = &j->manifest->models[i];

        printf("%-24s %-8s %8.1f M %6.1f MiB  %-12s %s\n", m->name, m->kind,
               (double)m->parameters / 1e6, (double)files_bytes(m) / MIB, m->licence,
               is_here(j, m));
    }
    return 0;
}

/* --- pull -------------------------------------------------------------------------- */

static int pull(const struct job *j)
{
    int rc = 0;

    for (size_t i = 0; i < j->name_count; i++) {
        if (manifest_find(j->manifest, j->names[i]) == NULL) {
            fprintf(stderr, "ibid: no model '%s'; `ibid models list` names them\n",
                    j->names[i]);
            return EXIT_USAGE;
        }
    }
    for (size_t i = 0; i < j->name_count; i++) {
        if (models_pull(j->config->model_dir, manifest_find(j->manifest, j->names[i]),
                        &j->options) != ST_OK)
            rc = 1;
    }
    return rc;
}

/* --- show -------------------------------------------------------------------------- */

static void show_manifest(const struct job *j, const struct manifest_model *m)
{
    char hex[2 * DIGEST_BYTES + 1];

    printf("name: %s\nkind: %s\nlicence: %s\norigin: %s\npackage: %s %s\n", m->name, m->kind,
           m->licence, m->origin, m->package, m->version);
    for (size_t i = 0; i < m->file_count; i++) {
        digest_hex(m->files[i].sha256.bytes, DIGEST_BYTES, hex);
        printf("file: %s %" PRIu64 " %s\n", m->files[i].name, m->files[i].bytes, hex);
    }
    printf("here: %s\n", is_here(j, m));
}

static void show_info(const char *path, const struct model_info *info)
{
    printf("path: %s\nid: %s\narchitecture: %s\nweights: %s\nparameters: %" PRIu64 "\n", path,
           info->id, info->architecture, info->weights, info->parameters);
    printf("memory: %.1f MiB\ndimensions: %u\ncontext: %u\nvocabulary: %u\n",
           (double)info->memory_bytes / MIB, info->dimensions, info->context_max,
           info->vocabulary);
}

static enum status show_encoder(const char *path, struct engine_error *err)
{
    const struct encoder_options o = {.precision = ENCODER_INT8};
    struct encoder *e;
    struct model_info info;
    enum status st = encoder_open(path, &o, &e, err);

    if (st != ST_OK)
        return st;
    encoder_info(e, &info);
    show_info(path, &info);
    encoder_close(e);
    return ST_OK;
}

static enum status show_decoder(const char *path, struct engine_error *err)
{
    const struct decoder_options o = {.context_max = 0};
    struct decoder *d;
    struct model_info info;
    enum status st = decoder_open(path, &o, &d, err);

    if (st != ST_OK)
        return st;
    decoder_info(d, &info);
    show_info(path, &info);
    decoder_close(d);
    return ST_OK;
}

/* A file of unknown kind is tried as both; the error told is that of what its name
 * suggests. */
static int show_files(const struct job *j, const char *model, bool decoder)
{
    char path[MODEL_FILES_PATH];
    struct engine_error err = {.text = ""};
    enum status st;

    if (decoder)
        st = model_path_decoder(j->config->model_dir, model, path, sizeof(path), err.text,
                                sizeof(err.text));
    else
        st = model_path_encoder(j->config->model_dir, model, path, sizeof(path), err.text,
                                sizeof(err.text));
    if (st == ST_OK)
        st = decoder ? show_decoder(path, &err) : show_encoder(path, &err);
    if (st == ST_OK)
        return 0;
    fprintf(stderr, "ibid: %s\n", err.text);
    return 1;
}

static int show(const struct job *j)
{
    const char *model = j->names[0];
    const struct manifest_model *m = manifest_find(j->manifest, model);
    size_t n = strlen(model);

    if (m != NULL) {
        show_manifest(j, m);
        if (strcmp(is_here(j, m), "no") == 0)
            return 0;
        return show_files(j, model, strcmp(m->kind, "decoder") == 0);
    }
    return show_files(j, model, n > 5 && strcmp(model + n - 5, ".gguf") == 0);
}

/* --- arguments --------------------------------------------------------------------- */

static int parse(struct job *j, struct args *a)
{
    const char *file = NULL, *word;

    while (args_more(a)) {
        if (args_help(a))
            return 0;
        if (args_flag(a, "-q", "--quiet"))
            j->options.quiet = true;
        else if (args_flag(a, NULL, "--verify"))
            j->options.verify = true;
        else if (args_value(a, "-c", "--config", &file))
            continue;
        else if (args_word(a, &word))
            j->names[j->name_count++] = word;
        else
            return args_refuse(a);
    }
    return config_load_file(file, j->config);
}

static int dispatch(struct job *j, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    struct args a;
    int rc;

    if (strcmp(verb, "bench") == 0)
        return models_bench_main(argc - 1, argv + 1);
    args_init(&a, "models", usage, argc, argv);
    if (args_more(&a) && args_help(&a))
        return 0;
    args_init(&a, "models", usage, argc - 1, argv + 1);
    if (strcmp(verb, "list") != 0 && strcmp(verb, "pull") != 0 && strcmp(verb, "show") != 0) {
        a.at = 0;
        return args_refuse(&a);
    }
    rc = parse(j, &a);
    if (rc >= 0)
        return rc;
    manifest_builtin(j->manifest);
    if (strcmp(verb, "list") == 0 && j->name_count == 0)
        return list(j);
    if (strcmp(verb, "pull") == 0 && j->name_count > 0)
        return pull(j);
    if (strcmp(verb, "show") == 0 && j->name_count == 1)
        return show(j);
    return args_refuse(&a);
}

int models_main(int argc, char **argv)
{
    struct job j = {.config = calloc(1, sizeof(*j.config)),
                    .manifest = malloc(sizeof(*j.manifest)),
                    .names = calloc((size_t)argc + 1, sizeof(*j.names))};
    int rc = 1;

    if (j.config != NULL && j.manifest != NULL && j.names != NULL)
        rc = dispatch(&j, argc, argv);
    free(j.names);
    free(j.manifest);
    free(j.config);
    return rc;
}
