/* One child process at a time, its output in a file. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/status.h"

#define CHILD_NOT_FOUND 127 /* exit status when the program is not there */

struct child {
    pid_t pid;
    int status; /* exit status, or 128 + signal; valid once it ended */
};

/* argv[0] is looked up in PATH. Its stdout and stderr go to the file `log`; stdin is
 * empty. `tmpdir`, unless NULL, becomes its TMPDIR. */
enum status child_start(struct child *c, char *const *argv, const char *log,
                        const char *tmpdir) MUST_CHECK;
/* Has it ended? Does not wait. */
bool child_poll(struct child *c);
void child_wait(struct child *c);

/* The last lines of a log, indented, on stderr. */
void child_print_tail(const char *log, unsigned lines);

#endif
