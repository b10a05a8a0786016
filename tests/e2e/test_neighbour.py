"""The built-in model stands behind everything else: how its threads are scheduled, and their share of the time."""
import os
import subprocess
import time

import pytest

import cgroup
from client import later, post, until, user
from conftest import BIN, needs_decoder

pytestmark = needs_decoder
SCHED_OTHER, SCHED_IDLE = 0, 5


def threads(ibid):
    """(policy, nice) of each thread, proc(5)."""
    out = []
    for tid in os.listdir(f"/proc/{ibid.proc.pid}/task"):
        fields = open(f"/proc/{ibid.proc.pid}/task/{tid}/stat").read().rsplit(")", 1)[1].split()
        out.append((int(fields[38]), int(fields[16])))
    return out


def cpu_s(ibid):
    fields = open(f"/proc/{ibid.proc.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("priority,count", [("idle", 2), ("low", 0), ("normal", 0)])
def test_how_its_threads_stand(make_ibid, priority, count):
    ibid = make_ibid(None, local=True, env={"IBID_LOCAL_PRIORITY": priority, "IBID_LOCAL_THREADS": "2", "IBID_STORE_URL": "memory:"})
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert post(ibid, user("Say yes.", max_tokens=2)).source == "local"
    now = threads(ibid)
    # The worker, and the thread that it has started to help; the loop is as it was.
    assert sum(policy == SCHED_IDLE for policy, _ in now) == count
    assert (SCHED_OTHER, own) in now
    if priority != "idle" and own < 10:
        assert sum(nice == 10 for _, nice in now) >= (2 if priority == "low" else 0)


def test_a_share_of_the_time(make_ibid):
    """A tenth is asked for; on a busy machine it is less."""
    ibid = make_ibid(None, local=True, env={"IBID_LOCAL_PRIORITY": "low", "IBID_LOCAL_CPU_SHARE": "0.1", "IBID_STORE_URL": "memory:"})
    post(ibid, user("Say yes.", max_tokens=1))
    answer = later(post, ibid, user("Tell a long story.", max_tokens=200, temperature=1, seed=1), [("x-ibid-cache", "bypass")])
    until(lambda: ibid.metric("ibid_local_sequences") == 1, "the model")
    used, began = cpu_s(ibid), time.monotonic()
    end = began + 3
    while time.monotonic() < end and ibid.metric("ibid_local_sequences") == 1:
        time.sleep(0.1)
    share = (cpu_s(ibid) - used) / (time.monotonic() - began)
    assert share < 0.25, share
    assert answer().status == 200


def test_a_wrong_share_is_refused():
    for name, value in (("IBID_LOCAL_CPU_SHARE", "0"), ("IBID_LOCAL_CPU_SHARE", "1.5"), ("IBID_LOCAL_PRIORITY", "high")):
        done = subprocess.run([BIN, "check"], env={"HOME": "/nonexistent", name: value}, capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and name in done.stderr, (name, done.stderr)


@pytest.fixture
def half_a_processor():
    try:
        group = cgroup.make(0.5)
    except OSError as e:
        pytest.skip(f"no control group can be made: {e}")
    yield group
    cgroup.remove(group)


def test_a_containers_limit_is_never_used_up(half_a_processor, make_ibid):
    """Where the model took all of it, the loop would stand still in most periods, with all of the process."""
    with cgroup.entered(half_a_processor):
        ibid = make_ibid(None, local=True, env={"IBID_LOCAL_PRIORITY": "normal", "IBID_LOCAL_THREADS": "2", "IBID_STORE_URL": "memory:"})
    assert ibid.metric("ibid_cpu_limit_cores") == 0.5
    post(ibid, user("Say yes.", max_tokens=1))
    answer = later(post, ibid, user("Tell a long story.", max_tokens=400, temperature=1, seed=1), [("x-ibid-cache", "bypass")])
    until(lambda: ibid.metric("ibid_local_sequences") == 1, "the model")
    before, used, end = cgroup.stat(half_a_processor), cpu_s(ibid), time.monotonic() + 4
    while time.monotonic() < end and ibid.metric("ibid_local_sequences") == 1:
        time.sleep(0.1)
    after = cgroup.stat(half_a_processor)
    periods = after["nr_periods"] - before["nr_periods"]
    assert periods >= 5 and cpu_s(ibid) - used > 0.2, (before, after)
    assert after["nr_throttled"] - before["nr_throttled"] <= periods / 4, (before, after)
    assert answer().status == 200
    ibid.stop()


def test_threads_that_are_left_open(make_ibid):
    ibid = make_ibid(None, local=True, env={"IBID_LOCAL_PRIORITY": "idle", "IBID_LOCAL_THREADS": "0", "IBID_STORE_URL": "memory:"})
    assert post(ibid, user("Say yes.", max_tokens=2)).source == "local"
    assert sum(policy == SCHED_IDLE for policy, _ in threads(ibid)) == min(8, int(ibid.metric("ibid_cpu_limit_cores")))
