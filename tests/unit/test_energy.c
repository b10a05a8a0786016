/* Energy by counters as the kernel shows them, and by CPU time where there are none. */
#include "proxy/energy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#include "check.h"

static char folder[] = "/tmp/ibid-energy-XXXXXX";

static void write_file(const char *zone, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, zone);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", folder, zone, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void write_zone(const char *zone, const char *name, const char *uj)
{
    write_file(zone, "name", name);
    write_file(zone, "energy_uj", uj);
    write_file(zone, "max_energy_range_uj", "1000000000\n");
}

static void remove_zone(const char *zone)
{
    static const char *const files[] = {"/name", "/energy_uj", "/max_energy_range_uj", ""};
    char path[128];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s%s", folder, zone, files[i]);
        assert_int_equal(remove(path), 0);
    }
}

static void burn(uint64_t us)
{
    uint64_t until = clock_thread_cpu_us() + us;

    while (clock_thread_cpu_us() < until)
        ;
}

static void counters_are_shared_out(void **state)
{
    struct energy_part part;
    struct energy e;

    (void)state;
    assert_non_null(mkdtemp(folder));
    write_zone("intel-rapl:0", "package-0\n", "999000000\n");
    write_zone("intel-rapl:0:0", "core\n", "5\n"); /* part of the package */
    write_zone("intel-rapl:0:1", "dram\n", "1000\n");
    write_zone("intel-rapl-mmio:0", "package-0\n", "77\n"); /* the same package again */
    energy_open(&e, folder, 10);
    assert_int_equal(e.zone_count, 2);
    energy_take(&e, &part);
    burn(50000);
    /* Around its end, and 3,600 J of it together: 1 Wh is the most we can have used. */
    write_file("intel-rapl:0", "energy_uj", "600000000\n");
    write_file("intel-rapl:0:1", "energy_uj", "2000\n");
    energy_take(&e, &part);
    assert_true(part.cpu_s >= 0.05);
    assert_true(part.measured_wh > 0 && part.measured_wh <= 601.001 / 3600 + 1e-9);
    assert_true(part.estimated_wh == 0);
    /* What can not be read any more is no measurement. */
    write_file("intel-rapl:0", "energy_uj", "gone\n");
    burn(20000);
    energy_take(&e, &part);
    assert_true(part.measured_wh == 0);
    assert_true(fabs(part.estimated_wh - part.cpu_s * 10 / 3600) < 1e-12);
    energy_close(&e);
    remove_zone("intel-rapl:0");
    remove_zone("intel-rapl:0:0");
    remove_zone("intel-rapl:0:1");
    remove_zone("intel-rapl-mmio:0");
    assert_int_equal(rmdir(folder), 0);
}

static void without_counters_it_is_an_estimate(void **state)
{
    struct energy_part first, part;
    struct energy e;

    (void)state;
    energy_open(&e, "/nowhere/at/all", 3.6);
    assert_int_equal(e.zone_count, 0);
    energy_take(&e, &first);
    burn(30000);
    energy_take(&e, &part);
    assert_true(part.cpu_s >= 0.03 && part.measured_wh == 0);
    assert_true(fabs(part.estimated_wh - part.cpu_s / 1000) < 1e-12);
    energy_close(&e);
    energy_open(&e, "", 0);
    energy_take(&e, &part);
    assert_true(part.estimated_wh == 0 && part.measured_wh == 0 && part.cpu_s > 0);
    energy_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_are_shared_out),
        cmocka_unit_test(without_counters_it_is_an_estimate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
