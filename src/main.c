/* ibid: the program. Finds the subcommand and hands it its arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/commands.h"
#include "cli/serve.h"
#include "cli/version.h"
#include "engine/engine.h"

typedef int command_fn(int argc, char **argv);

static const struct {
    const char *name;
    command_fn *run;
    const char *help;
} commands[] = {
    {"serve", serve_main, "[-c FILE]            stand between clients and the API"},
    {"check", check_main, "[-c FILE]            validate the settings, print those in effect"},
    {"cache", cache_main,
     "import | export       past answers in, stored ones out, as JSON lines"},
    {"models", models_main, "list | pull | show   the models ibid knows, and what is here"},
    {"embed", embed_main, "TEXT…                the vectors the cache compares"},
    {"explain", explain_main,
     "QUESTION QUESTION    whether one's answer would be served for the other"},
    {"tune", tune_main, "PAIRS                the threshold that keeps to an error"},
    {"route", route_main, "explain TEXT         who would answer a question, and why"},
    {"generate", generate_main, "-p PROMPT            an answer of the built-in model"},
    {"health", health_main, "                     how a running ibid is, as an exit status"},
    {"report", report_main, "[--json]             what a running ibid has saved"},
};

static void print_help(FILE *out)
{
    fputs("ibid never pays twice for the same answer: a caching proxy for LLM APIs.\n\n"
          "usage: ibid COMMAND [ARGUMENTS]    (ibid COMMAND --help says more)\n\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n  --version, --help\n", out);
}

/* IBID_KERNELS=ref: for tests, and to find out whether a kernel is to blame. */
static bool choose_kernels(void)
{
    const char *wanted = getenv("IBID_KERNELS");

    if (wanted == NULL || cpu_force(wanted) == ST_OK)
        return true;
    fprintf(stderr, "ibid: IBID_KERNELS: there is no '%s' on this CPU\n", wanted);
    return false;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (!cpu_supported()) {
        fputs("ibid: this CPU lacks AVX2, FMA or F16C, which ibid needs on x86\n", stderr);
        return 1;
    }
    if (!choose_kernels())
        return EXIT_USAGE;
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("ibid " IBID_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    if (name[0] != '\0')
        fprintf(stderr, "ibid: no command '%s'\n\n", name);
    print_help(stderr);
    return EXIT_USAGE;
}
