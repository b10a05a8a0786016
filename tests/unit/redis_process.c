#include "redis_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PROGRAM "/usr/bin/redis-server"

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};

    nanosleep(&t, NULL);
}

static int connect_to(const struct redis_process *p)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", p->socket);
    if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void run(struct redis_process *p)
{
    char config[128];
    int null;

    snprintf(config, sizeof(config), "%s/redis.conf", p->folder);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execl(PROGRAM, PROGRAM, config, (char *)NULL);
        _exit(127);
    }
    for (unsigned i = 0; i < 500; i++) {
        int fd = connect_to(p);

        if (fd >= 0) {
            close(fd);
            return;
        }
        pause_ms(10);
    }
    fail_msg("redis-server does not answer");
}

bool redis_process_start(struct redis_process *p, const char *config)
{
    char path[128];
    FILE *f;

    if (access(PROGRAM, X_OK) != 0)
        return false;
    *p = (struct redis_process){.pid = 0};
    snprintf(p->folder, sizeof(p->folder), "/tmp/ibid-redis-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->socket, sizeof(p->socket), "%s/s", p->folder);
    snprintf(path, sizeof(path), "%s/redis.conf", p->folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "port 0\nunixsocket %s\ndir %s\nsave \"\"\nappendonly no\n%s\n", p->socket,
            p->folder, config == NULL ? "" : config);
    fclose(f);
    run(p);
    return true;
}

void redis_process_kill(struct redis_process *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

void redis_process_restart(struct redis_process *p)
{
    unlink(p->socket);
    run(p);
}

void redis_process_stop(struct redis_process *p)
{
    char path[128];

    if (p->pid != 0)
        redis_process_kill(p);
    unlink(p->socket);
    snprintf(path, sizeof(path), "%s/redis.conf", p->folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/dump.rdb", p->folder);
    unlink(path);
    rmdir(p->folder);
}

void redis_process_command(struct redis_process *p, const char *command)
{
    char reply[512];
    ssize_t n;
    int fd = connect_to(p);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, command, strlen(command)), (ssize_t)strlen(command));
    assert_int_equal(write(fd, "\r\n", 2), 2);
    n = read(fd, reply, sizeof(reply) - 1);
    assert_true(n > 0);
    reply[n] = '\0';
    if (reply[0] == '-')
        fail_msg("'%s': %s", command, reply);
    close(fd);
}
