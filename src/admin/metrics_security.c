#include "admin/metrics_security.h"

#include <inttypes.h>

#include "admin/admin.h"
#include "admin/audit.h"
#include "rt/syscall_filter.h"

static enum status value(struct buf *out, const char *name, const char *type, const char *help,
                         uint64_t n)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name,
                      type, name, n);
}

static enum status audit_lines(struct buf *out, const struct audit *a)
{
    struct audit_stats s;
    enum status st;

    audit_stats(a, &s);
    st = value(out, "ibid_audit_log_lines_total", "counter", "Events for the audit log.",
               s.lines_total);
    return st != ST_OK ? st
                       : value(out, "ibid_audit_log_dropped_total", "counter",
                               "Those that were not written.", s.dropped_total);
}

enum status metrics_security_write(struct buf *out, const struct admin_view *v)
{
    enum status st = value(out, "ibid_system_call_filter", "gauge",
                           "1: the kernel refuses system calls that ibid has no use for.",
                           syscall_filter_in_force() == SYSCALL_FILTER_ON);

    if (st == ST_OK)
        st = value(out, "ibid_system_calls_denied_total", "counter",
                   "System calls that the filter refused.", syscall_filter_denied_total());
    if (st == ST_OK && v->audit != NULL)
        st = audit_lines(out, v->audit);
    return st;
}
