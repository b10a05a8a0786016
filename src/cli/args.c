#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

void args_init(struct args *a, const char *command, const char *usage, int argc, char **argv)
{
    *a = (struct args){.command = command, .usage = usage, .argc = argc, .argv = argv, .at = 1};
}

bool args_more(struct args *a)
{
    if (!a->only_words && a->at < a->argc && strcmp(a->argv[a->at], "--") == 0) {
        a->only_words = true;
        a->at++;
    }
    return a->at < a->argc;
}

static bool is(const char *arg, const char *name)
{
    return name != NULL && strcmp(arg, name) == 0;
}

bool args_flag(struct args *a, const char *brief, const char *name)
{
    if (a->only_words || (!is(a->argv[a->at], brief) && !is(a->argv[a->at], name)))
        return false;
    a->at++;
    return true;
}

bool args_value(struct args *a, const char *brief, const char *name, const char **out)
{
    const char *arg = a->argv[a->at];
    size_t n = strlen(name);

    if (a->only_words)
        return false;
    if (strncmp(arg, name, n) == 0 && arg[n] == '=') {
        *out = arg + n + 1;
        a->at++;
        return true;
    }
    if (!is(arg, brief) && !is(arg, name))
        return false;
    if (a->at + 1 >= a->argc) {
        a->missed = arg;
        return false;
    }
    *out = a->argv[a->at + 1];
    a->at += 2;
    return true;
}

bool args_word(struct args *a, const char **out)
{
    if (!a->only_words && a->argv[a->at][0] == '-')
        return false;
    *out = a->argv[a->at++];
    return true;
}

bool args_help(struct args *a)
{
    if (!args_flag(a, "-h", "--help"))
        return false;
    fputs(a->usage, stdout);
    return true;
}

int args_refuse(const struct args *a)
{
    if (a->missed != NULL)
        fprintf(stderr, "ibid %s: %s needs a value\n", a->command, a->missed);
    else if (a->at < a->argc)
        fprintf(stderr, "ibid %s: '%s' is not understood\n", a->command, a->argv[a->at]);
    else
        fprintf(stderr, "ibid %s: something is missing\n", a->command);
    fputs(a->usage, stderr);
    return EXIT_USAGE;
}

bool args_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (*text < '0' || *text > '9' || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n < low || n > high)
        return false;
    *out = n;
    return true;
}
