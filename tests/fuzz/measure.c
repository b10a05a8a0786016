#include "fuzz/measure.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* sanitizer/allocator_interface.h; weak, since a build without sanitizers has it not. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *))
    __attribute__((weak));

static size_t taken;

static void on_malloc(const volatile void *p, size_t n)
{
    (void)p;
    taken += n;
}

static void on_free(const volatile void *p)
{
    (void)p;
}

void measure_start(void)
{
    static bool hooked;

    if (!hooked && __sanitizer_install_malloc_and_free_hooks != NULL)
        (void)__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    hooked = true;
    taken = 0;
}

void measure_end(size_t most)
{
    if (taken > most) {
        fprintf(stderr, "%zu bytes were taken, %zu are allowed\n", taken, most);
        abort();
    }
}
