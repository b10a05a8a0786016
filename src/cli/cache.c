/* `ibid cache`: stored answers as lines of JSON, in and out. */
#include <stdio.h>
#include <string.h>

#include "cli/cache_verbs.h"
#include "cli/commands.h"

static const char usage[] =
    "usage: ibid cache import FILE…    answers from elsewhere (ibid cache import --help)\n"
    "       ibid cache export          all that is stored (ibid cache export --help)\n"
    "  Both work on the store itself. The embedded one belongs to one process: stop ibid "
    "first,\n"
    "  or let several share a Redis.\n";

int cache_main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "import") == 0)
        return cache_import_main(argc - 1, argv + 1);
    if (strcmp(verb, "export") == 0)
        return cache_export_main(argc - 1, argv + 1);
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    fprintf(stderr, "ibid cache: %s%s\n\n%s",
            verb[0] != '\0' ? "there is no " : "import or export?", verb, usage);
    return EXIT_USAGE;
}
