#define _GNU_SOURCE /* sched_getaffinity, CPU_COUNT */
#include "rt/quota.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a limited quota, what background threads may use together. The rest is for those that
 * clients wait for. */
#define BACKGROUND_PART .6
/* v1 says "no limit" by a number near the largest, of more than 18 digits, or fewer in pages.
 */
#define NO_LIMIT_BYTES (INT64_C(1) << 56)
#define LINE_MAX_BYTES 4096

/* A hierarchy of groups that this process is in. */
struct hierarchy {
    char mount[PATH_MAX]; /* where its files are */
    char top[PATH_MAX];   /* the group that is mounted there */
    char group[PATH_MAX]; /* this process's */
};

/* A field of a line, and where the next begins; fields are parted by one `by`. */
static char *take_field(char **rest, char by)
{
    char *field = *rest, *end;

    if (field == NULL)
        return NULL;
    end = strchr(field, by);
    *rest = end == NULL ? NULL : end + 1;
    if (end != NULL)
        *end = '\0';
    return field;
}

static bool lists(const char *names, const char *name)
{
    size_t n = strlen(name);

    for (const char *p = names; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0' || p[n] == '\n'))
            return true;
    }
    return false;
}

static void set_path(char to[PATH_MAX], const char *from)
{
    snprintf(to, PATH_MAX, "%s", from);
    to[strcspn(to, "\n")] = '\0';
}

static FILE *open_file(const char *root, const char *path)
{
    char full[4 * PATH_MAX];
    int n = snprintf(full, sizeof(full), "%s%s", root, path);

    return n < 0 || (size_t)n >= sizeof(full) ? NULL : fopen(full, "re");
}

/* Where the hierarchy with `controller` is mounted; NULL: version 2, which has one for all
 * (proc_pid_mountinfo(5): "36 35 98:0 /root /mount options [more] - type source options"). */
static bool find_mount(const char *root, const char *controller, struct hierarchy *h)
{
    FILE *f = open_file(root, "/proc/self/mountinfo");
    char line[LINE_MAX_BYTES];
    bool found = false;

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        char *tail = strstr(line, " - "), *rest = line, *type, *top, *mount;

        if (tail == NULL)
            continue;
        for (int i = 0; i < 3; i++)
            (void)take_field(&rest, ' ');
        top = take_field(&rest, ' ');
        mount = take_field(&rest, ' ');
        tail += 3;
        type = take_field(&tail, ' ');
        (void)take_field(&tail, ' ');
        found = controller == NULL ? strcmp(type, "cgroup2") == 0
                                   : strcmp(type, "cgroup") == 0 && lists(tail, controller);
        if (found && top != NULL && mount != NULL) {
            set_path(h->top, top);
            set_path(h->mount, mount);
        }
    }
    if (f != NULL)
        fclose(f);
    return found;
}

/* cgroups(7): "hierarchy:controllers:path", of version 2 "0::path". */
static bool find_group(const char *root, const char *controller, struct hierarchy *h)
{
    FILE *f = open_file(root, "/proc/self/cgroup");
    char line[LINE_MAX_BYTES];
    bool found = false;

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL) {
        char *rest = line, *number = take_field(&rest, ':'), *names = take_field(&rest, ':');

        if (rest == NULL)
            continue;
        found = controller == NULL ? strcmp(number, "0") == 0 && names[0] == '\0'
                                   : lists(names, controller);
        if (found)
            set_path(h->group, rest);
    }
    if (f != NULL)
        fclose(f);
    return found;
}

/* The files of one group, from its own up to the topmost that is mounted. */
typedef void limit_fn(const char *root, const char *dir, struct quota *q);

static void walk_up(const char *root, const struct hierarchy *h, limit_fn *limit,
                    struct quota *q)
{
    size_t top = strcmp(h->top, "/") == 0 ? 0 : strlen(h->top), low = strlen(h->mount);
    const char *below = h->group;
    char dir[2 * PATH_MAX];

    /* A group that lies outside of what is mounted is not to be seen; the topmost is. */
    below = strncmp(below, h->top, top) == 0 ? below + top : "";
    snprintf(dir, sizeof(dir), "%s%s%s", h->mount,
             below[0] == '/' || below[0] == '\0' ? "" : "/",
             strcmp(below, "/") == 0 ? "" : below);
    for (;;) {
        char *cut = strrchr(dir, '/');

        limit(root, dir, q);
        if (cut == NULL || (size_t)(cut - dir) < low)
            return;
        *cut = '\0';
    }
}

/* A whole number of up to 18 digits; -1: there is none ("max" and "-1" say "no limit"). */
static int64_t take_number(char **rest)
{
    const char *p = take_field(rest, ' ');
    int64_t n = 0;
    size_t i = 0;

    for (; p != NULL && p[i] >= '0' && p[i] <= '9' && i < 18; i++)
        n = 10 * n + (p[i] - '0');
    return i > 0 && (p[i] == '\0' || p[i] == '\n') ? n : -1;
}

/* The first two numbers of a group's file; -1 for each that is not there. */
static void read_numbers(const char *root, const char *dir, const char *name, int64_t n[2])
{
    char path[2 * PATH_MAX + 64], line[64], *rest = line;
    FILE *f;

    n[0] = n[1] = -1;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = open_file(root, path);
    if (f == NULL)
        return;
    if (fgets(line, sizeof(line), f) != NULL) {
        n[0] = take_number(&rest);
        n[1] = take_number(&rest);
    }
    fclose(f);
}

static void limit_cpus(struct quota *q, int64_t quota_us, int64_t period_us)
{
    double cpus = quota_us > 0 && period_us > 0 ? (double)quota_us / (double)period_us : 0;

    if (cpus > 0 && cpus < q->cpus) {
        q->cpus = cpus;
        q->cpus_limited = true;
    }
}

static void limit_memory(struct quota *q, int64_t bytes)
{
    if (bytes > 0 && bytes < NO_LIMIT_BYTES &&
        (q->memory_bytes == 0 || (uint64_t)bytes < q->memory_bytes))
        q->memory_bytes = (uint64_t)bytes;
}

static void limit_v2(const char *root, const char *dir, struct quota *q)
{
    int64_t n[2];

    read_numbers(root, dir, "cpu.max", n);
    limit_cpus(q, n[0], n[1]);
    read_numbers(root, dir, "memory.max", n);
    limit_memory(q, n[0]);
}

static void limit_v1_cpu(const char *root, const char *dir, struct quota *q)
{
    int64_t quota_us[2], period_us[2];

    read_numbers(root, dir, "cpu.cfs_quota_us", quota_us);
    read_numbers(root, dir, "cpu.cfs_period_us", period_us);
    limit_cpus(q, quota_us[0], period_us[0]);
}

static void limit_v1_memory(const char *root, const char *dir, struct quota *q)
{
    int64_t n[2];

    read_numbers(root, dir, "memory.limit_in_bytes", n);
    limit_memory(q, n[0]);
}

static double processors(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (double)online : 1;
}

void quota_read(const char *root, struct quota *out)
{
    static const struct {
        const char *controller;
        limit_fn *limit;
    } kinds[] = {{NULL, limit_v2}, {"cpu", limit_v1_cpu}, {"memory", limit_v1_memory}};

    *out = (struct quota){.cpus = processors()};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct hierarchy *h = calloc(1, sizeof(*h));

        if (h != NULL && find_mount(root, kinds[i].controller, h) &&
            find_group(root, kinds[i].controller, h))
            walk_up(root, h, kinds[i].limit, out);
        free(h);
    }
}

unsigned quota_threads(const struct quota *q, unsigned most)
{
    if (q->cpus < 2)
        return 1;
    return q->cpus < most ? (unsigned)q->cpus : most;
}

double quota_share(const struct quota *q, double wanted, unsigned threads)
{
    double share = BACKGROUND_PART * q->cpus / threads;

    return q->cpus_limited && share < wanted ? share : wanted;
}
