"""A serving process has given up what it does not need: system calls, core files, rights. That everything
else works under the filter is what all the other tests show: conftest.py fails them for a refused call."""
import ctypes
import os
import signal
import subprocess

import pytest

from conftest import BIN
from test_upgrade import upgrade
from upstream import answer

needs_filters = pytest.mark.skipif(
    "Seccomp:" not in open("/proc/self/status").read() or any(w in open(BIN, "rb").read() for w in (b"__asan_init", b"__tsan_init")),
    reason="this kernel has no seccomp, or ibid was built with sanitizers, which trace it")


def status_of(pid, name):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return None


def threads(pid):
    return [int(t) for t in os.listdir(f"/proc/{pid}/task")]


@needs_filters
def test_every_thread_is_filtered(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: answer("fine")
    assert ibid.chat("hello").text == "fine"
    for t in threads(ibid.proc.pid):
        assert status_of(f"{ibid.proc.pid}/task/{t}", "Seccomp") == 2
        assert status_of(f"{ibid.proc.pid}/task/{t}", "NoNewPrivs") == 1
    limits = open(f"/proc/{ibid.proc.pid}/limits").read() if os.geteuid() == 0 else "Max core file size        0  0"
    assert [line.split()[4] for line in limits.splitlines() if line.startswith("Max core file size")] == ["0"]
    assert ibid.metric("ibid_system_call_filter") == 1
    assert ibid.metric("ibid_system_calls_denied_total") == 0


@needs_filters
def test_three_upgrades_are_one_filter(make_ibid, upstream):
    ibid = make_ibid(upstream)
    before = status_of(ibid.proc.pid, "Seccomp_filters")
    for _ in range(3):
        old = upgrade(ibid)
        old.wait(20)
    assert status_of(ibid.proc.pid, "Seccomp") == 2
    assert status_of(ibid.proc.pid, "Seccomp_filters") == before
    assert ibid.metric("ibid_system_call_filter") == 1


def test_off_is_off(make_ibid, upstream):
    outside = status_of("self", "Seccomp_filters")
    ibid = make_ibid(upstream, env={"IBID_SECURITY_SECCOMP": "off"})
    upstream.default = lambda r: answer("fine")
    assert ibid.chat("hello").text == "fine"
    assert status_of(ibid.proc.pid, "Seccomp_filters") == outside
    assert ibid.metric("ibid_system_call_filter") == 0


def without_filters():
    """In the child: a kernel that has none. The first filter is ours: it refuses prctl(PR_SET_SECCOMP)."""
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    nr = {"x86_64": 157, "aarch64": 167}[os.uname().machine]
    step = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)  # noqa: E731
    code = (step(0x20, 0, 0, 0) + step(0x15, 0, 3, nr) + step(0x20, 0, 0, 16) + step(0x15, 0, 1, 22)
            + step(6, 0, 0, 0x00050000 | 22) + step(6, 0, 0, 0x7fff0000))
    program = ctypes.create_string_buffer(code)
    f = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(program)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, f, 0, 0) == 0


@needs_filters
def test_without_the_kernels_help_it_serves_and_says_so(make_ibid, upstream, monkeypatch):
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **kw: popen(*a, preexec_fn=without_filters, **kw) if a[0][0] == BIN else popen(*a, **kw))
    ibid = make_ibid(upstream)
    upstream.default = lambda r: answer("fine")
    assert ibid.chat("hello").text == "fine"
    assert 'event="system_calls_unfiltered"' in ibid.read_log()
    assert ibid.metric("ibid_system_call_filter") == 0


def test_a_word_it_does_not_know_is_refused(tmp_path):
    r = subprocess.run([BIN, "check"], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IBID_SECURITY_SECCOMP": "strict"},
                       capture_output=True, text=True)
    assert r.returncode == 2 and "IBID_SECURITY_SECCOMP" in r.stderr and "off" in r.stderr and "log" in r.stderr
    assert signal.SIGSYS not in (-r.returncode,)
