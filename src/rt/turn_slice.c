#define _GNU_SOURCE /* syscall */
#include "rt/turn_slice.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The shortest there is: a request's work between two waits is less. */
#define TURN_NS 100000

/* struct sched_attr as linux/sched/types.h has it, whose header meets glibc's. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

void turn_slice_shorten(void)
{
    struct attributes a = {.size = sizeof(a),
                           .policy = SCHED_NORMAL,
                           .flags = SCHED_FLAG_RESET_ON_FORK,
                           .runtime = TURN_NS};
    int error = errno;

    a.nice = getpriority(PRIO_PROCESS, 0);
    (void)!syscall(SYS_sched_setattr, 0, &a, 0);
    errno = error;
}
