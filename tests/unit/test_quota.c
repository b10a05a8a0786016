/* Limits of control groups, read from trees of files like those that the kernel shows. */
#include "rt/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "check.h"

#define V2_MOUNT "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
/* A container without a namespace of groups: what is mounted is its own group. */
#define V2_OWN "30 24 0:26 /kubepods/pod1/abc /sys/fs/cgroup ro - cgroup2 cgroup ro\n"
#define V1_MOUNTS                                                                              \
    "22 1 0:20 / /proc rw - proc proc rw\n"                                                    \
    "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"     \
    "32 24 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"                        \
    "33 24 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define FILES_MAX 6

struct tree_file {
    const char *path, *text;
};

struct tree_case {
    const char *name;
    struct tree_file files[FILES_MAX];
    double cpus; /* 0: no limit */
    uint64_t memory;
};

static const struct tree_case cases[] = {
    {"nothing to be read", {{NULL, NULL}}, 0, 0},
    {"v2, a group of its own",
     {{"/proc/self/mountinfo", V2_MOUNT},
      {"/proc/self/cgroup", "0::/system.slice/ibid.service\n"},
      {"/sys/fs/cgroup/system.slice/ibid.service/cpu.max", "50000 100000\n"},
      {"/sys/fs/cgroup/system.slice/ibid.service/memory.max", "536870912\n"}},
     .5,
     536870912},
    {"v2, the namespace's top",
     {{"/proc/self/mountinfo", V2_MOUNT},
      {"/proc/self/cgroup", "0::/\n"},
      {"/sys/fs/cgroup/cpu.max", "25000 100000\n"},
      {"/sys/fs/cgroup/memory.max", "max\n"}},
     .25,
     0},
    {"v2, one above is narrower",
     {{"/proc/self/mountinfo", V2_MOUNT},
      {"/proc/self/cgroup", "0::/a/b\n"},
      {"/sys/fs/cgroup/a/b/cpu.max", "80000 100000\n"},
      {"/sys/fs/cgroup/a/cpu.max", "30000 100000\n"},
      {"/sys/fs/cgroup/a/memory.max", "1000000\n"},
      {"/sys/fs/cgroup/a/b/memory.max", "max\n"}},
     .3,
     1000000},
    {"v2, no limit",
     {{"/proc/self/mountinfo", V2_MOUNT},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/sys/fs/cgroup/a/cpu.max", "max 100000\n"},
      {"/sys/fs/cgroup/a/memory.max", "max\n"}},
     0,
     0},
    {"v2, more than there is",
     {{"/proc/self/mountinfo", V2_MOUNT},
      {"/proc/self/cgroup", "0::/a\n"},
      {"/sys/fs/cgroup/a/cpu.max", "409600000 100000\n"}},
     0,
     0},
    {"v2, the mounted group is named from further up",
     {{"/proc/self/mountinfo", V2_OWN},
      {"/proc/self/cgroup", "0::/kubepods/pod1/abc\n"},
      {"/sys/fs/cgroup/cpu.max", "10000 100000\n"},
      {"/sys/fs/cgroup/memory.max", "77777\n"}},
     .1,
     77777},
    {"v2, the group is outside of what is mounted",
     {{"/proc/self/mountinfo", V2_OWN},
      {"/proc/self/cgroup", "0::/../../other\n"},
      {"/sys/fs/cgroup/cpu.max", "20000 100000\n"}},
     .2,
     0},
    {"v1",
     {{"/proc/self/mountinfo", V1_MOUNTS},
      {"/proc/self/cgroup", "5:cpuset:/x\n4:memory:/m\n3:cpu,cpuacct:/docker/1\n0::/\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us", "60000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "123456\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     .6,
     123456},
    {"v1, no limit",
     {{"/proc/self/mountinfo", V1_MOUNTS},
      {"/proc/self/cgroup", "4:memory:/\n3:cpu,cpuacct:/\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     0,
     0},
    {"files of no sense",
     {{"/proc/self/mountinfo", "no\n\n - \n1 2 3 - cgroup2\n" V2_MOUNT},
      {"/proc/self/cgroup", "\n::\n0:\n0::/a\n"},
      {"/sys/fs/cgroup/a/cpu.max", "many 100000\n"},
      {"/sys/fs/cgroup/a/memory.max", "-5\n"},
      {"/sys/fs/cgroup/cpu.max", "5 0\n"}},
     0,
     0},
};

static void make_file(const char *root, const struct tree_file *f)
{
    char path[512];
    FILE *out;

    snprintf(path, sizeof(path), "%s%s", root, f->path);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void)mkdir(path, 0700);
        *p = '/';
    }
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(f->text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void remove_tree(const char *root)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

static void test_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct tree_case *c = &cases[i];
        char root[] = "/tmp/ibid-quota-XXXXXX";
        struct quota q;

        assert_non_null(mkdtemp(root));
        for (size_t k = 0; k < FILES_MAX && c->files[k].path != NULL; k++)
            make_file(root, &c->files[k]);
        quota_read(root, &q);
        remove_tree(root);
        if (q.cpus_limited != (c->cpus > 0) || q.memory_bytes != c->memory ||
            (c->cpus > 0 ? q.cpus != c->cpus : q.cpus < 1))
            fail_msg("%s: %g processors (limited: %d), %llu bytes", c->name, q.cpus,
                     q.cpus_limited, (unsigned long long)q.memory_bytes);
    }
}

static void test_threads(void **state)
{
    static const struct {
        double cpus;
        unsigned most, threads;
    } them[] = {{.1, 4, 1}, {1, 4, 1}, {1.9, 4, 1}, {2, 4, 2}, {3.5, 4, 3}, {64, 4, 4}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(them); i++)
        assert_int_equal(quota_threads(&(struct quota){.cpus = them[i].cpus}, them[i].most),
                         them[i].threads);
}

/* What the threads use together stays well below what the group has. */
static void test_share(void **state)
{
    struct quota free = {.cpus = 2}, half = {.cpus = .5, .cpus_limited = true};

    (void)state;
    assert_true(quota_share(&free, 1, 8) == 1);
    assert_true(quota_share(&free, .4, 1) == .4);
    for (unsigned threads = 1; threads <= 8; threads *= 2) {
        double share = quota_share(&half, 1, threads);

        assert_true(share > 0 && share * threads <= .7 * half.cpus);
    }
    assert_true(quota_share(&half, .05, 1) == .05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
