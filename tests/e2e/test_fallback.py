"""A second place of the same API: asked when the first can not be reached, and only when nothing of the
request was sent to it."""
import socket
import threading
import time

import pytest

from conftest import free_port
from upstream import Reply, Upstream

RETRY_MS = 600


class Closing:
    """Takes connections, and closes each when something came: what was sent may have been done."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}/v1"
        self.taken = 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            c, _ = self.sock.accept()
            c.recv(65536)
            self.taken += 1
            c.close()


@pytest.fixture
def second():
    u = Upstream()
    yield u
    u.close()


@pytest.fixture
def dead_port():
    return free_port()


@pytest.fixture
def ibid(make_ibid, second, dead_port):
    return make_ibid(f"http://127.0.0.1:{dead_port}/v1",
                     env={"IBID_UPSTREAM_FALLBACK_URLS": second.url, "IBID_UPSTREAM_RETRY_MS": str(RETRY_MS)})


def test_it_answers_while_the_first_is_down(ibid, second):
    for stream in (False, True):
        r = ibid.chat(f"who answers? {stream}", stream=stream)
        assert r.status == 200 and r.source == "upstream", r.body
    assert [r.header("authorization") for r in second.requests] == [["Bearer sk-test"]] * 2
    assert [r.target for r in second.requests] == ["/v1/chat/completions"] * 2
    assert second.requests[0].json["messages"][0]["content"] == "who answers? False"
    assert second.requests[0].header("host") == [second.url.split("/")[2]]
    assert ibid.metric("ibid_upstream_failovers_total") == 2
    # One answerer, as far as the cache is concerned.
    assert ibid.chat("who answers? False").source == "exact"
    assert len(second.requests) == 2


def test_untouched_paths_go_there_too(ibid, second):
    second.default = lambda r: Reply(body=b"{}")
    r = ibid.request("GET", "/v1/files?limit=1", headers={"authorization": "Bearer k"})
    assert r.status == 200 and [q.target for q in second.requests] == ["/v1/files?limit=1"]


def test_a_body_on_its_way_in_is_not_sent_anew(ibid, second):
    """It is not kept: what was given to the first try could not be given again."""
    second.default = lambda r: Reply(body=b"{}")

    def upload():
        return ibid.request("POST", "/v1/files", iter([b"one ", b"two"]))

    assert upload().status == 502 and second.requests == []
    # From now on it is known where to go.
    assert upload().status == 200 and [q.body for q in second.requests] == [b"one two"]


def test_the_first_is_asked_again_when_it_is_back(ibid, second, dead_port):
    assert ibid.chat("before").status == 200 and len(second.requests) == 1
    first = Upstream(dead_port)
    try:
        end = time.time() + 20
        n = 0
        while not first.requests:
            assert time.time() < end
            n += 1
            assert ibid.chat(f"is it back? {n}").status == 200
            time.sleep(0.05)
        seen = len(second.requests)
        for i in range(3):
            assert ibid.chat(f"it is back {i}").status == 200
        assert len(second.requests) == seen and len(first.requests) == 4
    finally:
        first.close()


def test_what_may_have_been_done_is_not_done_twice(make_ibid, second):
    first = Closing()
    ibid = make_ibid(first.url, env={"IBID_UPSTREAM_FALLBACK_URLS": second.url})
    for i in range(3):
        r = ibid.chat(f"transfer the money {i}")
        assert r.status == 502 and r.json["error"]["code"] == "upstream_failed", r.body
    assert first.taken == 3 and second.requests == []
    assert ibid.metric("ibid_upstream_failovers_total") == 0


def test_with_both_down_it_says_so(make_ibid, dead_port):
    ibid = make_ibid(f"http://127.0.0.1:{dead_port}/v1",
                     env={"IBID_UPSTREAM_FALLBACK_URLS": f"http://127.0.0.1:{free_port()}/v1"})
    for i in range(3):
        r = ibid.chat(f"nobody {i}")
        assert r.status == 502 and r.json["error"]["code"] == "upstream_failed", r.body


def test_a_wrong_address_is_named(make_ibid, second):
    with pytest.raises(AssertionError, match="upstream.fallback_urls: "):
        make_ibid(second, env={"IBID_UPSTREAM_FALLBACK_URLS": "ftp://example.org"})
