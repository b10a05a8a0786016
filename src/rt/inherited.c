#include "rt/inherited.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
    struct sockaddr_storage room;
};

/* A whole number, or -1. */
static long number_of(const char *name)
{
    const char *text = getenv(name);
    uint64_t n = 0;

    if (text == NULL || text[0] == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || n > UINT32_MAX)
            return -1;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    return (long)n;
}

static void keep_private(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0)
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static void take_one(struct inherited *in, int fd, const char *name, size_t n)
{
    keep_private(fd);
    if (n == sizeof(INHERITED_TALK) - 1 && memcmp(name, INHERITED_TALK, n) == 0 &&
        in->talk_fd < 0) {
        in->talk_fd = fd;
        return;
    }
    in->list[in->count].fd = fd;
    in->list[in->count++].own =
        n == sizeof(INHERITED_OWN) - 1 && memcmp(name, INHERITED_OWN, n) == 0;
}

void inherited_init(struct inherited *in)
{
    long n = number_of("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");

    *in = (struct inherited){.talk_fd = -1};
    if (number_of("LISTEN_PID") == (long)getpid()) {
        for (long i = 0; i < n && in->count < INHERITED_MAX; i++) {
            size_t len = names != NULL ? strcspn(names, ":") : 0;

            take_one(in, FIRST_FD + (int)i, names, len);
            if (names != NULL)
                names += len + (names[len] == ':');
        }
    }
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
}

static bool same_name(const union name *a, const union name *b, bool any_port)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    switch (a->any.sa_family) {
    case AF_INET:
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr &&
               (any_port || a->v4.sin_port == b->v4.sin_port);
    case AF_INET6:
        return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0 &&
               (any_port || a->v6.sin6_port == b->v6.sin6_port);
    case AF_UNIX:
        return strncmp(a->path.sun_path, b->path.sun_path, sizeof(a->path.sun_path)) == 0;
    default:
        return false;
    }
}

static bool listens_on(int fd, const union name *want, bool any_port)
{
    union name have = {.any.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(have), n = sizeof(int);
    int listening = 0;

    memset(&have, 0, sizeof(have));
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == 0 && listening != 0 &&
           getsockname(fd, &have.any, &len) == 0 && same_name(&have, want, any_port);
}

int inherited_take(struct inherited *in, const struct sockaddr *name, bool any_port, bool *own)
{
    const union name *want = (const union name *)(const void *)name;

    for (size_t i = 0; i < in->count; i++) {
        int fd = in->list[i].fd;

        if (fd < 0 || !listens_on(fd, want, any_port))
            continue;
        in->list[i].fd = -1;
        *own = in->list[i].own;
        return fd;
    }
    return -1;
}

void inherited_release(struct inherited *in)
{
    for (size_t i = 0; i < in->count; i++) {
        if (in->list[i].fd >= 0)
            close(in->list[i].fd);
        in->list[i].fd = -1;
    }
    if (in->talk_fd >= 0)
        close(in->talk_fd);
    in->talk_fd = -1;
}
