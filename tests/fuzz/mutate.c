/* Runs a fuzz target over broken copies of the files of a folder, any compiler:
 *
 *     mutate_NAME FOLDER COUNT [FIRST]
 *
 * Copy number i is the same on every machine: flipped bits, numbers that are too large, too
 * small or off by one, cut ends, parts of other files; most of it near the front, where sizes
 * and offsets are. A crash, an allocation beyond what the target allows (it aborts) or more
 * than HANG_S seconds of work end a child process, not the run: the copy is kept as
 * mutate-NAME-i in the current folder. Prints what happened; exit status 1: something did. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/compiler.h"

#define FILES_MAX 512
#define BYTES_MAX (1u << 20) /* of a copy */
#define HANG_S    10
#define SLOW_US   1000000 /* of work, sanitized */
#define TURNS_MAX 6       /* changes to a copy */
#define KEEP_MAX  20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seed {
    uint8_t *bytes;
    size_t len;
};

static struct seed seeds[FILES_MAX];
static size_t seed_count;

/* What children tell. */
struct shared {
    uint64_t at; /* the copy at hand */
    uint64_t slow, slowest_us;
};

/* --- random numbers ------------------------------------------------------------------- */

static uint64_t state;

/* splitmix64 (Steele et al. 2014) */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(size_t n)
{
    return n > 0 ? (size_t)(next() % n) : 0;
}

/* A place in n bytes: often near the front. */
static size_t place(size_t n)
{
    static const size_t fronts[] = {64, 1024, 8192, SIZE_MAX};
    size_t front = fronts[below(ARRAY_LEN(fronts))];

    return below(n < front ? n : front);
}

static uint64_t odd_number(void)
{
    static const uint64_t list[] = {0,         1,          2,          31,        32,
                                    255,       256,        65535,      65536,     INT32_MAX,
                                    INT64_MAX, UINT32_MAX, UINT64_MAX, 1u << 31,  1ull << 32,
                                    1u << 20,  1ull << 40, 1ull << 62, 1ull << 63};
    uint64_t n = list[below(ARRAY_LEN(list))];

    return n + below(3) - 1;
}

/* --- changes -------------------------------------------------------------------------- */

struct copy {
    uint8_t bytes[BYTES_MAX];
    size_t len;
};

static void flip(struct copy *c)
{
    c->bytes[place(c->len)] ^= (uint8_t)(1u << below(8));
}

static void set_byte(struct copy *c)
{
    c->bytes[place(c->len)] = (uint8_t)next();
}

/* Of 1, 2, 4 or 8 bytes, as sizes and offsets are. */
static void set_number(struct copy *c)
{
    size_t width = (size_t)1 << below(4), at = place(c->len);
    uint64_t n = odd_number(), old = 0;

    if (c->len - at < width)
        return;
    memcpy(&old, c->bytes + at, width);
    if (below(2) == 0)
        n = old + below(5) - 2;
    memcpy(c->bytes + at, &n, width);
}

static void cut(struct copy *c)
{
    c->len = place(c->len + 1);
}

static void remove_part(struct copy *c)
{
    size_t at = place(c->len), n = below(below(4) == 0 ? c->len - at : 16);

    n = n < c->len - at ? n : c->len - at;
    memmove(c->bytes + at, c->bytes + at + n, c->len - at - n);
    c->len -= n;
}

static void insert(struct copy *c, size_t at, const uint8_t *p, size_t n)
{
    if (n > BYTES_MAX - c->len)
        return;
    memmove(c->bytes + at + n, c->bytes + at, c->len - at);
    memcpy(c->bytes + at, p, n);
    c->len += n;
}

static void splice(struct copy *c)
{
    const struct seed *s = &seeds[below(seed_count)];
    size_t from = place(s->len), n = below(below(4) == 0 ? s->len - from : 64);
    size_t at = place(c->len);

    if (below(2) == 0)
        insert(c, at, s->bytes + from, n < s->len - from ? n : s->len - from);
    else if (n <= c->len - at && n <= s->len - from)
        memcpy(c->bytes + at, s->bytes + from, n);
}

/* A number written in digits: of JSON. */
static void set_digits(struct copy *c)
{
    char text[24];
    size_t at = place(c->len), end;
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)odd_number());

    while (at < c->len && (c->bytes[at] < '0' || c->bytes[at] > '9'))
        at++;
    end = at;
    while (end < c->len && c->bytes[end] >= '0' && c->bytes[end] <= '9')
        end++;
    if (at == end)
        return;
    memmove(c->bytes + at, c->bytes + end, c->len - end);
    c->len -= end - at;
    insert(c, at, (const uint8_t *)text, (size_t)n);
}

static void make(uint64_t number, struct copy *c)
{
    static void (*const changes[])(struct copy *) = {flip,       set_byte,    set_number,
                                                     set_number, set_number,  set_digits,
                                                     splice,     remove_part, cut};
    const struct seed *s;
    size_t turns;

    state = number * 0x2545f4914f6cdd1du + 1;
    s = &seeds[below(seed_count)];
    memcpy(c->bytes, s->bytes, s->len);
    c->len = s->len;
    turns = 1 + below(TURNS_MAX);
    for (size_t i = 0; i < turns; i++) {
        if (c->len > 0)
            changes[below(ARRAY_LEN(changes))](c);
    }
}

/* --- running -------------------------------------------------------------------------- */

static void read_seeds(const char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL && seed_count < FILES_MAX) {
        struct seed s = {malloc(BYTES_MAX), 0};
        char path[4096];
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        f = e->d_name[0] != '.' ? fopen(path, "rb") : NULL;
        if (f != NULL && s.bytes != NULL)
            s.len = fread(s.bytes, 1, BYTES_MAX, f);
        if (f != NULL)
            fclose(f);
        if (s.len > 0)
            seeds[seed_count++] = s;
        else
            free(s.bytes);
    }
    if (d != NULL)
        closedir(d);
}

/* SIGPROF after so many seconds of work; others' work on the machine does not count. */
static void set_alarm(long seconds)
{
    const struct itimerval t = {.it_value = {.tv_sec = seconds}};

    if (setitimer(ITIMER_PROF, &t, NULL) != 0)
        abort();
}

static void run_some(struct shared *shared, uint64_t from, uint64_t to)
{
    static struct copy c;

    for (uint64_t i = from; i < to; i++) {
        uint8_t *exact;
        uint64_t t0, took;

        make(i, &c);
        shared->at = i;
        /* Exactly the size, so that ASan sees a read past the end. */
        exact = malloc(c.len > 0 ? c.len : 1);
        if (exact == NULL)
            abort();
        memcpy(exact, c.bytes, c.len);
        set_alarm(HANG_S);
        t0 = clock_thread_cpu_us();
        LLVMFuzzerTestOneInput(exact, c.len);
        took = clock_thread_cpu_us() - t0;
        set_alarm(0);
        free(exact);
        shared->slow += took > SLOW_US;
        shared->slowest_us = took > shared->slowest_us ? took : shared->slowest_us;
    }
}

static void keep(const char *name, uint64_t number)
{
    static struct copy c;
    char path[256];
    FILE *f;

    make(number, &c);
    snprintf(path, sizeof(path), "%s-%llu", name, (unsigned long long)number);
    f = fopen(path, "wb");
    if (f == NULL || fwrite(c.bytes, 1, c.len, f) != c.len || fclose(f) != 0)
        perror(path);
}

/* Children until all are through; how many of them died. */
static uint64_t run_all(const char *name, struct shared *shared, uint64_t from, uint64_t to)
{
    uint64_t crashes = 0;

    while (from < to) {
        int code = 0;
        pid_t child = fork();

        if (child == 0) {
            run_some(shared, from, to);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &code, 0) != child)
            abort();
        if (WIFEXITED(code) && WEXITSTATUS(code) == 0)
            break;
        crashes++;
        if (crashes <= KEEP_MAX)
            keep(name, shared->at);
        from = shared->at + 1;
    }
    return crashes;
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 10) : 0, crashes;
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (count == 0 || shared == MAP_FAILED) {
        fprintf(stderr, "usage: %s FOLDER COUNT [FIRST]\n", name);
        return 2;
    }
    read_seeds(argv[1]);
    if (seed_count == 0) {
        fprintf(stderr, "%s: no file in '%s'\n", name, argv[1]);
        return 2;
    }
    crashes = run_all(name, shared, first, first + count);
    printf(
        "%s: %llu copies of %zu files, %llu crashes, %llu slower than %d ms, slowest %llu ms\n",
        name, (unsigned long long)count, seed_count, (unsigned long long)crashes,
        (unsigned long long)shared->slow, SLOW_US / 1000,
        (unsigned long long)(shared->slowest_us / 1000));
    return crashes > 0 || shared->slow > 0;
}
