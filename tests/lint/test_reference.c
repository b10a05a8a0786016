/* docs/configuration.md is what the table of settings says. */
#include <stdio.h>

#include "check.h"

#include "config/config.h"

static void reference_is_in_step(void **state)
{
    static char have[1 << 17];
    FILE *f = fopen(IBID_SOURCE_DIR "/docs/configuration.md", "rb");
    struct buf want;
    size_t n;

    (void)state;
    assert_non_null(f);
    n = fread(have, 1, sizeof(have), f);
    fclose(f);
    buf_init(&want, sizeof(have));
    CHECK_STATUS(ST_OK, config_write_reference(&want));
    if (!span_eq(buf_span(&want), (struct span){have, n}))
        fail_msg("run: build/release/ibid check --reference > docs/configuration.md");
    buf_release(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference_is_in_step)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
