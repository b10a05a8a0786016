/* The filter of system calls. It can not be taken off again, so each case is a process of its
 * own, whose exit status says what it saw. */
#define _GNU_SOURCE

#include "rt/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "check.h"

/* 0: as it should be; else the line that found otherwise. */
typedef int case_fn(void);

#define WANT(condition)                                                                        \
    do {                                                                                       \
        if (!(condition))                                                                      \
            return __LINE__;                                                                   \
    } while (0)

static int put_on(enum syscall_filter_mode mode)
{
    char why[128] = "";

    if (syscall_filter_install(mode, why, sizeof(why)) == ST_OK)
        return 0;
    fprintf(stderr, "%s\n", why);
    return -1;
}

static int refuses_with_eperm(void)
{
    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(syscall_filter_in_force() == SYSCALL_FILTER_ON);
    WANT(mount("none", "/", "tmpfs", 0, NULL) == -1 && errno == EPERM);
    WANT(syscall(SYS_bpf, 0, NULL, 0) == -1 && errno == EPERM);
    WANT(syscall(SYS_userfaultfd, 0) == -1 && errno == EPERM);
    WANT(syscall(SYS_keyctl, 0, 0, 0, 0, 0) == -1 && errno == EPERM);
    WANT(chroot("/") == -1 && errno == EPERM);
    WANT(chroot("/") == -1 && errno == EPERM);
    WANT(syscall_filter_denied_total() == 6);
    return 0;
}

static int refuses_namespaces(void)
{
    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(unshare(CLONE_NEWUSER) == -1 && errno == EPERM);
    WANT(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) == -1 &&
         errno == EPERM);
    /* Their flags lie in memory: the caller is told to use the older one. */
    WANT(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
    WANT(syscall_filter_denied_total() == 2);
    return 0;
}

static int refuses_other_sockets_and_ioctls(void)
{
    int fd;

    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
    WANT(socket(AF_ALG, SOCK_SEQPACKET, 0) == -1 && errno == EPERM);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    WANT(fd >= 0);
    WANT(syscall(SYS_ioctl, fd, 0x5412 /* TIOCSTI */, "x") == -1 && errno == EPERM);
    return close(fd) == 0 ? 0 : __LINE__;
}

/* A kernel may have more of them than this list knows: as if it had not. */
static int knows_no_younger_calls(void)
{
    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(syscall(508, 0) == -1 && errno == ENOSYS);
    WANT(syscall_filter_denied_total() == 0);
    return 0;
}

static void *refused_here(void *out)
{
    *(bool *)out = chroot("/") == -1 && errno == EPERM;
    return NULL;
}

static int holds_for_threads(void)
{
    bool refused = false;
    pthread_t t;

    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(pthread_create(&t, NULL, refused_here, &refused) == 0);
    WANT(pthread_join(t, NULL) == 0);
    WANT(refused);
    return 0;
}

/* What starting another program takes is on the list; it is filtered too. */
static int holds_over_exec(void)
{
    int status;
    pid_t pid;

    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "test $(sed -n 's/^Seccomp:\t//p' /proc/self/status) = 2",
              (char *)NULL);
        _exit(126);
    }
    WANT(pid > 0 && waitpid(pid, &status, 0) == pid);
    WANT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static int count_filters(void)
{
    char line[256];
    int n = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "Seccomp_filters: %d", &n) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return n;
}

/* Ten upgrades are not ten filters. */
static int is_put_on_once(void)
{
    int before = count_filters();

    for (int i = 0; i < 3; i++)
        WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(before < 0 || count_filters() == before + 1);
    /* Nor is there a way back. */
    WANT(put_on(SYSCALL_FILTER_OFF) == 0);
    WANT(syscall_filter_in_force() == SYSCALL_FILTER_ON);
    WANT(syscall_filter_denied_total() == 0);
    return 0;
}

static int only_notes_when_told(void)
{
    WANT(put_on(SYSCALL_FILTER_LOG) == 0);
    WANT(syscall_filter_in_force() == SYSCALL_FILTER_LOG);
    WANT(chdir("/") == 0);
    WANT(syscall_filter_denied_total() == 0);
    /* It can be made narrower. */
    WANT(put_on(SYSCALL_FILTER_ON) == 0);
    WANT(syscall_filter_in_force() == SYSCALL_FILTER_ON);
    WANT(chdir("/") == -1 && errno == EPERM);
    return 0;
}

static int does_nothing_when_off(void)
{
    int before = count_filters();

    WANT(put_on(SYSCALL_FILTER_OFF) == 0);
    WANT(syscall_filter_in_force() == SYSCALL_FILTER_OFF);
    WANT(count_filters() == before);
    return 0;
}

static const struct {
    const char *name;
    case_fn *run;
} cases[] = {
    {"what is not listed fails with EPERM", refuses_with_eperm},
    {"no namespaces", refuses_namespaces},
    {"no other sockets, no other ioctls", refuses_other_sockets_and_ioctls},
    {"younger calls do not exist", knows_no_younger_calls},
    {"threads too", holds_for_threads},
    {"programs too", holds_over_exec},
    {"once", is_put_on_once},
    {"log", only_notes_when_told},
    {"off", does_nothing_when_off},
};

static bool has_filters(void)
{
    char why[128];
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(syscall_filter_install(SYSCALL_FILTER_ON, why, sizeof(why)) == ST_OK ? 0 : 1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void test_cases(void **state)
{
    (void)state;
    if (!has_filters())
        skip(); /* this kernel has none */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
            _exit(cases[i].run() == 0 ? 0 : (fprintf(stderr, "%s\n", cases[i].name), 1));
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: status %d", cases[i].name, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
