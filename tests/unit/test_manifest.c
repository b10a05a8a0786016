#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

#include "cli/args.h"
#include "cli/manifest.h"
#include "cli/model_files.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* of "abc" */
#define MODEL                                                                                  \
    "model m\nkind encoder\nparameters 1\nlicence L\npackage p 1 9\n"                          \
    "file f.bin 3 " HEX " a/f.bin\n"

static void builtin_is_whole(void **state)
{
    struct manifest *m = malloc(sizeof(*m));

    (void)state;
    assert_non_null(m);
    manifest_builtin(m);
    assert_non_null(manifest_find(m, "all-minilm-l6-v2"));
    assert_non_null(manifest_find(m, "smollm2-135m-instruct"));
    assert_non_null(manifest_find(m, "gemma-3-270m"));
    assert_null(manifest_find(m, "other"));
    free(m);
}

static const struct {
    const char *text;
    unsigned line;
} refused[] = {
    {"kind encoder\n", 1},
    {"model ../up\n", 1},
    {"model a/b\n", 1},
    {"model m\nfile ../x 3 " HEX " x\n", 2},
    {"model m\nfile x 3 abc x\n", 2},
    {"model m\nfile x -3 " HEX " x\n", 2},
    {"model m\nfile x 3 " HEX "\n", 2},
    {"model m\nwords\n", 2},
    {"model m\n", 2},  /* incomplete */
    {MODEL MODEL, 13}, /* twice */
};

static void mistakes_are_found(void **state)
{
    struct manifest *m = malloc(sizeof(*m));
    unsigned line;

    (void)state;
    assert_non_null(m);
    CHECK_STATUS(ST_OK, manifest_parse(span_of("# x\n" MODEL), m, &line));
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (manifest_parse(span_of(refused[i].text), m, &line) == ST_OK ||
            line != refused[i].line)
            fail_msg("%s: line %u", refused[i].text, line);
    }
    free(m);
}

static void a_file_may_come_in_pieces(void **state)
{
    struct manifest *m = malloc(sizeof(*m));
    const struct manifest_file *f;
    unsigned line;

    (void)state;
    assert_non_null(m);
    CHECK_STATUS(ST_OK, manifest_parse(SPAN("model m\nkind decoder\nparameters 1\nlicence L\n"
                                            "package p 1 9\npackage q 2 90\n"
                                            "file f.bin 3 " HEX " p/a q/b p/c\n"),
                                       m, &line));
    f = &m->models[0].files[0];
    assert_int_equal(2, m->models[0].package_count);
    assert_string_equal("q", m->models[0].packages[1].name);
    assert_int_equal(99, manifest_package_bytes(&m->models[0]));
    assert_int_equal(3, f->member_count);
    assert_string_equal("q/b", f->members[1]);
    CHECK_STATUS(
        ST_LIMIT,
        manifest_parse(SPAN("model m\nfile f.bin 3 " HEX " 1 2 3 4 5 6 7 8 9\n"), m, &line));
    free(m);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[MODEL_FILES_PATH];
    FILE *f;

    assert_true(model_files_join(path, folder, name));
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Whole, noted, changed behind our back, noted no more. */
static void files_are_verified(void **state)
{
    char folder[] = "/tmp/ibid-test-XXXXXX", why[256];
    struct manifest *m = malloc(sizeof(*m));
    unsigned line;

    (void)state;
    assert_non_null(m);
    assert_non_null(mkdtemp(folder));
    CHECK_STATUS(ST_OK, manifest_parse(span_of(MODEL), m, &line));
    CHECK_STATUS(ST_NOTFOUND, model_files_verify(folder, &m->models[0], why, sizeof(why)));
    put(folder, "f.bin", "abd");
    CHECK_STATUS(ST_INVALID, model_files_verify(folder, &m->models[0], why, sizeof(why)));
    put(folder, "f.bin", "abc");
    CHECK_STATUS(ST_OK, model_files_verify(folder, &m->models[0], why, sizeof(why)));
    assert_false(model_files_noted(folder, &m->models[0]));
    model_files_note(folder, &m->models[0]);
    assert_true(model_files_noted(folder, &m->models[0]));
    assert_true(model_files_present(folder, &m->models[0]));
    assert_true(model_files_bytes(folder) > 3);
    put(folder, "f.bin", "abcd");
    assert_false(model_files_noted(folder, &m->models[0]));
    model_files_remove(folder);
    assert_int_not_equal(0, access(folder, F_OK));
    free(m);
}

static void arguments(void **state)
{
    char a0[] = "x", a1[] = "--config=f", a2[] = "-q", a3[] = "--", a4[] = "-q", a5[] = "-c";
    char *argv[] = {a0, a1, a2, a3, a4, NULL};
    char *cut[] = {a0, a5, NULL};
    const char *value = NULL;
    struct args a;

    (void)state;
    args_init(&a, "x", "", 5, argv);
    assert_true(args_more(&a) && args_value(&a, "-c", "--config", &value));
    assert_string_equal("f", value);
    assert_true(args_more(&a) && args_flag(&a, "-q", "--quiet"));
    assert_true(args_more(&a) && !args_flag(&a, "-q", "--quiet"));
    assert_true(args_word(&a, &value));
    assert_string_equal("-q", value);
    assert_false(args_more(&a));
    args_init(&a, "x", "", 2, cut);
    assert_true(args_more(&a) && !args_value(&a, "-c", "--config", &value));
    assert_string_equal("-c", a.missed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_is_whole),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(a_file_may_come_in_pieces),
        cmocka_unit_test(files_are_verified),
        cmocka_unit_test(arguments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
