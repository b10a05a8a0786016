"""The tests' own upstream: what it does wrong would be taken for a fault of ibid."""
import http.client
import json
import os
import subprocess
import sys
import time

from upstream import Upstream


def ask(upstream):
    c = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)
    try:
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": []}))
        return c.getresponse().status
    finally:
        c.close()


def one_after_another():
    """A thread that is stopped within accept() looks its descriptor up again when it goes on; the second upstream's
    listener has got the first one's."""
    first = Upstream()
    assert ask(first) == 200
    number, port = first.sock.fileno(), first.port
    first.close()
    second = Upstream()
    assert second.sock.fileno() == number
    subprocess.run(["sh", "-c", f"(sleep .1; kill -CONT {os.getpid()}) & kill -STOP {os.getpid()}"], check=True)
    time.sleep(0.1)
    assert [ask(second) for _ in range(3)] == [200, 200, 200] and first.connections == 1
    second.close()
    for gone in (port, second.port):
        try:
            http.client.HTTPConnection("127.0.0.1", gone, timeout=5).connect()
        except ConnectionRefusedError:
            continue
        raise AssertionError(f"port {gone} is still listened to")


def test_a_closed_upstream_accepts_nothing_any_more():
    # In a process of its own: the stop must meet no other test's threads.
    p = subprocess.run([sys.executable, "-c", "import test_upstream_stub as t; t.one_after_another()"],
                       cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
