#!/usr/bin/env python3
"""cgroup.py CPUS COMMAND...: runs the command in a control group of its own that may use CPUS of a processor (0.5), and
removes the group after it; exit status 77 where groups cannot be made. v2 and v1 (cgroups(7)); needs root."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

TOP = pathlib.Path("/sys/fs/cgroup")
PERIOD_US = 100000


def make(cpus):
    """The folder of a new group; OSError where there can be none."""
    name = f"ibid-test-{os.getpid()}-{time.monotonic_ns()}"
    quota = round(cpus * PERIOD_US)
    if (TOP / "cgroup.controllers").exists():
        group = TOP / name
        (TOP / "cgroup.subtree_control").write_text("+cpu")
        group.mkdir()
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        group = TOP / "cpu" / name
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    return group


def remove(group):
    for _ in range(100):
        try:
            group.rmdir()
            return
        except OSError:  # somebody is still in it
            time.sleep(0.05)


@contextlib.contextmanager
def entered(group):
    """This process is in the group meanwhile, and what it starts stays there."""
    line = next(x for x in open("/proc/self/cgroup") if x.startswith("0::") or "cpu" in x.split(":")[1].split(","))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (group.parent / line.rstrip("\n").split(":", 2)[2].lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))


def stat(group):
    """cpu.stat: how many periods there were, and in how many all of the group stood still."""
    return {k: int(v) for k, v in (line.split() for line in open(group / "cpu.stat"))}


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        own = make(float(sys.argv[1]))
    except OSError as e:
        print(f"cgroup: no control group can be made: {e}", file=sys.stderr)
        sys.exit(77)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with entered(own):
            child = subprocess.Popen(sys.argv[2:])
        try:
            sys.exit(child.wait())
        except BaseException:
            child.terminate()
            child.wait()
    finally:
        remove(own)
