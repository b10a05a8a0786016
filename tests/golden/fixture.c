#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"

void fixture_kernels(int argc, char **argv)
{
    enum status st = cpu_force(argc > 1 ? argv[1] : "");

    if (st == ST_OK)
        return;
    printf("%s: kernels '%s' are not on this machine\n", argv[0], argv[1]);
    exit(st == ST_UNAVAILABLE ? 77 : 2);
}

bool fixture_model(const char *file, char *path, size_t cap)
{
    const char *folder = getenv("IBID_TEST_MODELS"), *home = getenv("HOME");

    if (folder != NULL)
        snprintf(path, cap, "%s/%s", folder, file);
    else
        snprintf(path, cap, "%s/.cache/ibid/models/%s", home != NULL ? home : "", file);
    if (access(path, R_OK) == 0)
        return true;
    printf("'%s' is not there: 'ibid models pull' fetches it\n", path);
    return false;
}

struct span fixture_file(struct arena *arena, const char *path)
{
    FILE *f = fopen(path, "rb");
    long size;
    char *bytes;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        abort();
    rewind(f);
    bytes = arena_alloc(arena, (size_t)size + 1, 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)size, f) != (size_t)size)
        abort();
    fclose(f);
    return (struct span){bytes, (size_t)size};
}

const struct json *fixture_json(struct arena *arena, const char *name)
{
    char path[1024];
    struct json_error why;
    struct json *v;

    snprintf(path, sizeof(path), "%s/tests/golden/%s", IBID_SOURCE_DIR, name);
    if (json_parse(arena, fixture_file(arena, path), 16, &v, &why) != ST_OK)
        abort();
    return v;
}
