#!/usr/bin/env python3
"""Replays the steps of deploy/Dockerfile in folders; see check-image.sh.

usage: check_image.py REPOSITORY STAGE    (as root, in a mount namespace of its own)

Knows the instructions that the Dockerfile uses and refuses others. A stage's base is a
minimal Debian 12 by debootstrap; RUN is chroot. What an engine would take from its host
(package sources, certificates, name service) is taken from this machine.
"""

import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

BASES = {"debian:12-slim": "bookworm"}
READY_S = 60
HOST_FILES = ["/etc/apt/apt.conf.d/*", "/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"]
# Whom this machine trusts, under a name that no package writes to.
HOST_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
STAGE_CERTIFICATES = "/usr/local/share/host-certificates.crt"
SOURCES = "/etc/apt/sources.list.d/debian.sources"
PASSED_ON = re.compile(r"^(PIP_|https?_proxy$|no_proxy$)", re.IGNORECASE)


def say(*words):
    print(*words, flush=True)


def mirror(release):
    """Where this machine's own apt has the release from."""
    got = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"],
                         check=True, capture_output=True, text=True)
    for line in got.stdout.splitlines():
        uri, _, name = line.partition(" ")
        if name == release:
            return uri
    sys.exit("apt knows no source of Debian %s: apt-get update, or add one" % release)


def instructions(text):
    """(name, argument) pairs, continuation lines joined, comments gone."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    for line in joined.splitlines():
        if line.strip():
            name, _, argument = line.strip().partition(" ")
            yield name.upper(), " ".join(argument.split())


class Stage:
    def __init__(self, folder):
        self.folder = folder
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.workdir = "/"
        self.user = None
        self.entrypoint = []
        self.command = []
        self.volumes = []

    def path(self, inside):
        return self.folder + os.path.normpath(os.path.join("/", self.workdir, inside))


class Replay:
    def __init__(self, repository, root):
        self.repository = repository
        self.root = root
        self.stages = {}
        self.last = None

    # --- instructions -----------------------------------------------------------------

    def do_from(self, argument):
        base, _, name = argument.partition(" AS ")
        if base not in BASES:
            sys.exit("unknown base '%s'" % base)
        stage = Stage(os.path.join(self.root, name or "final"))
        pristine = os.path.join(self.root, "base")
        if not os.path.isdir(pristine):
            subprocess.run(["debootstrap", "--variant=minbase", BASES[base], pristine, mirror(BASES[base])],
                           check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["cp", "-a", pristine, stage.folder], check=True)
        for pattern in HOST_FILES:
            for source in glob.glob(pattern):
                target = stage.folder + source
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(os.path.realpath(source), target)
        if os.path.exists(HOST_CERTIFICATES):
            shutil.copyfile(HOST_CERTIFICATES, stage.folder + STAGE_CERTIFICATES)
        if os.path.exists(SOURCES):
            shutil.copyfile(SOURCES, stage.folder + SOURCES)
            os.truncate(stage.folder + "/etc/apt/sources.list", 0)
        for folder in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", "/" + folder, os.path.join(stage.folder, folder)],
                           check=True)
        self.stages[name or "final"] = stage
        self.last = stage

    def do_run(self, argument):
        environment = {k: v for k, v in os.environ.items() if PASSED_ON.match(k)}
        environment.update(self.last.environment)
        environment.setdefault("HOME", "/root")
        environment["DEBIAN_FRONTEND"] = "noninteractive"
        if os.path.exists(self.last.folder + STAGE_CERTIFICATES):
            environment.update(PIP_CERT=STAGE_CERTIFICATES, SSL_CERT_FILE=STAGE_CERTIFICATES)
        done = subprocess.run(["chroot", self.last.folder, "/bin/sh", "-c",
                               "cd '%s' && %s" % (self.last.workdir, argument)],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace")
        if done.returncode != 0:
            say("\n".join(done.stdout.splitlines()[-40:]))
            sys.exit("RUN %s: exit status %d" % (argument, done.returncode))

    def do_copy(self, argument):
        words = argument.split()
        options = dict(w[2:].split("=", 1) for w in words if w.startswith("--"))
        *sources, target = [w for w in words if not w.startswith("--")]
        if len(sources) != 1:
            sys.exit("COPY of several sources is not known here")
        if "from" in options:
            source = self.stages[options["from"]].path(sources[0])
        else:
            source = os.path.normpath(os.path.join(self.context(), sources[0]))
        destination = self.last.path(target)
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, destination, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, destination)
        if "chown" in options:
            user, _, group = options["chown"].partition(":")
            subprocess.run(["chown", "-R", "%s:%s" % (user, group or user), destination], check=True)

    def context(self):
        """The files git knows, as .dockerignore leaves little else."""
        folder = os.path.join(self.root, "context")
        if not os.path.isdir(folder):
            os.mkdir(folder)
            files = subprocess.run(["git", "-C", self.repository, "-c", "safe.directory=*",
                                    "ls-files", "-z"], check=True, capture_output=True).stdout
            archive = folder + ".tar"
            subprocess.run(["tar", "--null", "-T", "-", "-cf", archive], input=files, check=True,
                           cwd=self.repository)
            subprocess.run(["tar", "-C", folder, "-xf", archive], check=True)
        return folder

    def do_env(self, argument):
        name, _, value = argument.partition("=")
        self.last.environment[name] = value

    def do_workdir(self, argument):
        self.last.workdir = argument
        os.makedirs(self.last.path("."), exist_ok=True)

    def do_user(self, argument):
        self.last.user = argument

    def do_volume(self, argument):
        self.last.volumes.append(argument)

    def do_entrypoint(self, argument):
        self.last.entrypoint = json.loads(argument)

    def do_cmd(self, argument):
        self.last.command = json.loads(argument)

    def do_expose(self, argument):
        pass

    def do_stopsignal(self, argument):
        if argument != "SIGTERM":
            sys.exit("STOPSIGNAL %s is not known here" % argument)

    def replay(self, text):
        for name, argument in instructions(text):
            step = getattr(self, "do_" + name.lower(), None)
            if step is None:
                sys.exit("instruction %s is not known here" % name)
            start = time.monotonic()
            step(argument)
            say("%6.1f s  %s %s" % (time.monotonic() - start, name, argument[:70]))


# --- what came out --------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, body=None):
    request = urllib.request.Request(url, data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.headers, response.read()


def wait_ready(process, admin):
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit("the image's program ended with status %d" % process.returncode)
        try:
            return get("http://127.0.0.1:%d/readyz" % admin)[1].decode()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("not ready after %d s" % READY_S)


def writable(stage, user):
    """What the user may write outside of its volumes, as relative paths."""
    found = subprocess.run(["chroot", "--userspec=" + user, stage.folder, "/usr/bin/find", "/",
                            "-xdev", "(", "-path", "/proc", "-o", "-path", "/dev", "-o", "-path",
                            "/tmp", "-o", "-path", "/var/tmp", "-o", "-path", "/run/lock", ")",
                            "-prune", "-o", "-writable", "!", "-type", "l", "-print"],
                           capture_output=True, text=True).stdout.split()
    return [f for f in found if not any(f.startswith(v) for v in stage.volumes)]


def check(stage):
    user = stage.user or "0:0"
    if user.split(":")[0] in ("0", "root"):
        sys.exit("the image runs as root")
    surplus = writable(stage, user)
    if surplus:
        sys.exit("writable by the user: %s" % " ".join(surplus[:10]))
    client, admin = free_port(), free_port()
    environment = dict(stage.environment, IBID_LISTEN="127.0.0.1:%d" % client,
                       IBID_ADMIN_LISTEN="127.0.0.1:%d" % admin)
    process = subprocess.Popen(["chroot", "--userspec=" + user, stage.folder] + stage.entrypoint +
                               stage.command, env=environment)
    try:
        ready = wait_ready(process, admin)
        say("ready:", ready.strip())
        if '"ready"' not in ready:
            sys.exit("not everything works")
        body = {"model": "smollm2-135m-instruct", "temperature": 0,
                "messages": [{"role": "user", "content": "What is the largest ocean on Earth?"}]}
        for want in ("local", "exact"):
            headers, _ = get("http://127.0.0.1:%d/v1/chat/completions" % client, body)
            if headers.get("x-ibid-source") != want:
                sys.exit("answered by %s, not %s" % (headers.get("x-ibid-source"), want))
        process.send_signal(signal.SIGTERM)
        if process.wait(30) != 0:
            sys.exit("ended with status %d" % process.returncode)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    say("the image answers, remembers, and ends in order")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    replay = Replay(sys.argv[1], sys.argv[2])
    with open(os.path.join(sys.argv[1], "deploy/Dockerfile"), encoding="utf-8") as f:
        replay.replay(f.read())
    check(replay.last)


if __name__ == "__main__":
    main()
