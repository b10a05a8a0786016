/* Which kernels the machine is found to have: any that it says, and no other. With an argument,
 * the best of them is to be that (an emulator's processor is known). */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "base/compiler.h"
#include "engine/cpu.h"
#include "engine/engine.h"
#include "engine/kernels/attend.h"
#include "engine/kernels/dense.h"
#include "engine/kernels/quant.h"

static const char *expected;

static void every_level_can_be_forced_or_is_refused(void **state)
{
    (void)state;
    for (int l = 0; l < CPU_LEVELS; l++) {
        enum cpu_level level = (enum cpu_level)l;

        if (!cpu_has(level)) {
            CHECK_STATUS(ST_UNAVAILABLE, cpu_force(cpu_level_name(level)));
            continue;
        }
        CHECK_STATUS(ST_OK, cpu_force(cpu_level_name(level)));
        assert_string_equal(cpu_level_name(level), cpu_kernels());
        assert_ptr_equal(attend_sets[l], attend_kernels());
        assert_ptr_equal(dense_sets[l], dense_kernels());
        assert_ptr_equal(quant_sets[l], quant_kernels());
        assert_non_null(attend_kernels());
        assert_non_null(dense_kernels());
        assert_non_null(quant_kernels());
    }
    CHECK_STATUS(ST_INVALID, cpu_force("sse9"));
}

static void the_best_is_chosen(void **state)
{
    (void)state;
    CHECK_STATUS(ST_OK, cpu_force(NULL));
    for (int l = (int)cpu_level() + 1; l < CPU_LEVELS; l++)
        assert_false(cpu_has((enum cpu_level)l));
    if (expected != NULL)
        assert_string_equal(expected, cpu_kernels());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_can_be_forced_or_is_refused),
        cmocka_unit_test(the_best_is_chosen),
    };

    expected = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
