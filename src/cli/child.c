#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_BYTES 512
#define LINES_MAX  16

NORETURN static void become(char *const *argv, int log, const char *tmpdir)
{
    int null = open("/dev/null", O_RDONLY);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0 || (tmpdir != NULL && setenv("TMPDIR", tmpdir, 1) != 0))
        _exit(CHILD_NOT_FOUND - 1);
    execvp(argv[0], argv);
    _exit(CHILD_NOT_FOUND);
}

enum status child_start(struct child *c, char *const *argv, const char *log, const char *tmpdir)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    *c = (struct child){.pid = -1};
    if (fd < 0)
        return ST_UNAVAILABLE;
    fflush(NULL); /* else the child would print what is still in our buffers */
    c->pid = fork();
    if (c->pid == 0)
        become(argv, fd, tmpdir);
    close(fd);
    return c->pid > 0 ? ST_OK : ST_UNAVAILABLE;
}

static void ended(struct child *c, int status)
{
    c->pid = -1;
    c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool child_poll(struct child *c)
{
    int status;

    if (c->pid > 0 && waitpid(c->pid, &status, WNOHANG) == c->pid)
        ended(c, status);
    return c->pid < 0;
}

void child_wait(struct child *c)
{
    int status;
    pid_t got;

    while (c->pid > 0) {
        got = waitpid(c->pid, &status, 0);
        if (got == c->pid)
            ended(c, status);
        else if (errno != EINTR)
            c->pid = -1;
    }
}

void child_print_tail(const char *log, unsigned lines)
{
    static char ring[LINES_MAX][LINE_BYTES];
    FILE *f = fopen(log, "r");
    unsigned n = 0;

    if (f == NULL)
        return;
    if (lines > LINES_MAX)
        lines = LINES_MAX;
    while (fgets(ring[n % lines], LINE_BYTES, f) != NULL)
        n++;
    fclose(f);
    for (unsigned i = n > lines ? n - lines : 0; i < n; i++) {
        const char *line = ring[i % lines];

        fprintf(stderr, "  %s%s", line, strchr(line, '\n') != NULL ? "" : "\n");
    }
}
