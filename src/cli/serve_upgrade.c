/* socketpair(SOCK_CLOEXEC) is not POSIX. */
#define _GNU_SOURCE

#include "cli/serve_upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "rt/inherited.h"
#include "rt/listener.h"
#include "rt/loop.h"
#include "rt/notify.h"
#include "rt/watch.h"

#define PREPARED 'P'
#define GO       'G'
#define READY    'R'

/* Models of many gigabytes are read from a disk. */
#define PREPARE_US (600 * UINT64_C(1000000))
/* Connections wait: the files are opened, which takes seconds for a million entries. */
#define READY_US (60 * UINT64_C(1000000))
/* The old one has only to write what it has in its queues. */
#define GO_MS 30000

#define FIRST_FD    3 /* SD_LISTEN_FDS_START */
#define FDS_MAX     INHERITED_MAX
#define ENV_MAX     1024
#define PID_DIGITS  12
#define NAMES_BYTES (FDS_MAX * sizeof(INHERITED_TALK))

extern char **environ;

void serve_upgrade_init(struct serve_upgrade *u, char *const *argv)
{
    ssize_t n = readlink("/proc/self/exe", u->path, sizeof(u->path) - 1);

    u->path[n > 0 ? n : 0] = '\0';
    u->argv = argv;
}

/* --- starting it -------------------------------------------------------------------------- */

/* What the child needs, made before the fork: after it nothing may be allocated. */
struct start {
    int fds[FDS_MAX]; /* in the order of LISTEN_FDNAMES; the last one is the talk's */
    size_t count;
    char names[sizeof("LISTEN_FDNAMES=") + NAMES_BYTES];
    char number[sizeof("LISTEN_FDS=") + PID_DIGITS];
    char pid[sizeof("LISTEN_PID=") + PID_DIGITS];
    char *env[ENV_MAX];
    const char *argv[16];
};

static bool is_ours(const char *variable)
{
    return strncmp(variable, "LISTEN_FDS=", 11) == 0 ||
           strncmp(variable, "LISTEN_PID=", 11) == 0 ||
           strncmp(variable, "LISTEN_FDNAMES=", 15) == 0;
}

static const char *make_env(struct start *s)
{
    size_t n = 0;

    for (char **e = environ; *e != NULL; e++) {
        if (is_ours(*e))
            continue;
        if (n + 4 > ENV_MAX)
            return "the environment is too large";
        s->env[n++] = *e;
    }
    snprintf(s->number, sizeof(s->number), "LISTEN_FDS=%zu", s->count);
    s->env[n++] = s->number;
    s->env[n++] = s->names;
    s->env[n++] = s->pid;
    s->env[n] = NULL;
    return NULL;
}

static const char *make_argv(struct start *s, const struct serve_upgrade *u)
{
    size_t n = 0;

    s->argv[n++] = u->path;
    for (char *const *a = u->argv; *a != NULL; a++) {
        if (n + 1 == ARRAY_LEN(s->argv))
            return "too many arguments";
        s->argv[n++] = *a;
    }
    s->argv[n] = NULL;
    return NULL;
}

static void add_fd(struct start *s, int fd, const char *name)
{
    size_t len = strlen(s->names);

    s->fds[s->count++] = fd;
    snprintf(s->names + len, sizeof(s->names) - len, "%s%s", s->count > 1 ? ":" : "", name);
}

static const char *make_start(struct start *s, const struct serve_upgrade *u,
                              struct listener *const *listeners, size_t n, int talk_fd)
{
    const char *why;

    memset(s, 0, sizeof(*s));
    snprintf(s->names, sizeof(s->names), "LISTEN_FDNAMES=");
    if (n + 1 > FDS_MAX)
        return "too many listeners";
    for (size_t i = 0; i < n; i++)
        add_fd(s, listener_fd(listeners[i]),
               listener_owns_file(listeners[i]) ? INHERITED_OWN : "listen");
    add_fd(s, talk_fd, INHERITED_TALK);
    why = make_env(s);
    return why != NULL ? why : make_argv(s, u);
}

/* snprintf() may take locks that another thread had at the fork. */
static void write_pid(char *out, pid_t pid)
{
    char digits[PID_DIGITS];
    size_t n = 0;

    memcpy(out, "LISTEN_PID=", 11);
    out += 11;
    do
        digits[n++] = (char)('0' + pid % 10);
    while ((pid /= 10) > 0 && n < sizeof(digits));
    while (n > 0)
        *out++ = digits[--n];
    *out = '\0';
}

/* In the child, between fork() and exec(): async-signal-safe calls only. First out of the way
 * of the numbers that are wanted, then there; dup2() leaves no close-on-exec. */
static _Noreturn void become(struct start *s)
{
    for (size_t i = 0; i < s->count; i++)
        s->fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, FIRST_FD + FDS_MAX);
    for (size_t i = 0; i < s->count; i++) {
        if (s->fds[i] < 0 || dup2(s->fds[i], FIRST_FD + (int)i) < 0)
            _exit(126);
    }
    write_pid(s->pid, getpid());
    execve(s->argv[0], (char *const *)(const void *)s->argv, s->env);
    _exit(127);
}

/* --- talking to it ------------------------------------------------------------------------ */

static void stop_talking(struct serve_upgrade *u)
{
    u->running = false;
    timer_stop(u->loop, &u->deadline);
    watch_close(u->talk);
    u->talk = NULL;
}

static void fail(struct serve_upgrade *u, const char *why)
{
    log_at(LOG_ERROR, NULL, kv_event("upgrade_failed"), kv_str("why", why));
    u->failures_total++;
}

/* It is dead or will be: nothing waits for long. */
static void give_up(struct serve_upgrade *u, const char *why)
{
    bool paused = u->paused;

    fail(u, why);
    stop_talking(u);
    (void)kill(u->pid, SIGKILL);
    (void)waitpid(u->pid, NULL, 0);
    u->paused = false;
    if (paused)
        u->events->resume(u->owner);
}

static void on_deadline(struct timer *t)
{
    give_up(CONTAINER_OF(t, struct serve_upgrade, deadline),
            "the next one did not become ready in time");
}

static void take_word(struct serve_upgrade *u, char word)
{
    if (word == PREPARED && !u->paused) {
        u->paused = true;
        timer_start(u->loop, &u->deadline, READY_US, on_deadline);
        u->events->pause(u->owner);
        return;
    }
    if (word != READY || !u->paused) {
        give_up(u, "the next one does not speak as an ibid does");
        return;
    }
    log_at(LOG_INFO, NULL, kv_event("handed_over"), kv_u64("pid", (uint64_t)u->pid));
    stop_talking(u);
    u->events->retire(u->owner);
}

static void on_readable(void *owner)
{
    struct serve_upgrade *u = owner;
    char word = 0;
    ssize_t n = read(watch_fd(u->talk), &word, 1);

    if (n == 1)
        take_word(u, word);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        give_up(u, "the next one ended before it was ready; its own words are in the log");
}

/* NULL, or why not. */
static const char *begin(struct serve_upgrade *u, struct listener *const *listeners, size_t n)
{
    struct start *s = malloc(sizeof(*s));
    const char *why = s == NULL ? "out of memory" : NULL;
    int pair[2];

    if (why == NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        why = strerror(errno);
    if (why != NULL) {
        free(s);
        return why;
    }
    why = make_start(s, u, listeners, n, pair[1]);
    u->pid = why == NULL ? fork() : -1;
    if (u->pid == 0)
        become(s);
    if (why == NULL && u->pid < 0)
        why = strerror(errno);
    close(pair[1]);
    free(s);
    (void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
    if (why == NULL && watch_open(u->loop, pair[0], on_readable, u, &u->talk) != ST_OK)
        why = "it can not be listened to";
    if (why != NULL && u->pid > 0) {
        (void)kill(u->pid, SIGKILL);
        (void)waitpid(u->pid, NULL, 0);
    }
    if (why != NULL)
        close(pair[0]);
    return why;
}

void serve_upgrade_start(struct serve_upgrade *u, struct listener *const *listeners, size_t n)
{
    const char *why;

    if (u->running) {
        log_at(LOG_WARN, NULL, kv_event("upgrade_under_way"));
        return;
    }
    if (getpid() == 1) /* its container would end with it */
        why = "process 1 of a container can not be replaced; roll out another container";
    else if (u->path[0] == '\0')
        why = "/proc/self/exe could not be read";
    else
        why = begin(u, listeners, n);
    if (why != NULL) {
        fail(u, why);
        return;
    }
    log_at(LOG_INFO, NULL, kv_event("upgrading"), kv_str("program", u->path),
           kv_u64("pid", (uint64_t)u->pid));
    u->running = true;
    u->paused = false;
    timer_start(u->loop, &u->deadline, PREPARE_US, on_deadline);
}

void serve_upgrade_go(struct serve_upgrade *u)
{
    static const char go = GO;

    if (!u->running)
        return;
    if (send(watch_fd(u->talk), &go, 1, MSG_NOSIGNAL) != 1)
        give_up(u, strerror(errno));
}

void serve_upgrade_cancel(struct serve_upgrade *u)
{
    if (!u->running)
        return;
    u->paused = false; /* nothing is to be resumed */
    give_up(u, "this one is being stopped");
}

/* --- the new one -------------------------------------------------------------------------- */

static bool say(int fd, char word)
{
    return send(fd, &word, 1, MSG_NOSIGNAL) == 1;
}

enum status serve_upgrade_await(struct inherited *in)
{
    struct pollfd p = {.fd = in->talk_fd, .events = POLLIN};
    char word = 0;
    int n;

    if (in->talk_fd < 0)
        return ST_OK;
    if (!say(in->talk_fd, PREPARED))
        return ST_OK; /* it is dead: nobody else has these sockets */
    do
        n = poll(&p, 1, GO_MS);
    while (n < 0 && errno == EINTR);
    if (n == 0) {
        fprintf(stderr, "ibid: the one before this does not leave its files in time\n");
        return ST_TIMEOUT;
    }
    if (read(in->talk_fd, &word, 1) == 1 && word != GO)
        return ST_CANCELED;
    return ST_OK;
}

void serve_upgrade_ready(struct inherited *in)
{
    char text[64];

    snprintf(text, sizeof(text), "MAINPID=%ld\nREADY=1", (long)getpid());
    notify_send(text);
    if (in->talk_fd >= 0)
        (void)say(in->talk_fd, READY);
    inherited_release(in);
}
