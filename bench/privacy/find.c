/* privacy_bench < TEXTS: what the finder finds in each line's text, a JSON string a line:
 * "CLASS AT LEN" a find, parted by ';', in bytes.
 * privacy_bench -t SECONDS < TEXTS: how long a pass over all of them takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "privacy/finder.h"

#define TEXTS_MAX 100000

static struct span texts[TEXTS_MAX];
static size_t count, bytes;

static bool read_texts(struct arena *arena)
{
    size_t room = 1 << 20;
    char *line = malloc(room);

    while (line != NULL && count < TEXTS_MAX && fgets(line, (int)room, stdin) != NULL) {
        struct json_error why;
        struct json *v;

        if (json_parse(arena, span_of(line), 8, &v, &why) != ST_OK || v->type != JSON_STRING) {
            fprintf(stderr, "line %zu is no JSON string\n", count + 1);
            return false;
        }
        texts[count++] = v->text;
        bytes += v->text.len;
    }
    free(line);
    return count > 0;
}

static void print(const struct find *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%s%s %zu %zu", i > 0 ? ";" : "", privacy_class_name(list[i].class), list[i].at,
               list[i].len);
    printf("\n");
}

static void measure(struct finder *f, double seconds)
{
    uint64_t start = clock_now_us(), now = start;
    size_t passes = 0, found = 0, n;
    const struct find *list;

    while ((double)(now - start) < seconds * 1e6) {
        for (size_t i = 0; i < count; i++) {
            if (finder_scan(f, texts[i], &list, &n) == ST_OK)
                found += n;
        }
        passes++;
        now = clock_now_us();
    }
    printf("%zu texts, %zu bytes: %.3f GB/s, %.0f ns a text, %zu finds\n", count, bytes,
           (double)bytes * (double)passes / (double)(now - start) / 1e3,
           (double)(now - start) * 1e3 / (double)(passes * count), found / passes);
}

int main(int argc, char **argv)
{
    struct finder_options o = {.classes = (1u << PRIVACY_CLASSES) - 1};
    struct finder *f = NULL;
    struct arena arena;
    char why[256];
    int rc = 1;

    arena_init(&arena, 1 << 20, (size_t)1 << 32);
    if (argc == 4 && strcmp(argv[1], "-t") == 0 && strcmp(argv[3], "usual") == 0)
        o.classes &= ~(PRIVACY_BIT(PRIVACY_NAME) | PRIVACY_BIT(PRIVACY_DATE));
    if (finder_open(&o, &f, why, sizeof(why)) == ST_OK && read_texts(&arena)) {
        rc = 0;
        if (argc > 2) {
            measure(f, strtod(argv[2], NULL));
        } else {
            for (size_t i = 0; i < count; i++) {
                const struct find *list;
                size_t n;

                if (finder_scan(f, texts[i], &list, &n) == ST_OK)
                    print(list, n);
                else
                    printf("?\n");
            }
        }
    }
    finder_close(f);
    arena_release(&arena);
    return rc;
}
