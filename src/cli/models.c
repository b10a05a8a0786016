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
#include "cli/model_place.h"
#include "cli/models_pull.h"
#include "cli/models_show.h"
#include "cli/models_verbs.h"
#include "config/config.h"
#include "engine/engine.h"
#include "proxy/model_speeds.h"

#define MIB 1048576.0

static const char usage[] =
    "usage: ibid models list [-c FILE]\n"
    "       ibid models pull NAME… [-c FILE] [--quiet] [--verify]\n"
    "       ibid models show NAME|PATH [--tensors] [--json] [-c FILE]\n"
    "       ibid models bench NAME|PATH …      (ibid models bench --help)\n"
    "       ibid models quantize IN OUT TYPE   (ibid models quantize --help)\n"
    "  list: the models that can be fetched by name, and which are here\n"
    "        (unchecked: there, but not fetched or read by pull)\n"
    "  pull: fetches into model_dir, checks SHA-256; what is there and whole stays\n"
    "  show: what is known of a model, and what its files say: shape, tokenizer, memory that "
    "it\n"
    "        would need\n"
    "  -c, --config FILE  settings (model_dir)\n"
    "  -q, --quiet        say only what goes wrong\n"
    "  --tensors          of a GGUF file: name, type, shape and bytes of each\n"
    "  --json             one object, of the files alone\n"
    "  --verify           read all files again, even if they have not changed\n";

/* What the three have in common. */
struct job {
    struct config *config;
    struct manifest *manifest;
    const char **names; /* as many as argc at most */
    size_t name_count;
    struct models_pull_options options;
    struct models_show_options show;
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

/* As `ibid models bench` has measured it. */
static void print_speed(const struct job *j, const struct manifest_model *m)
{
    struct engine_error err;
    struct model_place place;
    struct model_speed s = {.threads = 0};

    if (strcmp(is_here(j, m), "no") != 0 &&
        model_place_find(j->config, m->name, &place, &err) == ST_OK)
        model_speeds_get(j->config->model_dir, place.path, &s);
    if (s.decode_per_s > 0)
        printf(" %.0f, %.0f (%s, threads: %llu)", s.prompt_per_s, s.decode_per_s, s.day,
               (unsigned long long)s.threads);
    putchar('\n');
}

static int list(const struct job *j)
{
    printf("%-24s %-8s %10s %10s  %-12s %-9s %s\n", "name", "kind", "parameters", "size",
           "licence", "here", "tokens/s: prompt, answer");
    for (size_t i = 0; i < j->manifest->count; i++) {
        const struct manifest_model *m = &j->manifest->models[i];

        printf("%-24s %-8s %8.1f M %6.1f MiB  %-12s %-9s", m->name, m->kind,
               (double)m->parameters / 1e6, (double)files_bytes(m) / MIB, m->licence,
               is_here(j, m));
        print_speed(j, m);
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

    printf("name: %s\nkind: %s\nlicence: %s\norigin: %s\n", m->name, m->kind, m->licence,
           m->origin);
    for (size_t i = 0; i < m->package_count; i++)
        printf("package: %s %s\n", m->packages[i].name, m->packages[i].version);
    for (size_t i = 0; i < m->file_count; i++) {
        digest_hex(m->files[i].sha256.bytes, DIGEST_BYTES, hex);
        printf("file: %s %" PRIu64 " %s\n", m->files[i].name, m->files[i].bytes, hex);
    }
    printf("here: %s\n", is_here(j, m));
}

static int show(const struct job *j)
{
    const struct manifest_model *m = manifest_find(j->manifest, j->names[0]);
    struct engine_error err = {.text = ""};
    struct model_place place;

    if (m != NULL && !j->show.json)
        show_manifest(j, m);
    if (m != NULL && strcmp(is_here(j, m), "no") == 0 && !j->show.json)
        return 0;
    if (model_place_find(j->config, j->names[0], &place, &err) != ST_OK) {
        fprintf(stderr, "ibid: %s\n", err.text);
        return 1;
    }
    return place.decoder ? models_show_gguf(place.path, &j->show)
                         : models_show_encoder(place.path, &j->show);
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
        else if (args_flag(a, NULL, "--json"))
            j->show.json = true;
        else if (args_flag(a, NULL, "--tensors"))
            j->show.tensors = true;
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
    if (strcmp(verb, "quantize") == 0)
        return models_quantize_main(argc - 1, argv + 1);
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
    if (strcmp(verb, "pull") == 0 && j->config->offline) {
        fprintf(stderr,
                "ibid: offline: on: nothing is fetched; put the files into model_dir\n");
        return 1;
    }
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
