/* What was measured of a model is found again for its file, and for no other. */
#include "proxy/model_speeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

struct place {
    char dir[64], model[96], other[96], speeds[96];
};

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void set_up(struct place *p)
{
    strcpy(p->dir, "/tmp/ibid-speeds-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->model, sizeof(p->model), "%s/a.gguf", p->dir);
    snprintf(p->other, sizeof(p->other), "%s/b.gguf", p->dir);
    snprintf(p->speeds, sizeof(p->speeds), "%s/" MODEL_SPEEDS_FILE, p->dir);
    put(p->model, "aaa");
    put(p->other, "bbb");
}

static void tear_down(struct place *p)
{
    (void)unlink(p->model);
    (void)unlink(p->other);
    (void)unlink(p->speeds);
    assert_int_equal(rmdir(p->dir), 0);
}

static double rate(const struct place *p, const char *model)
{
    struct model_speed s;

    model_speeds_get(p->dir, model, &s);
    return s.decode_per_s;
}

static void what_was_measured_is_found_again(void **state)
{
    struct model_speed s = {
        .prompt_per_s = 500, .decode_per_s = 40, .threads = 2, .day = "2026-01-31"};
    struct model_speed got;
    char around[160];
    struct place p;

    (void)state;
    set_up(&p);
    assert_true(rate(&p, p.model) == 0);
    CHECK_STATUS(ST_OK, model_speeds_put(p.dir, p.model, &s));
    s.decode_per_s = 7;
    CHECK_STATUS(ST_OK, model_speeds_put(p.dir, p.other, &s));
    model_speeds_get(p.dir, p.model, &got);
    assert_true(got.prompt_per_s == 500 && got.decode_per_s == 40 && got.threads == 2);
    assert_string_equal(got.day, "2026-01-31");
    assert_true(rate(&p, p.other) == 7);
    /* The same place by another way, and a newer figure. */
    snprintf(around, sizeof(around), "%s/../%s/a.gguf", p.dir, strrchr(p.dir, '/') + 1);
    assert_true(rate(&p, around) == 40);
    s.decode_per_s = 50;
    CHECK_STATUS(ST_OK, model_speeds_put(p.dir, around, &s));
    assert_true(rate(&p, p.model) == 50 && rate(&p, p.other) == 7);
    /* Another file under its name is another model. */
    put(p.model, "aaaa");
    assert_true(rate(&p, p.model) == 0);
    tear_down(&p);
}

static void what_is_no_such_file_is_left_alone(void **state)
{
    static const char *const bad[] = {"[]", "{", "{\"models\":3}", "{\"models\":[1,{}]}"};
    struct model_speed s = {.prompt_per_s = 1, .decode_per_s = 2, .threads = 1};
    struct place p;

    (void)state;
    set_up(&p);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put(p.speeds, bad[i]);
        assert_true(rate(&p, p.model) == 0);
    }
    /* The last one is a list: what is wrong in it is dropped. */
    CHECK_STATUS(ST_OK, model_speeds_put(p.dir, p.model, &s));
    assert_true(rate(&p, p.model) == 2);
    put(p.speeds, bad[0]);
    CHECK_STATUS(ST_INVALID, model_speeds_put(p.dir, p.model, &s));
    CHECK_STATUS(ST_UNAVAILABLE, model_speeds_put(p.dir, "/nowhere.gguf", &s));
    tear_down(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_is_found_again),
        cmocka_unit_test(what_is_no_such_file_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
