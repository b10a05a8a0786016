/* The time that opening a decoder takes, its file in the page cache:
 *     ninja -C build/release open_bench && build/release/bin/open_bench FILE [times] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/engine.h"

#define TIMES_MAX 1000

static uint64_t open_once(const char *path)
{
    const struct decoder_options o = {.tokens_only = true};
    struct engine_error err = {.text = ""};
    struct decoder *d;
    uint64_t t0 = clock_now_us();

    if (decoder_open(path, &o, &d, &err) != ST_OK) {
        fprintf(stderr, "open_bench: %s\n", err.text);
        exit(1);
    }
    t0 = clock_now_us() - t0;
    decoder_close(d);
    return t0;
}

int main(int argc, char **argv)
{
    long times = argc > 2 ? strtol(argv[2], NULL, 10) : 5;
    uint64_t least = UINT64_MAX;

    if (argc < 2 || times < 1 || times > TIMES_MAX) {
        fprintf(stderr, "usage: open_bench FILE [times, 1 to %d]\n", TIMES_MAX);
        return 2;
    }
    for (long i = 0; i < times; i++) {
        uint64_t took = open_once(argv[1]);

        printf("opening %ld: %" PRIu64 ".%" PRIu64 " ms\n", i + 1, took / 1000,
               took / 100 % 10);
        least = took < least ? took : least;
    }
    printf("least: %" PRIu64 ".%" PRIu64 " ms\n", least / 1000, least / 100 % 10);
    return 0;
}
