/* A filter is a program of classic BPF that the kernel runs before each call
 * (Documentation/userspace-api/seccomp_filter.rst). It sees the number and the arguments as
 * they are in registers, and no memory. Since Linux 5.11 calls that are allowed whatever their
 * arguments are looked up in a bitmap instead, so that they cost next to nothing.
 *
 * The list is written by hand rather than by libseccomp: it is one table and forty lines, and
 * no library more in a process that is to have little in it.
 *
 * Refused calls come as SIGSYS (SECCOMP_RET_TRAP), whose handler counts and gives the call the
 * result -EPERM. Calls that libc makes with all signals blocked must never come so, since a
 * blocked SIGSYS kills: those are on the list, or fail with ENOSYS (clone3).
 *
 * Memory that is written and run alike is not refused: PCRE2 compiles expressions to code. */
#define _GNU_SOURCE /* syscall numbers, registers of a signal's context */

#include "rt/syscall_filter.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* si_code of siginfo_t (sigaction(2)); younger libcs have it */
#endif

/* Sanitizers look for leaks from a thread that traces the process, which no filter of ours is
 * to allow: with them there is none. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WHY_NONE "this ibid was built for tests, with sanitizers"
#elif defined(__x86_64__)
#define THIS_ARCH     AUDIT_ARCH_X86_64
#define OTHER_ABI_BIT 0x40000000u /* __X32_SYSCALL_BIT: the same calls by other numbers */
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#define WHY_NONE "there is no list of system calls for this processor"
#endif

/* Of the list: whoever changes what it allows makes it another. */
#define LIST_VERSION 1
/* prctl() options that no kernel knows, by which one asks whether this filter is in force. */
#define PROBES         0x69620000u
#define PROBE_OF(mode) (PROBES | LIST_VERSION << 4 | (unsigned)(mode))
/* The youngest call when the list was written: set_mempolicy_home_node (5.17). */
#define NEWEST_KNOWN 450u
#define NUMBERS_MAX  512

static atomic_uint_least64_t denied_total;
static atomic_int in_force = SYSCALL_FILTER_OFF;

enum syscall_filter_mode syscall_filter_in_force(void)
{
    return (enum syscall_filter_mode)atomic_load_explicit(&in_force, memory_order_relaxed);
}

uint64_t syscall_filter_denied_total(void)
{
    return atomic_load_explicit(&denied_total, memory_order_relaxed);
}

#ifndef THIS_ARCH

enum status syscall_filter_install(enum syscall_filter_mode mode, char *why, size_t why_cap)
{
    snprintf(why, why_cap, WHY_NONE);
    return mode == SYSCALL_FILTER_OFF ? ST_OK : ST_UNAVAILABLE;
}

#else

/* Numbers that were refused before: each is named once. */
static atomic_uint_least32_t seen[NUMBERS_MAX / 32];

/* --- the list ------------------------------------------------------------------------------
 */

/* Older calls that a younger machine does not have are left out by the preprocessor. */
/* clang-format off */
static const unsigned allowed[] = {
    /* connections, and waiting for them */
    __NR_read, __NR_write, __NR_readv, __NR_writev, __NR_recvfrom, __NR_sendto,
    __NR_recvmsg, __NR_sendmsg, __NR_recvmmsg, __NR_sendmmsg, __NR_epoll_pwait,
    __NR_epoll_pwait2, __NR_epoll_ctl, __NR_epoll_create1, __NR_eventfd2, __NR_accept,
    __NR_accept4, __NR_bind, __NR_listen, __NR_connect, __NR_shutdown, __NR_socketpair,
    __NR_getsockname, __NR_getpeername, __NR_getsockopt, __NR_setsockopt, __NR_ppoll,
    __NR_pselect6, __NR_pipe2, __NR_inotify_init1, __NR_inotify_add_watch,
    __NR_inotify_rm_watch, __NR_timerfd_create, __NR_timerfd_settime, __NR_timerfd_gettime,
    /* threads and their memory */
    __NR_futex, __NR_mmap, __NR_munmap, __NR_mremap, __NR_mprotect, __NR_madvise, __NR_brk,
    __NR_mincore, __NR_msync, __NR_mlock, __NR_munlock, __NR_membarrier, __NR_rseq,
    __NR_set_robust_list, __NR_get_robust_list, __NR_set_tid_address, __NR_sched_yield,
    __NR_sched_getaffinity, __NR_sched_setaffinity, __NR_sched_setscheduler,
    __NR_sched_getscheduler, __NR_sched_setattr, __NR_sched_getparam, __NR_sched_setparam,
    __NR_sched_get_priority_max, __NR_sched_get_priority_min, __NR_setpriority,
    __NR_getpriority, __NR_getcpu, __NR_get_mempolicy, __NR_exit, __NR_exit_group,
    /* clocks and chance */
    __NR_clock_gettime, __NR_clock_getres, __NR_clock_nanosleep, __NR_nanosleep,
    __NR_gettimeofday, __NR_restart_syscall, __NR_getrandom,
    /* signals */
    __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_rt_sigpending,
    __NR_rt_sigtimedwait, __NR_rt_sigsuspend, __NR_sigaltstack, __NR_tgkill, __NR_kill,
    /* files: store, models, settings, certificates, logs */
    __NR_openat, __NR_close, __NR_close_range, __NR_fstat, __NR_newfstatat, __NR_statx,
    __NR_statfs, __NR_fstatfs, __NR_lseek, __NR_pread64, __NR_pwrite64, __NR_preadv,
    __NR_pwritev, __NR_fcntl, __NR_flock, __NR_ftruncate, __NR_truncate, __NR_fallocate,
    __NR_fadvise64, __NR_fsync, __NR_fdatasync, __NR_faccessat, __NR_faccessat2,
    __NR_readlinkat, __NR_getdents64, __NR_getcwd, __NR_mkdirat, __NR_renameat,
    __NR_renameat2, __NR_unlinkat, __NR_linkat, __NR_fchmod, __NR_fchmodat, __NR_umask,
    __NR_utimensat, __NR_dup, __NR_dup3,
    /* what and who this is */
    __NR_getpid, __NR_getppid, __NR_gettid, __NR_getuid, __NR_geteuid, __NR_getgid,
    __NR_getegid, __NR_getpgid, __NR_getsid, __NR_uname, __NR_sysinfo, __NR_getrusage,
    __NR_prlimit64, __NR_getrlimit, __NR_setrlimit, __NR_capget,
    /* another ibid in this one's place (serve_upgrade.c), and its loader */
    __NR_execve, __NR_wait4, __NR_waitid,
#if defined(__x86_64__)
    __NR_open, __NR_stat, __NR_lstat, __NR_access, __NR_readlink, __NR_mkdir, __NR_rename,
    __NR_unlink, __NR_rmdir, __NR_link, __NR_chmod, __NR_dup2, __NR_pipe, __NR_poll,
    __NR_select, __NR_epoll_wait, __NR_epoll_create, __NR_getpgrp, __NR_time,
    __NR_arch_prctl, __NR_fork, __NR_utimes,
#endif
};
/* clang-format on */

/* ENOSYS, at which libraries go on with the older call. */
static const unsigned absent[] = {
    __NR_clone3, /* its flags lie in memory, where no filter sees them */
    __NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register, __NR_openat2,
};

static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* The last one, TCGETS2, is what isatty() of younger libcs asks. */
static const unsigned ioctls[] = {FIONBIO, FIONREAD,   FIOCLEX,    FIONCLEX,
                                  TCGETS,  TIOCGWINSZ, 0x802c542au};

/* The last one: names of a libc's memory, for whoever reads /proc/PID/maps. */
static const unsigned prctls[] = {
    PR_SET_NAME,    PR_GET_NAME,         PR_SET_DUMPABLE, PR_GET_DUMPABLE,
    PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, 0x53564d41u, /* PR_SET_VMA */
};

#define NEW_NAMESPACES                                                                         \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
     CLONE_NEWPID | CLONE_NEWNET)

/* --- the program ----------------------------------------------------------------------------
 */

#define PROGRAM_MAX 512

struct program {
    struct sock_filter at[PROGRAM_MAX];
    unsigned short count;
};

static void add(struct program *p, struct sock_filter step)
{
    if (p->count < PROGRAM_MAX)
        p->at[p->count] = step;
    p->count++;
}

static void load(struct program *p, size_t offset)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void leave(struct program *p, unsigned with)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, with));
}

static void leave_if(struct program *p, unsigned value, unsigned with)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    leave(p, with);
}

/* The arguments of a call decide. int and unsigned ones are the low half of a register, the
 * first one in memory: both machines are little-endian. */
static size_t argument(unsigned n)
{
    return offsetof(struct seccomp_data, args) + n * sizeof(uint64_t);
}

/* One of the list, or denied. Steps over itself when it is another call. */
static void only_with(struct program *p, unsigned call, unsigned arg, const unsigned *list,
                      size_t n, unsigned denied)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0,
                                        (unsigned char)(2 * n + 2)));
    load(p, argument(arg));
    for (size_t i = 0; i < n; i++)
        leave_if(p, list[i], SECCOMP_RET_ALLOW);
    leave(p, denied);
}

static void clone_without_namespaces(struct program *p, unsigned denied)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4));
    load(p, argument(0));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1));
    leave(p, denied);
    leave(p, SECCOMP_RET_ALLOW);
}

/* prctl() answers who asks for this filter with EALREADY, for another with EINVAL, as the
 * kernel does. */
static void probes(struct program *p, enum syscall_filter_mode mode)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_prctl, 0, 7));
    load(p, argument(0));
    leave_if(p, PROBE_OF(mode), SECCOMP_RET_ERRNO | EALREADY);
    add(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff0000u));
    leave_if(p, PROBES, SECCOMP_RET_ERRNO | EINVAL);
    load(p, offsetof(struct seccomp_data, nr));
}

static void write_program(struct program *p, enum syscall_filter_mode mode)
{
    unsigned denied = mode == SYSCALL_FILTER_LOG ? SECCOMP_RET_LOG : SECCOMP_RET_TRAP;

    p->count = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0));
    leave(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef OTHER_ABI_BIT
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OTHER_ABI_BIT, 0, 1));
    leave(p, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        leave_if(p, allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        leave_if(p, absent[i], SECCOMP_RET_ERRNO | ENOSYS);
    clone_without_namespaces(p, denied);
    only_with(p, __NR_socket, 0, families, ARRAY_LEN(families), denied);
    only_with(p, __NR_ioctl, 1, ioctls, ARRAY_LEN(ioctls), denied);
    probes(p, mode);
    only_with(p, __NR_prctl, 0, prctls, ARRAY_LEN(prctls), denied);
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_KNOWN, 0, 1));
    leave(p, SECCOMP_RET_ERRNO | ENOSYS);
    leave(p, denied);
}

/* --- what is refused ------------------------------------------------------------------------
 */

static void set_result(void *context, int error)
{
    ucontext_t *c = context;

#if defined(__x86_64__)
    c->uc_mcontext.gregs[REG_RAX] = -error;
#else
    c->uc_mcontext.regs[0] = (unsigned long long)-(long long)error;
#endif
}

/* Async-signal-safe, so no log_at(); the line is as that writes it. */
static void say(unsigned number)
{
    char line[80] = "level=warn event=\"system_call_denied\" number=";
    char digits[12];
    size_t len = strlen(line), n = 0;

    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (n > 0)
        line[len++] = digits[--n];
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len);
}

static void on_refused(int signum, siginfo_t *info, void *context)
{
    int before = errno;
    unsigned number = (unsigned)info->si_syscall;
    uint32_t bit;

    (void)signum;
    if (info->si_code != SYS_SECCOMP)
        return; /* somebody's kill() */
    set_result(context, EPERM);
    atomic_fetch_add_explicit(&denied_total, 1, memory_order_relaxed);
    if (number < NUMBERS_MAX) {
        bit = UINT32_C(1) << number % 32;
        if ((atomic_fetch_or_explicit(&seen[number / 32], bit, memory_order_relaxed) & bit) ==
            0)
            say(number);
    }
    errno = before;
}

static int handle_refused(void)
{
    struct sigaction a;

    memset(&a, 0, sizeof(a));
    a.sa_sigaction = on_refused;
    a.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
    sigemptyset(&a.sa_mask);
    return sigaction(SIGSYS, &a, NULL);
}

static bool is_in_force(enum syscall_filter_mode mode)
{
    return prctl((int)PROBE_OF(mode), 0, 0, 0, 0) != 0 && errno == EALREADY;
}

/* Of an ibid that this one was started by. */
static enum syscall_filter_mode inherited(void)
{
    if (is_in_force(SYSCALL_FILTER_ON))
        return SYSCALL_FILTER_ON;
    return is_in_force(SYSCALL_FILTER_LOG) ? SYSCALL_FILTER_LOG : SYSCALL_FILTER_OFF;
}

enum status syscall_filter_install(enum syscall_filter_mode mode, char *why, size_t why_cap)
{
    struct program p;
    struct sock_fprog f = {.filter = p.at};
    enum syscall_filter_mode before = inherited();

    /* In any case: the one that started this may have had another list. */
    if (handle_refused() != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(why, why_cap, "%s", strerror(errno));
        return ST_UNAVAILABLE;
    }
    atomic_store_explicit(&in_force, before, memory_order_relaxed);
    if (mode <= before)
        return ST_OK;
    write_program(&p, mode);
    if (p.count > PROGRAM_MAX) {
        snprintf(why, why_cap, "the list is too long");
        return ST_LIMIT;
    }
    f.len = p.count;
    /* Not seccomp(2): who runs services allows prctl() to them, and not always that. */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f, 0, 0) != 0) {
        snprintf(why, why_cap, "the kernel takes no seccomp filter: %s", strerror(errno));
        return ST_UNAVAILABLE;
    }
    atomic_store_explicit(&in_force, mode, memory_order_relaxed);
    return ST_OK;
}

#endif
