#include "cli/seal_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/seal.h"
#include "config/config.h"

/* Keys, and a comment to each. */
#define FILE_BYTES_MAX 8192

/* NULL, or what is wrong with the file. */
static const char *read_whole(int fd, char *text, size_t *len)
{
    struct stat info;
    ssize_t n = 1;

    if (fstat(fd, &info) != 0)
        return strerror(errno);
    /* Kubernetes mounts secrets group-readable; the world must not read them. */
    if ((info.st_mode & S_IRWXO) != 0)
        return "it can be read by everybody; chmod 600 it";
    for (*len = 0; n > 0 && *len <= FILE_BYTES_MAX; *len += n > 0 ? (size_t)n : 0)
        n = read(fd, text + *len, FILE_BYTES_MAX + 1 - *len);
    if (n < 0)
        return strerror(errno);
    return *len > FILE_BYTES_MAX ? "it is longer than 8 KiB" : NULL;
}

static enum status read_keys(const char *path, struct seal_ring *out, char *why, size_t why_cap)
{
    char text[FILE_BYTES_MAX + 1], trouble[160] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *bad;
    enum status st = ST_INVALID;
    size_t len = 0;

    bad = fd < 0 ? strerror(errno) : read_whole(fd, text, &len);
    if (fd >= 0)
        close(fd);
    if (bad == NULL)
        st = seal_read_keys((struct span){text, len}, out, trouble, sizeof(trouble));
    digest_wipe(text, sizeof(text));
    if (st != ST_OK)
        snprintf(why, why_cap, "store.seal_key_file: '%s': %s", path,
                 bad != NULL ? bad : trouble);
    return st;
}

enum status seal_settings_read(const struct config *c, struct seal_ring *out, char *why,
                               size_t why_cap)
{
    out->count = 0;
    if (c->store.seal_key_file[0] == '\0')
        return ST_OK;
    return read_keys(c->store.seal_key_file, out, why, why_cap);
}
