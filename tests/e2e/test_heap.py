"""Freed memory goes back to the system, as often as is set; what the allocator has is in /metrics."""
import os
import subprocess

from conftest import BIN

# They have an allocator of their own, of which glibc knows nothing.
SANITIZED = any(name in open(BIN, "rb").read() for name in (b"__asan_init", b"__tsan_init"))


def test_given_back_and_told(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_HEAP_RETURN_S": "1"})
    ibid.chat("a question")
    ibid.wait_metric("ibid_heap_returns_total", 2, timeout=60)
    text = ibid.admin("/metrics").body.decode()
    told = {state: float(text.split(f'ibid_heap_bytes{{state="{state}"}} ')[1].split("\n")[0]) for state in ("used", "free")}
    # Its tables and buffers are some megabytes, and all it has is no more than what is mapped.
    assert SANITIZED or 100_000 < told["used"] < 2**33, told
    assert 0 <= told["free"] < 2**33, told
    assert 0 < ibid.metric("ibid_heap_return_seconds_max") < 60
    ibid.chat("another question")


def test_nothing_is_given_back_when_it_is_off(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_HEAP_RETURN_S": "0"})
    ibid.chat("a question")
    assert "ibid_heap" not in ibid.admin("/metrics").body.decode()


def test_a_time_that_is_none_is_refused_by_name():
    for bad, why in (("-1", "whole number"), ("86401", "86400"), ("soon", "whole number")):
        got = subprocess.run([BIN, "check"], env=dict(os.environ, IBID_LIMITS_HEAP_RETURN_S=bad), capture_output=True, text=True, timeout=60)
        assert got.returncode != 0, bad
        assert "IBID_LIMITS_HEAP_RETURN_S" in got.stderr and why in got.stderr, got.stderr
