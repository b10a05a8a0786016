/* One LMDB database whose keys are record headers, in the order of writing:
 *
 *   number:8 (big-endian)  expires_ms:8 (big-endian)  fingerprint:32  partition:32
 *
 * So writing appends, evicting the oldest takes the first, and which keys there are
 * is read at start without touching a single answer (values of more than half a page
 * lie on pages of their own). Number 0 is a marker: this file is ours.
 *
 * What is promised. LMDB never overwrites a page in use: killing the process at any
 * moment leaves the state of the last commit. MDB_NOMETASYNC: data pages are synced
 * at each commit, the page that points to them is not: a power cut may cost the last
 * commits, never the file. (MDB_NOSYNC would save the sync, which only the writer
 * thread waits for, and risk a damaged file, which LMDB does not survive.)
 *
 * The map is as large as the file may become, which is address space, not memory.
 * What reading leaves mapped counts as ours, though; trim() maps anew now and then.
 * map_lock: read side while a transaction is open, write side to map anew. */
#include "cache/store_lmdb_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cache/store_lmdb_check.h"

#define PATH_BYTES_MAX   1024
#define KEY_BYTES        (8 + 8 + 2 * DIGEST_BYTES)
#define MAP_BYTES_MIN    (16u * 1024 * 1024)
#define MAP_SLACK_BYTES  (128u * 1024 * 1024) /* pages freed but not yet free */
#define READERS_MAX      8
#define TRIM_EVERY_BYTES (8u * 1024 * 1024)
/* A fault maps this much around it, when it is in memory already (Linux). */
#define FAULT_AROUND_BYTES 65536u

static const char marker[] = "ibid entries 1";

struct store_lmdb_file {
    char path[PATH_BYTES_MAX];
    size_t map_bytes;
    int lock_fd;  /* holds the folder for this process */
    bool checked; /* all pages that are in use are there, and whole */
    MDB_env *env;
    MDB_dbi dbi;
    pthread_rwlock_t map_lock;
    atomic_size_t touched; /* bytes mapped in by reading since the last trim; relaxed */
    MDB_txn *txn;          /* the writer's, between begin and commit */
    MDB_cursor *cursor;    /* of txn */
    char why[128];         /* the writer's last failure */
};

/* --- keys ---------------------------------------------------------------------------- */

static void put_u64(unsigned char *at, uint64_t n)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (unsigned char)(n >> (56 - 8 * i) & 0xff);
}

static uint64_t take_u64(const unsigned char *at)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 8; i++)
        n = n << 8 | at[i];
    return n;
}

static void key_write(const struct store_lmdb_record *r, unsigned char key[KEY_BYTES])
{
    put_u64(key, r->number);
    put_u64(key + 8, r->expires_ms);
    memcpy(key + 16, r->key.bytes, DIGEST_BYTES);
    memcpy(key + 16 + DIGEST_BYTES, r->partition.bytes, DIGEST_BYTES);
}

static void key_read(const MDB_val *v, struct store_lmdb_record *r)
{
    const unsigned char *key = v->mv_data;

    r->number = take_u64(key);
    r->expires_ms = take_u64(key + 8);
    memcpy(r->key.bytes, key + 16, DIGEST_BYTES);
    memcpy(r->partition.bytes, key + 16 + DIGEST_BYTES, DIGEST_BYTES);
}

/* --- errors -------------------------------------------------------------------------- */

/* Numbers above zero are errno's. */
static enum status translate(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return ST_OK;
    case MDB_NOTFOUND:
        return ST_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO: /* LMDB's word for a write that was cut short: there is no room for the rest */
        return ST_LIMIT;
    case ENOMEM:
        return ST_NOMEM;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return ST_INVALID;
    default:
        return ST_UNAVAILABLE;
    }
}

static void explain(char *why, size_t cap, const char *what, int rc)
{
    snprintf(why, cap, "%s: %s", what,
             rc == EIO ? "the disk is full, or it fails" : mdb_strerror(rc));
}

/* --- the folder ------------------------------------------------------------------------ */

/* A lock of the kernel's: it ends with the process, however that ends. It does not
 * keep the same process from opening twice. */
static enum status lock_folder(const char *folder, int *out, char *why, size_t why_cap)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_BYTES_MAX];
    int fd;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        snprintf(why, why_cap, "cannot make the folder '%s': %s", folder, strerror(errno));
        return ST_UNAVAILABLE;
    }
    snprintf(path, sizeof(path), "%s/entries.lock", folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(why, why_cap, "cannot open '%s': %s", path, strerror(errno));
        return ST_UNAVAILABLE;
    }
    if (fcntl(fd, F_SETLK, &lock) == 0) {
        *out = fd;
        return ST_OK;
    }
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        snprintf(why, why_cap, "the folder '%s' is in use by process %ld", folder,
                 (long)lock.l_pid);
    else
        snprintf(why, why_cap, "the folder '%s' is in use by another process", folder);
    close(fd);
    return ST_UNAVAILABLE;
}

/* --- opening --------------------------------------------------------------------------- */

static void close_env(struct store_lmdb_file *f)
{
    if (f->env != NULL)
        mdb_env_close(f->env);
    f->env = NULL;
}

/* LMDB trusts its own page count; reading beyond the end of a cut file would be
 * SIGBUS. Where it is known that nothing is missing but free pages that were never written
 * (store_lmdb_check.c) the file gets them. */
static int check_length(const struct store_lmdb_file *f)
{
    struct stat st;
    MDB_envinfo info;
    MDB_stat pages;
    int fd, rc = mdb_env_get_fd(f->env, &fd);

    if (rc == 0)
        rc = mdb_env_info(f->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(f->env, &pages);
    if (rc != 0)
        return rc;
    if (fstat(fd, &st) != 0)
        return errno;
    /* A new file has two pages and no more. */
    if (info.me_last_pgno <= 1 ||
        (uint64_t)st.st_size / pages.ms_psize >= (uint64_t)info.me_last_pgno + 1)
        return 0;
    if (!f->checked)
        return MDB_CORRUPTED;
    return ftruncate(fd, (off_t)((info.me_last_pgno + 1) * pages.ms_psize)) == 0 ? 0 : errno;
}

/* The marker is the first record, or there is none at all yet. */
static int check_marker(MDB_txn *txn, MDB_dbi dbi)
{
    unsigned char bytes[KEY_BYTES] = {0};
    MDB_val key = {sizeof(bytes), bytes}, value;
    MDB_stat stat;
    int rc = mdb_stat(txn, dbi, &stat);

    if (rc != 0)
        return rc;
    if (stat.ms_entries == 0) {
        char text[sizeof(marker)];

        memcpy(text, marker, sizeof(text));
        value = (MDB_val){sizeof(text), text};
        return mdb_put(txn, dbi, &key, &value, 0);
    }
    rc = mdb_get(txn, dbi, &key, &value);
    if (rc == MDB_NOTFOUND || rc == MDB_BAD_VALSIZE ||
        (rc == 0 && (value.mv_size != sizeof(marker) ||
                     memcmp(value.mv_data, marker, sizeof(marker)) != 0)))
        return MDB_CORRUPTED;
    return rc;
}

static int open_database(struct store_lmdb_file *f)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(f->env, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &f->dbi);
    if (rc == 0)
        rc = check_marker(txn, f->dbi);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int open_env_of(struct store_lmdb_file *f, size_t map_bytes)
{
    const unsigned flags = MDB_NOSUBDIR | MDB_NOMETASYNC | MDB_NOTLS | MDB_NORDAHEAD;
    int rc = mdb_env_create(&f->env);

    if (rc != 0)
        return rc;
    rc = mdb_env_set_mapsize(f->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(f->env, READERS_MAX);
    if (rc == 0)
        rc = mdb_env_open(f->env, f->path, flags, 0600);
    if (rc == 0)
        rc = check_length(f);
    if (rc == 0)
        rc = open_database(f);
    if (rc != 0)
        close_env(f);
    return rc;
}

/* Where address space is limited (RLIMIT_AS) a smaller store is better than none. */
static int open_env(struct store_lmdb_file *f)
{
    int rc = open_env_of(f, f->map_bytes);

    while (rc == ENOMEM && f->map_bytes / 2 >= MAP_BYTES_MIN) {
        f->map_bytes /= 2;
        rc = open_env_of(f, f->map_bytes);
    }
    return rc;
}

/* One predecessor is kept, for whoever wants to know what happened. */
static enum status set_aside(struct store_lmdb_file *f, const char *reason, char *why,
                             size_t why_cap)
{
    char other[PATH_BYTES_MAX + 8];

    snprintf(other, sizeof(other), "%s-lock", f->path);
    unlink(other);
    snprintf(other, sizeof(other), "%s.bad", f->path);
    if (rename(f->path, other) != 0) {
        snprintf(why, why_cap, "cannot set '%s' aside: %s", f->path, strerror(errno));
        return ST_UNAVAILABLE;
    }
    log_at(LOG_WARN, NULL, kv_event("store_set_aside"), kv_str("file", other),
           kv_str("why", reason));
    return ST_OK;
}

static enum status begin_new(struct store_lmdb_file *f, const char *reason, char *why,
                             size_t why_cap)
{
    enum status st = set_aside(f, reason, why, why_cap);
    int rc;

    if (st != ST_OK)
        return st;
    rc = open_env(f);
    if (rc != 0)
        explain(why, why_cap, "cannot begin a new store", rc);
    return rc == 0 ? ST_OK : ST_UNAVAILABLE;
}

static enum status open_or_renew(struct store_lmdb_file *f, char *why, size_t why_cap)
{
    const char *damage = "";
    enum status st;
    int rc;

    /* The format of other versions is not known here. */
    if (MDB_VERSION_MAJOR == 0 && MDB_VERSION_MINOR == 9) {
        st = store_lmdb_check(f->path, &damage);
        if (st == ST_INVALID)
            return begin_new(f, damage, why, why_cap);
        f->checked = st == ST_OK;
    }
    rc = open_env(f);
    if (rc == 0)
        return ST_OK;
    if (translate(rc) == ST_INVALID)
        return begin_new(f, mdb_strerror(rc), why, why_cap);
    snprintf(why, why_cap, "cannot open '%s': %s", f->path, mdb_strerror(rc));
    return ST_UNAVAILABLE;
}

static size_t map_bytes_for(uint64_t bytes_max)
{
    uint64_t page = 65536, limit = SIZE_MAX / 4, bytes;

    if (bytes_max > limit)
        bytes_max = limit;
    bytes = bytes_max + bytes_max / 4 + MAP_SLACK_BYTES;
    return (size_t)((bytes + page - 1) / page * page);
}

enum status store_lmdb_file_open(const char *folder, uint64_t bytes_max,
                                 struct store_lmdb_file **out, char *why, size_t why_cap)
{
    struct store_lmdb_file *f = calloc(1, sizeof(*f));
    enum status st = ST_NOMEM;

    if (f == NULL || pthread_rwlock_init(&f->map_lock, NULL) != 0) {
        snprintf(why, why_cap, "out of memory");
        free(f);
        return ST_NOMEM;
    }
    if (snprintf(f->path, sizeof(f->path), "%s/entries.lmdb", folder) >=
        (int)sizeof(f->path) - 16) {
        snprintf(why, why_cap, "the folder's name is too long");
        st = ST_LIMIT;
        goto fail_lock;
    }
    f->map_bytes = map_bytes_for(bytes_max);
    st = lock_folder(folder, &f->lock_fd, why, why_cap);
    if (st != ST_OK)
        goto fail_lock;
    st = open_or_renew(f, why, why_cap);
    if (st != ST_OK)
        goto fail_open;
    *out = f;
    return ST_OK;

fail_open:
    close(f->lock_fd);
fail_lock:
    pthread_rwlock_destroy(&f->map_lock);
    free(f);
    return st;
}

enum status store_lmdb_file_renew(struct store_lmdb_file *f, char *why, size_t why_cap)
{
    close_env(f);
    return begin_new(f, "not a store of entries, or damaged", why, why_cap);
}

void store_lmdb_file_close(struct store_lmdb_file *f)
{
    if (f->env != NULL)
        mdb_env_sync(f->env, 1);
    close_env(f);
    close(f->lock_fd);
    pthread_rwlock_destroy(&f->map_lock);
    free(f);
}

/* --- reading --------------------------------------------------------------------------- */

static void touch(struct store_lmdb_file *f, size_t bytes)
{
    atomic_fetch_add_explicit(&f->touched, bytes, memory_order_relaxed);
}

static int walk(struct store_lmdb_file *f, MDB_cursor *c, size_t n,
                store_lmdb_file_visit_fn *visit, void *owner, uint64_t *next)
{
    struct store_lmdb_record r;
    MDB_val key, value;
    unsigned char start[8];
    int rc;

    put_u64(start, *next);
    key = (MDB_val){sizeof(start), start};
    *next = 0;
    for (rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE); rc == 0;
         rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) {
        if (key.mv_size != KEY_BYTES)
            return MDB_CORRUPTED;
        key_read(&key, &r);
        if (n-- == 0) {
            *next = r.number;
            return 0;
        }
        if (!visit(owner, &r, (struct span){value.mv_data, value.mv_size}))
            return 0;
        touch(f, value.mv_size + FAULT_AROUND_BYTES);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

enum status store_lmdb_file_walk(struct store_lmdb_file *f, uint64_t from, size_t n,
                                 store_lmdb_file_visit_fn *visit, void *owner, uint64_t *next)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint64_t at = from == 0 ? 1 : from; /* 0 is the marker */
    int rc;

    pthread_rwlock_rdlock(&f->map_lock);
    rc = f->env == NULL ? EBADF : mdb_txn_begin(f->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        goto unlock;
    rc = mdb_cursor_open(txn, f->dbi, &cursor);
    if (rc == 0) {
        rc = walk(f, cursor, n, visit, owner, &at);
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    if (rc == 0)
        *next = at;
unlock:
    pthread_rwlock_unlock(&f->map_lock);
    return translate(rc);
}

void store_lmdb_file_trim(struct store_lmdb_file *f, bool always)
{
    size_t touched = atomic_load_explicit(&f->touched, memory_order_relaxed);

    if (touched < (always ? 1 : TRIM_EVERY_BYTES))
        return;
    pthread_rwlock_wrlock(&f->map_lock);
    atomic_store_explicit(&f->touched, 0, memory_order_relaxed);
    /* Maps the same file anew. When that fails there is no map, and no store. */
    if (f->env != NULL && mdb_env_set_mapsize(f->env, f->map_bytes) != 0) {
        log_at(LOG_ERROR, NULL, kv_event("store_lost"), kv_str("file", f->path));
        close_env(f);
    }
    pthread_rwlock_unlock(&f->map_lock);
}

/* --- writing --------------------------------------------------------------------------- */

static enum status failed(struct store_lmdb_file *f, const char *what, int rc)
{
    explain(f->why, sizeof(f->why), what, rc);
    return translate(rc);
}

enum status store_lmdb_file_begin(struct store_lmdb_file *f)
{
    int rc;

    assert(f->txn == NULL);
    pthread_rwlock_rdlock(&f->map_lock);
    rc = f->env == NULL ? EBADF : mdb_txn_begin(f->env, NULL, 0, &f->txn);
    if (rc == 0) {
        rc = mdb_cursor_open(f->txn, f->dbi, &f->cursor);
        if (rc == 0)
            return ST_OK;
        mdb_txn_abort(f->txn);
        f->txn = NULL;
    }
    pthread_rwlock_unlock(&f->map_lock);
    return failed(f, "cannot begin to write", rc);
}

enum status store_lmdb_file_put(struct store_lmdb_file *f, const struct store_lmdb_record *r,
                                struct span frame)
{
    unsigned char bytes[KEY_BYTES];
    MDB_val key = {sizeof(bytes), bytes}, value = {frame.len, NULL};
    int rc;

    key_write(r, bytes);
    rc = mdb_put(f->txn, f->dbi, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc != 0)
        return failed(f, "cannot write an entry", rc);
    memcpy(value.mv_data, frame.ptr, frame.len);
    return ST_OK;
}

/* A record of more than half a page (LMDB's me_nodemax) lies on pages of its own. How many
 * is said by the first of them, and removing it frees that many: it must be what the size
 * says. A shorter one lies among the keys; while its page is changed that page lies anywhere
 * in memory, so that an address alone tells nothing. */
static bool is_run_whole(const struct store_lmdb_file *f, const MDB_val *value)
{
    const size_t head = 16; /* of an LMDB page; its last four bytes are the number of pages */
    const size_t node_head = 8;
    const unsigned char *data = value->mv_data;
    MDB_stat s;
    uint32_t pages;

    if (mdb_stat(f->txn, f->dbi, &s) != 0)
        return true;
    if (node_head + KEY_BYTES + value->mv_size <= ((s.ms_psize - head) / 2 & ~(size_t)1) - 2)
        return true;
    if (((uintptr_t)data & (s.ms_psize - 1)) != head)
        return true; /* pages of this very transaction */
    memcpy(&pages, data - 4, sizeof(pages));
    return pages == (head - 1 + value->mv_size) / s.ms_psize + 1;
}

/* Leaves the cursor on the first record from `number` on. */
static int seek(struct store_lmdb_file *f, uint64_t number, struct store_lmdb_record *r)
{
    unsigned char bytes[8];
    MDB_val key = {sizeof(bytes), bytes}, value;
    int rc;

    put_u64(bytes, number);
    rc = mdb_cursor_get(f->cursor, &key, &value, MDB_SET_RANGE);
    if (rc == 0 && (key.mv_size != KEY_BYTES || !is_run_whole(f, &value)))
        rc = MDB_CORRUPTED;
    if (rc == 0)
        key_read(&key, r);
    return rc;
}

enum status store_lmdb_file_delete(struct store_lmdb_file *f, uint64_t number)
{
    struct store_lmdb_record r;
    int rc = seek(f, number, &r);

    if (rc == MDB_NOTFOUND || (rc == 0 && r.number != number))
        return ST_NOTFOUND;
    touch(f, FAULT_AROUND_BYTES); /* removing looks at the record's pages */
    if (rc == 0)
        rc = mdb_cursor_del(f->cursor, 0);
    return rc == 0 ? ST_OK : failed(f, "cannot remove an entry", rc);
}

enum status store_lmdb_file_oldest(struct store_lmdb_file *f, struct store_lmdb_record *out)
{
    int rc = seek(f, 1, out);

    return rc == 0 || rc == MDB_NOTFOUND ? translate(rc) : failed(f, "cannot read", rc);
}

void store_lmdb_file_size(struct store_lmdb_file *f, struct store_lmdb_size *out)
{
    MDB_stat s = {.ms_entries = 1};

    mdb_stat(f->txn, f->dbi, &s);
    out->entries = s.ms_entries - 1;
    out->bytes =
        (uint64_t)(s.ms_branch_pages + s.ms_leaf_pages + s.ms_overflow_pages) * s.ms_psize;
}

static void end(struct store_lmdb_file *f)
{
    f->txn = NULL;
    f->cursor = NULL;
    pthread_rwlock_unlock(&f->map_lock);
}

enum status store_lmdb_file_commit(struct store_lmdb_file *f)
{
    int rc;

    mdb_cursor_close(f->cursor);
    rc = mdb_txn_commit(f->txn);
    end(f);
    return rc == 0 ? ST_OK : failed(f, "cannot commit", rc);
}

void store_lmdb_file_abort(struct store_lmdb_file *f)
{
    mdb_cursor_close(f->cursor);
    mdb_txn_abort(f->txn);
    end(f);
}

const char *store_lmdb_file_why(const struct store_lmdb_file *f)
{
    return f->why;
}
