/* Models of random weights that are loaded, used, and let go: in which order, and that none
 * goes that is in use. Files are real ones; the clock is turned by hand. */
#include "proxy/local_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "config/config.h"
#include "rt/loop.h"
#include "tiny_llama.h"

enum { MODELS = 3 };

#define SECOND_US UINT64_C(1000000)

struct fixture {
    char dir[64];
    struct config *config;
    struct loop *loop;
    struct local_models *models;
    uint64_t now_us;
    unsigned closed;
};

static void path_of(const struct fixture *f, size_t i, char out[128])
{
    snprintf(out, 128, "%s/%c.gguf", f->dir, (char)('a' + i));
}

/* Weights of another type are another model. */
static void save(const struct fixture *f, size_t i, uint32_t type)
{
    struct tiny_llama t;
    struct buf file;
    char path[128];
    FILE *out;

    buf_init(&file, SIZE_MAX / 2);
    tiny_llama_init(&t, type, 32, NULL, &file);
    tiny_llama_release(&t);
    path_of(f, i, path);
    out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file.ptr, 1, file.len, out), file.len);
    assert_int_equal(fclose(out), 0);
    buf_release(&file);
}

static void set_up(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/ibid-models-XXXXXX", .now_us = SECOND_US};
    assert_non_null(mkdtemp(f->dir));
    f->config = calloc(1, sizeof(*f->config));
    assert_non_null(f->config);
    config_defaults(f->config);
    strcpy(f->config->local.model, "off");
    strcpy(f->config->local.priority, "normal");
    f->config->model_count = MODELS;
    for (size_t i = 0; i < MODELS; i++) {
        struct config_model *m = &f->config->models[i];

        *m = (struct config_model){.context_max = 128, .max_tokens = 16};
        snprintf(m->name, sizeof(m->name), "%c", (char)('a' + i));
        path_of(f, i, m->model);
        strcpy(m->load, "demand");
        save(f, i, 0);
    }
    CHECK_STATUS(ST_OK, loop_open(&f->loop));
    loop_set_now_us(f->loop, f->now_us);
}

static void open_models(struct fixture *f)
{
    CHECK_STATUS(ST_OK, local_models_open(f->loop, f->config, &f->models));
    assert_non_null(f->models);
}

static void on_closed(void *owner)
{
    ((struct fixture *)owner)->closed++;
}

static void tear_down(struct fixture *f)
{
    char path[128];

    if (f->models != NULL) {
        local_models_close(f->models, on_closed, f);
        assert_int_equal(f->closed, 0);
        loop_run(f->loop);
        assert_int_equal(f->closed, 1);
    }
    CHECK_STATUS(ST_OK, loop_close(f->loop));
    for (size_t i = 0; i < MODELS; i++) {
        path_of(f, i, path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
    free(f->config);
}

static void pass(struct fixture *f, uint64_t us)
{
    f->now_us += us;
    loop_set_now_us(f->loop, f->now_us);
}

static const char *word(const struct fixture *f, size_t i)
{
    struct local_models_state s;

    local_models_state(f->models, i, &s);
    return s.word;
}

static struct local_models_state state(const struct fixture *f, size_t i)
{
    struct local_models_state s;

    local_models_state(f->models, i, &s);
    return s;
}

struct user {
    struct local_use use;
    unsigned told;
};

static void on_ready(struct local_use *use)
{
    CONTAINER_OF(use, struct user, use)->told++;
}

static enum status take(struct fixture *f, size_t i, struct user *u)
{
    *u = (struct user){.told = 0};
    return local_models_take(f->models, i, &u->use, on_ready);
}

/* Takes it, and gives it back. */
static void visit(struct fixture *f, size_t i)
{
    struct user u;
    enum status st = take(f, i, &u);

    if (st == ST_OVERLOAD) {
        loop_run(f->loop);
        assert_int_equal(u.told, 1);
    }
    assert_non_null(u.use.model);
    pass(f, 1000);
    local_models_leave(f->models, &u.use);
    loop_run(f->loop);
}

static uint64_t loaded_bytes(const struct fixture *f)
{
    struct local_models_sums s;

    local_models_sums(f->models, &s);
    return s.loaded_bytes;
}

static void loaded_when_wanted(void **arg)
{
    struct fixture f;
    struct user u, v;
    uint64_t need;

    (void)arg;
    set_up(&f);
    strcpy(f.config->models[1].load, "start");
    open_models(&f);
    assert_string_equal(word(&f, 0), "unloaded");
    assert_string_equal(word(&f, 1), "loaded");
    need = state(&f, 0).memory_bytes;
    assert_true(need > 0 && need == state(&f, 1).memory_bytes && loaded_bytes(&f) == need);
    assert_true(local_models_identity(f.models, 0).len > 10);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &u));
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &v));
    assert_int_equal(u.told, 0);
    loop_run(f.loop);
    assert_true(u.told == 1 && v.told == 1 && u.use.model != NULL &&
                u.use.model == v.use.model);
    assert_int_equal(state(&f, 0).users, 2);
    assert_int_equal(state(&f, 0).loads_total, 1);
    assert_true(loaded_bytes(&f) == 2 * need && state(&f, 0).memory_bytes == need);
    local_models_leave(f.models, &u.use);
    local_models_leave(f.models, &u.use); /* twice is once */
    assert_int_equal(state(&f, 0).users, 1);
    local_models_leave(f.models, &v.use);
    CHECK_STATUS(ST_OK, take(&f, 0, &u));
    local_models_leave(f.models, &u.use);
    tear_down(&f);
}

static void the_least_recently_used_goes(void **arg)
{
    struct fixture f;

    (void)arg;
    set_up(&f);
    open_models(&f);
    f.config->local.loaded_max_bytes = 2 * state(&f, 0).memory_bytes;
    local_models_close(f.models, on_closed, &f);
    loop_run(f.loop);
    f.closed = 0;
    open_models(&f);
    visit(&f, 0);
    visit(&f, 1);
    visit(&f, 0);
    visit(&f, 2);
    assert_string_equal(word(&f, 0), "loaded");
    assert_string_equal(word(&f, 1), "unloaded");
    assert_string_equal(word(&f, 2), "loaded");
    assert_int_equal(state(&f, 1).evictions_total, 1);
    visit(&f, 1);
    assert_string_equal(word(&f, 0), "unloaded");
    assert_true(loaded_bytes(&f) <= f.config->local.loaded_max_bytes);
    tear_down(&f);
}

/* One place for three of them. */
static void set_up_narrow(struct fixture *f)
{
    set_up(f);
    open_models(f);
    f->config->local.loaded_max_bytes = state(f, 0).memory_bytes;
    local_models_close(f->models, on_closed, f);
    loop_run(f->loop);
    f->closed = 0;
    open_models(f);
}

static void who_is_in_use_stays(void **arg)
{
    struct fixture f;
    struct user a, b, again;

    (void)arg;
    set_up_narrow(&f);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &a));
    loop_run(f.loop);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 1, &b));
    loop_run(f.loop);
    assert_int_equal(b.told, 0);
    assert_string_equal(word(&f, 0), "unloading");
    assert_int_equal(state(&f, 0).users, 1);
    /* Who comes for it now has to wait until it is back: the other one's turn is first. */
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &again));
    loop_run(f.loop);
    assert_true(b.told == 0 && again.told == 0 && a.use.model != NULL);
    local_models_leave(f.models, &a.use);
    loop_run(f.loop);
    assert_true(b.told == 1 && b.use.model != NULL && again.told == 0);
    assert_true(loaded_bytes(&f) == state(&f, 0).memory_bytes);
    local_models_leave(f.models, &b.use);
    loop_run(f.loop);
    assert_true(again.told == 1 && again.use.model != NULL);
    assert_int_equal(state(&f, 0).loads_total, 2);
    local_models_leave(f.models, &again.use);
    tear_down(&f);
}

static void who_leaves_is_not_told(void **arg)
{
    struct fixture f;
    struct user a, b, c;

    (void)arg;
    set_up_narrow(&f);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &a));
    loop_run(f.loop);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 1, &b));
    CHECK_STATUS(ST_OVERLOAD, take(&f, 2, &c));
    local_models_leave(f.models, &b.use);
    assert_int_equal(state(&f, 1).waiting, 0);
    local_models_leave(f.models, &a.use);
    loop_run(f.loop);
    assert_true(b.told == 0 && c.told == 1 && c.use.model != NULL);
    assert_string_equal(word(&f, 1), "unloaded");
    assert_int_equal(state(&f, 1).loads_total, 0);
    local_models_leave(f.models, &c.use);
    /* And at the end, in the middle of a load. */
    CHECK_STATUS(ST_OVERLOAD, take(&f, 1, &b));
    local_models_leave(f.models, &b.use);
    tear_down(&f);
}

static enum status take_patiently(struct fixture *f, size_t i, struct user *u)
{
    *u = (struct user){.use = {.patient = true}};
    return local_models_take(f->models, i, &u->use, on_ready);
}

/* Patient ones are told when nobody else uses it, also where they waited for its file. */
static void the_patient_wait(void **arg)
{
    struct fixture f;
    struct user a, b, c, d;

    (void)arg;
    set_up(&f);
    open_models(&f);
    CHECK_STATUS(ST_OVERLOAD, take_patiently(&f, 0, &b));
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &a));
    loop_run(f.loop);
    assert_true(a.told == 1 && a.use.model != NULL && b.told == 0);
    CHECK_STATUS(ST_OVERLOAD, take_patiently(&f, 0, &c));
    CHECK_STATUS(ST_OK, take(&f, 0, &d));
    local_models_leave(f.models, &a.use);
    loop_run(f.loop);
    assert_true(b.told == 0 && c.told == 0);
    local_models_leave(f.models, &d.use);
    assert_int_equal(b.told, 0); /* not from within */
    loop_run(f.loop);
    assert_true(b.told == 1 && b.use.model != NULL && c.told == 1 && c.use.model != NULL);
    assert_int_equal(state(&f, 0).users, 2);
    CHECK_STATUS(ST_OK, take(&f, 0, &a));
    local_models_leave(f.models, &b.use);
    CHECK_STATUS(ST_OVERLOAD, take_patiently(&f, 0, &b));
    local_models_leave(f.models, &b.use); /* waits no longer */
    local_models_leave(f.models, &c.use);
    local_models_leave(f.models, &a.use);
    loop_run(f.loop);
    assert_int_equal(b.told, 0);
    CHECK_STATUS(ST_OK, take_patiently(&f, 0, &b));
    local_models_leave(f.models, &b.use);
    /* And the end, with the word on its way. */
    CHECK_STATUS(ST_OK, take(&f, 0, &a));
    CHECK_STATUS(ST_OVERLOAD, take_patiently(&f, 0, &b));
    local_models_leave(f.models, &a.use);
    local_models_leave(f.models, &b.use);
    tear_down(&f);
}

static void a_load_that_takes_too_long(void **arg)
{
    struct fixture f;
    struct user a, b;

    (void)arg;
    set_up(&f);
    open_models(&f);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &a));
    pass(&f, f.config->local.load_timeout_ms * 1000 + 1);
    CHECK_STATUS(ST_TIMEOUT, take(&f, 0, &b));
    loop_run(f.loop);
    assert_true(a.told == 1 && a.use.model != NULL && b.told == 0);
    CHECK_STATUS(ST_OK, take(&f, 0, &b));
    local_models_leave(f.models, &a.use);
    local_models_leave(f.models, &b.use);
    tear_down(&f);
}

static void files_that_are_not_there(void **arg)
{
    struct fixture f;
    struct user u;
    char path[128];

    (void)arg;
    set_up(&f);
    path_of(&f, 1, path);
    assert_int_equal(unlink(path), 0);
    open_models(&f);
    assert_int_equal(local_models_absent(f.models), 2);
    assert_string_equal(word(&f, 1), "broken");
    assert_non_null(strstr(state(&f, 1).why, path));
    assert_int_equal(local_models_identity(f.models, 1).len, 0);
    CHECK_STATUS(ST_UNAVAILABLE, take(&f, 1, &u));
    save(&f, 1, 0);
    assert_int_equal(local_models_absent(f.models), 2);
    loop_run(f.loop);
    assert_int_equal(local_models_absent(f.models), 2); /* too soon for another look */
    pass(&f, 6 * SECOND_US);
    assert_int_equal(local_models_absent(f.models), 2);
    loop_run(f.loop);
    assert_int_equal(local_models_absent(f.models), 0);
    assert_true(local_models_identity(f.models, 1).len > 10);
    visit(&f, 1);
    tear_down(&f);
}

/* What it has said it is, it is no more: nothing is kept under the old one's name. */
static void files_that_change(void **arg)
{
    struct fixture f;
    struct user u;
    char path[128], before[256];

    (void)arg;
    set_up(&f);
    open_models(&f);
    snprintf(before, sizeof(before), "%s", local_models_identity(f.models, 0).ptr);
    save(&f, 0, 8);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 0, &u));
    loop_run(f.loop);
    assert_true(u.told == 1 && u.use.model == NULL);
    assert_string_not_equal(before, local_models_identity(f.models, 0).ptr);
    pass(&f, 6 * SECOND_US);
    assert_int_equal(local_models_absent(f.models), 1);
    loop_run(f.loop);
    visit(&f, 0);

    path_of(&f, 1, path);
    assert_int_equal(truncate(path, 500), 0);
    CHECK_STATUS(ST_OVERLOAD, take(&f, 1, &u));
    loop_run(f.loop);
    assert_true(u.told == 1 && u.use.model == NULL);
    assert_int_equal(state(&f, 1).failures_total, 1);
    assert_non_null(strstr(state(&f, 1).why, path));
    CHECK_STATUS(ST_UNAVAILABLE, take(&f, 1, &u));
    tear_down(&f);
}

static void one_that_never_fits(void **arg)
{
    struct fixture f;

    (void)arg;
    set_up(&f);
    f.config->local.loaded_max_bytes = 1000;
    open_models(&f);
    assert_int_equal(local_models_absent(f.models), 7);
    assert_non_null(strstr(state(&f, 0).why, "local.loaded_max_bytes"));
    tear_down(&f);
}

static void none_at_all(void **arg)
{
    struct fixture f;

    (void)arg;
    set_up(&f);
    f.config->model_count = 0;
    CHECK_STATUS(ST_OK, local_models_open(f.loop, f.config, &f.models));
    assert_null(f.models);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded_when_wanted),
        cmocka_unit_test(the_least_recently_used_goes),
        cmocka_unit_test(who_is_in_use_stays),
        cmocka_unit_test(who_leaves_is_not_told),
        cmocka_unit_test(the_patient_wait),
        cmocka_unit_test(a_load_that_takes_too_long),
        cmocka_unit_test(files_that_are_not_there),
        cmocka_unit_test(files_that_change),
        cmocka_unit_test(one_that_never_fits),
        cmocka_unit_test(none_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
