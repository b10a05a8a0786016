#include "cli/serve_confine.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "config/config.h"
#include "rt/syscall_filter.h"

/* Prompts in memory stay out of core files; the limit alone does not reach a core_pattern that
 * is a program (core(5)). What runs from here never has more rights than it has now. */
static void keep_to_itself(void)
{
    struct rlimit none = {0, 0};

    (void)!setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static const enum syscall_filter_mode modes[] = {
    [SECCOMP_OFF] = SYSCALL_FILTER_OFF,
    [SECCOMP_LOG] = SYSCALL_FILTER_LOG,
    [SECCOMP_ON] = SYSCALL_FILTER_ON,
};

void serve_confine(const struct config *c)
{
    enum syscall_filter_mode wanted = modes[c->security.seccomp];
    char why[128] = "";

    keep_to_itself();
    if (syscall_filter_install(wanted, why, sizeof(why)) != ST_OK)
        log_at(LOG_WARN, NULL, kv_event("system_calls_unfiltered"), kv_str("why", why));
    else if (syscall_filter_in_force() != wanted)
        log_at(LOG_WARN, NULL, kv_event("system_calls_filtered"),
               kv_str("why", "the ibid that started this one had security.seccomp, which can "
                             "not be undone; a restart does"));
}
