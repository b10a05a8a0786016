/* A real redis-server of the test's own, on a Unix socket in a folder of its own. */
#ifndef TESTS_REDIS_PROCESS_H
#define TESTS_REDIS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_process {
    char folder[64];
    char socket[96];
    pid_t pid;
};

/* False when there is no such program. `config` are more lines of its configuration,
 * or NULL. Returns when it answers. */
bool redis_process_start(struct redis_process *p, const char *config);
void redis_process_stop(struct redis_process *p);

/* Down and up again with the same socket. */
void redis_process_kill(struct redis_process *p);
void redis_process_restart(struct redis_process *p);

/* An inline command; its reply is read and must not be an error. */
void redis_process_command(struct redis_process *p, const char *command);

#endif
