/* What this process may ask of the kernel from here on: a seccomp filter (seccomp(2), filter
 * mode) with a list of the system calls that ibid makes, whoever it is made to make others.
 *
 * What is not on the list fails with EPERM and is counted, and the first of each number gets a
 * line in the log (event="system_call_denied"): a call that was overlooked costs a feature, not
 * the process. Calls that a libc tries before an older one, and numbers that are younger than
 * the list, fail with ENOSYS, which it expects, and are not counted. Namespaces, sockets of
 * other families than Unix, IPv4, IPv6 and netlink, and ioctl()s beyond the few that sockets
 * and terminals need are not had.
 *
 * It holds for the process and what it starts, also over execve(): there is no way back. */
#ifndef RT_SYSCALL_FILTER_H
#define RT_SYSCALL_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

enum syscall_filter_mode {
    SYSCALL_FILTER_OFF,
    SYSCALL_FILTER_LOG, /* what is not on the list is made, and noted by the kernel (audit) */
    SYSCALL_FILTER_ON,
};

/* Before other threads are started: it holds for those that this one starts. Sets
 * no_new_privs, without which the kernel takes no filter. ST_UNAVAILABLE with `why`: this
 * kernel or processor has none; nothing was changed then. One that is in force already (of an
 * ibid that started this one) is not put on again. */
enum status syscall_filter_install(enum syscall_filter_mode mode, char *why,
                                   size_t why_cap) MUST_CHECK;
/* What is in force, whoever put it there. Any thread. */
enum syscall_filter_mode syscall_filter_in_force(void);
/* Calls that were refused. Any thread. */
uint64_t syscall_filter_denied_total(void);

#endif
