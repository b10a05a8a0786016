/* `ibid check`: are the settings right, and which are in effect? */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/seal.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/config_load.h"
#include "cli/privacy_settings.h"
#include "cli/seal_settings.h"
#include "cli/tls_settings.h"
#include "config/config.h"
#include "privacy/finder.h"

#define OUTPUT_MAX_BYTES (4 * 1024 * 1024)

static const char usage[] =
    "usage: ibid check [-c FILE] [--quiet] [--reference]\n"
    "  Reads the settings as `ibid serve` would, says what is wrong with line and key,\n"
    "  and prints those in effect (passwords masked).\n"
    "  -c, --config FILE  the file; without it: defaults and environment\n"
    "  -q, --quiet        print nothing when all is well\n"
    "  --reference        print every setting there is (docs/configuration.md)\n";

static int print(enum status st, struct buf *text)
{
    if (st == ST_OK && fwrite(text->ptr, 1, text->len, stdout) != text->len)
        st = ST_UNAVAILABLE;
    if (st == ST_OK && fflush(stdout) != 0)
        st = ST_UNAVAILABLE;
    if (st != ST_OK)
        fprintf(stderr, "ibid check: cannot print: %s\n", status_text(st));
    buf_release(text);
    return st == ST_OK ? 0 : 1;
}

/* What only its own compiler can tell. */
static bool patterns_are_right(const struct config *c)
{
    char why[256] = "no memory";
    struct finder *f;
    enum status st = privacy_settings_open(c, &f, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: privacy_patterns: %s\n", why);
    else
        finder_close(f);
    return st == ST_OK;
}

static bool certificates_are_right(const struct config *c)
{
    char why[CONFIG_TEXT_MAX + 256];
    enum status st = tls_settings_check(c, why, sizeof(why));

    if (why[0] != '\0')
        fprintf(stderr, "ibid: %s%s\n", st == ST_OK ? "warning: " : "tls: ", why);
    return st == ST_OK;
}

static bool keys_are_right(const struct config *c)
{
    char why[CONFIG_TEXT_MAX + 256];
    struct seal_ring ring;
    enum status st = seal_settings_read(c, &ring, why, sizeof(why));

    if (st != ST_OK)
        fprintf(stderr, "ibid: %s\n", why);
    digest_wipe(&ring, sizeof(ring));
    return st == ST_OK;
}

static int print_effective(const char *file, bool quiet)
{
    struct config *c = malloc(sizeof(*c));
    struct buf text;
    int rc;

    if (c == NULL)
        return 1;
    buf_init(&text, OUTPUT_MAX_BYTES);
    rc = config_load_file(file, c);
    if (rc < 0 && (!patterns_are_right(c) || !certificates_are_right(c) || !keys_are_right(c)))
        rc = 1;
    if (rc < 0)
        rc = quiet ? 0 : print(config_write(c, true, &text), &text);
    free(c);
    return rc;
}

int check_main(int argc, char **argv)
{
    const char *file = NULL;
    bool quiet = false, reference = false;
    struct buf text;
    struct args a;

    args_init(&a, "check", usage, argc, argv);
    while (args_more(&a)) {
        if (args_help(&a))
            return 0;
        if (args_flag(&a, NULL, "--reference"))
            reference = true;
        else if (args_flag(&a, "-q", "--quiet"))
            quiet = true;
        else if (!args_value(&a, "-c", "--config", &file))
            return args_refuse(&a);
    }
    if (!reference)
        return print_effective(file, quiet);
    buf_init(&text, OUTPUT_MAX_BYTES);
    return print(config_write_reference(&text), &text);
}
