/* Command-line arguments, one after the other.
 *
 *     while (args_more(&a)) {
 *         if (args_flag(&a, "-q", "--quiet"))
 *             quiet = true;
 *         else if (!args_value(&a, "-c", "--config", &file))
 *             return args_refuse(&a);
 *     }
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct args {
    const char *command; /* "models pull": for messages */
    const char *usage;
    int argc;
    char **argv;
    int at;             /* the one at hand */
    bool only_words;    /* after "--" */
    const char *missed; /* an option that came without its value */
};

/* argv[0] is passed over. */
void args_init(struct args *a, const char *command, const char *usage, int argc, char **argv);
bool args_more(struct args *a) MUST_CHECK;

/* Each is true, and goes on to the next argument, when the one at hand is it.
 * `brief` may be NULL. Values: "-c X", "--config X", "--config=X". */
bool args_flag(struct args *a, const char *brief, const char *name) MUST_CHECK;
bool args_value(struct args *a, const char *brief, const char *name,
                const char **out) MUST_CHECK;
/* Something that does not start with '-'. */
bool args_word(struct args *a, const char **out) MUST_CHECK;

/* -h, --help: the usage on stdout; then the caller returns 0. */
bool args_help(struct args *a) MUST_CHECK;
/* Says what is wrong with the one at hand, and the usage, on stderr. EXIT_USAGE. */
int args_refuse(const struct args *a);

/* A whole number within low..high. */
bool args_number(const char *text, uint64_t low, uint64_t high, uint64_t *out) MUST_CHECK;

#endif
