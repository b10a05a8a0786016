/* The dashboard's files, compiled in from src/admin/dashboard: pages that hold no data and ask
 * the admin API for it, with the token that the operator typed in. Loop thread only. */
#ifndef ADMIN_DASHBOARD_H
#define ADMIN_DASHBOARD_H

#include <stddef.h>

#include "base/span.h"

struct admin_call;

struct dashboard_file {
    const char *path; /* "/dashboard/style.css" */
    const char *type; /* of its content */
    const unsigned char *bytes;
    size_t len;
};

/* Made by embed.cmake; the last one has no path. */
extern const struct dashboard_file dashboard_files[];

/* NULL: no such file. */
const struct dashboard_file *dashboard_find(struct span path);
void dashboard_respond(struct admin_call *c, const struct dashboard_file *file);

#endif
