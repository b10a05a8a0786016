/* The kernel's "Power Capping Framework" (Documentation/power/powercap): a folder a zone with
 * `name`, `energy_uj` and `max_energy_range_uj`, at which the counter begins anew. Zones named
 * package-N are sockets, dram beside them is memory; core and uncore are parts of a package and
 * are not added again.
 *
 * The counters are the machine's. Our part is that of our CPU time in the time that its cores
 * were busy (proc(5), /proc/stat): what a machine takes when idle is shared out with it. */
#include "proxy/energy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATH_BYTES 1200
#define TEXT_BYTES 512
#define UJ_PER_WH  3.6e9
#define S_PER_HOUR 3600.0
/* user nice system idle iowait irq softirq steal */
#define STAT_FIELDS 8

/* From the beginning; these files are made when they are read. false: not readable. */
static bool read_text(int fd, char text[TEXT_BYTES])
{
    ssize_t n = pread(fd, text, TEXT_BYTES - 1, 0);

    if (n <= 0)
        return false;
    text[n] = '\0';
    return true;
}

static int open_in(const char *folder, const char *zone, const char *name)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/%s/%s", folder, zone, name);

    return n > 0 && (size_t)n < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* The next number behind blanks; the text is read up to its end. */
static bool take_number(const char **at, uint64_t *out)
{
    uint64_t n = 0;

    while (**at == ' ')
        ++*at;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        if (n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(**at - '0');
    }
    *out = n;
    return true;
}

static bool read_number(int fd, uint64_t *out)
{
    char text[TEXT_BYTES];
    const char *at = text;

    return read_text(fd, text) && take_number(&at, out);
}

static bool read_in(const char *folder, const char *zone, const char *name,
                    char text[TEXT_BYTES])
{
    int fd = open_in(folder, zone, name);
    bool ok = fd >= 0 && read_text(fd, text);

    if (fd >= 0)
        close(fd);
    return ok;
}

static bool is_counted(const char *name)
{
    return strncmp(name, "package-", 8) == 0 || strncmp(name, "dram", 4) == 0;
}

static void open_zone(struct energy *e, const char *folder, const char *zone)
{
    struct energy_zone *z = &e->zones[e->zone_count];
    char name[TEXT_BYTES], range[TEXT_BYTES];
    const char *at = range;

    if (!read_in(folder, zone, "name", name) || !is_counted(name) ||
        !read_in(folder, zone, "max_energy_range_uj", range) || !take_number(&at, &z->range))
        return;
    z->fd = open_in(folder, zone, "energy_uj");
    if (z->fd < 0)
        return;
    if (read_number(z->fd, &z->last))
        e->zone_count++;
    else
        close(z->fd);
}

static void open_zones(struct energy *e, const char *folder)
{
    DIR *d = folder[0] != '\0' ? opendir(folder) : NULL;
    const struct dirent *entry;

    if (d == NULL)
        return;
    while ((entry = readdir(d)) != NULL && e->zone_count < ENERGY_ZONES_MAX) {
        /* intel-rapl:0, intel-rapl:0:1; the MMIO ones count the same packages again. */
        if (strncmp(entry->d_name, "intel-rapl:", 11) == 0)
            open_zone(e, folder, entry->d_name);
    }
    closedir(d);
}

static double cpu_seconds(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) / 1e6;
}

/* Ticks that all cores have worked. */
static bool busy_ticks(int fd, uint64_t *out)
{
    uint64_t f[STAT_FIELDS];
    char text[TEXT_BYTES];
    const char *at = text + 4;

    if (fd < 0 || !read_text(fd, text) || strncmp(text, "cpu ", 4) != 0)
        return false;
    for (unsigned i = 0; i < STAT_FIELDS; i++) {
        if (!take_number(&at, &f[i]))
            return false;
    }
    *out = f[0] + f[1] + f[2] + f[5] + f[6] + f[7];
    return true;
}

void energy_open(struct energy *e, const char *powercap, double cpu_watts)
{
    memset(e, 0, sizeof(*e));
    e->cpu_watts = cpu_watts;
    open_zones(e, powercap);
    e->stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    if (!busy_ticks(e->stat_fd, &e->last_busy))
        e->last_busy = 0;
}

void energy_close(struct energy *e)
{
    for (unsigned i = 0; i < e->zone_count; i++)
        close(e->zones[i].fd);
    if (e->stat_fd >= 0)
        close(e->stat_fd);
    e->zone_count = 0;
    e->stat_fd = -1;
}

/* Of the whole machine since the last look. false: a counter could not be read. */
static bool take_zones(struct energy *e, double *uj)
{
    bool all = e->zone_count > 0;

    *uj = 0;
    for (unsigned i = 0; i < e->zone_count; i++) {
        struct energy_zone *z = &e->zones[i];
        uint64_t now;

        if (!read_number(z->fd, &now)) {
            all = false;
            continue;
        }
        if (now >= z->last)
            *uj += (double)(now - z->last);
        else
            *uj += (double)now + (z->range > z->last ? (double)(z->range - z->last) : 0);
        z->last = now;
    }
    return all;
}

/* Our part of what the cores did. */
static bool take_share(struct energy *e, double cpu_s, double *share)
{
    long ticks = sysconf(_SC_CLK_TCK);
    uint64_t busy;
    double all_s;

    if (ticks <= 0 || !busy_ticks(e->stat_fd, &busy) || busy < e->last_busy)
        return false;
    all_s = (double)(busy - e->last_busy) / (double)ticks;
    e->last_busy = busy;
    /* Ticks are coarse: with little done they may say less than we know of ourselves. */
    *share = all_s > cpu_s ? cpu_s / all_s : cpu_s > 0 ? 1 : 0;
    return true;
}

void energy_take(struct energy *e, struct energy_part *out)
{
    double now = cpu_seconds(), uj, share;
    bool known;

    *out = (struct energy_part){.cpu_s = now > e->last_cpu_s ? now - e->last_cpu_s : 0};
    if (now > e->last_cpu_s)
        e->last_cpu_s = now;
    known = take_zones(e, &uj);
    known = take_share(e, out->cpu_s, &share) && known;
    if (known)
        out->measured_wh = uj * share / UJ_PER_WH;
    else
        out->estimated_wh = out->cpu_s * e->cpu_watts / S_PER_HOUR;
}
