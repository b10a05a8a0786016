/* How much CPU time this process took since the last look, and how much energy that was: by the
 * processor's own counters (RAPL) where they can be read, else by a figure for one core. Some
 * microseconds of small reads. One thread at a time. */
#ifndef PROXY_ENERGY_H
#define PROXY_ENERGY_H

#include <stdbool.h>
#include <stdint.h>

#define ENERGY_ZONES_MAX 16

struct energy_zone {
    int fd;        /* energy_uj */
    uint64_t last; /* microjoules */
    uint64_t range;
};

struct energy {
    struct energy_zone zones[ENERGY_ZONES_MAX];
    unsigned zone_count;
    int stat_fd; /* /proc/stat */
    double cpu_watts;
    double last_cpu_s;
    uint64_t last_busy; /* ticks of all cores */
};

struct energy_part {
    double cpu_s;
    double measured_wh, estimated_wh; /* one of them is 0 */
};

/* `powercap`: the folder of the counters, "/sys/class/powercap"; empty: they are not asked.
 * cpu_watts: of one busy core, 0: unknown. What can not be read is left out. */
void energy_open(struct energy *e, const char *powercap, double cpu_watts);
void energy_close(struct energy *e);
/* Since the last call, or since the process began. */
void energy_take(struct energy *e, struct energy_part *out);

#endif
