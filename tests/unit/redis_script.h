/* A Redis that does what a test tells it, on a Unix socket in the test's own loop. */
#ifndef TESTS_REDIS_SCRIPT_H
#define TESTS_REDIS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct listener;
struct loop;
struct script_client;

#define REDIS_SCRIPT_RULES_MAX 8
#define REDIS_SCRIPT_SILENT    ((struct span){NULL, 0})

struct redis_script {
    struct loop *loop;
    struct listener *listener;
    char socket[96];
    /* By the first word of a command; what has no rule gets +OK (PING +PONG). */
    struct {
        char verb[16];
        struct span reply; /* borrowed */
        bool then_close;
    } rule[REDIS_SCRIPT_RULES_MAX];
    size_t rules;
    unsigned connections, commands;
    char last[256]; /* the last command, its parts separated by blanks */
    struct script_client *clients;
};

void redis_script_open(struct redis_script *s, struct loop *loop, const char *folder);
/* On 127.0.0.1 instead; returns the port. */
uint16_t redis_script_open_port(struct redis_script *s, struct loop *loop);
void redis_script_close(struct redis_script *s);
/* Sets or replaces a rule; REDIS_SCRIPT_SILENT never answers. */
void redis_script_rule(struct redis_script *s, const char *verb, struct span reply);
void redis_script_rule_close(struct redis_script *s, const char *verb);
void redis_script_clear(struct redis_script *s);
/* To all who are connected, unasked. */
void redis_script_say(struct redis_script *s, struct span bytes);

#endif
