"""More than one loop: whoever reads a client's socket, there is one cache, one book, one flight of a question."""
import http.client
import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BIN, free_port
from test_shutdown import WORDS, finish, start_stream
from test_upgrade import upgrade
from upstream import answer, stream
from wire import Answer, chat_bytes, read_all


def loops_of(ibid):
    page = ibid.admin("/metrics").body.decode()
    return {int(n): int(v) for n, v in re.findall(r'ibid_loop_connections\{loop="(\d+)"\} (\d+)', page)}


class Kept:
    """A connection that stays, and so stays with its loop."""

    def __init__(self, ibid):
        self.c = http.client.HTTPConnection("127.0.0.1", ibid.port, timeout=30)
        self.c.connect()

    def ask(self, text):
        body = json.dumps({"model": "stub-model", "messages": [{"role": "user", "content": text}]})
        self.c.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", "authorization": "Bearer sk-test"})
        r = self.c.getresponse()
        return r.read() and r.getheader("x-ibid-source")


@pytest.fixture(autouse=True)
def own_loops(monkeypatch):
    monkeypatch.delenv("IBID_TEST_LOOPS", raising=False)


@pytest.fixture
def three(make_ibid, upstream):
    return make_ibid(upstream, env={"IBID_LOOPS": "3"})


def test_connections_are_shared_out(three):
    assert three.metric("ibid_loops") == 3
    kept = [Kept(three) for _ in range(10)]
    for k in kept:
        k.ask("hello")
    assert loops_of(three) == {1: 0, 2: 5, 3: 5}
    assert three.metric("ibid_client_connections") == 10
    # Their places are free again, and the next ones go there.
    for k in kept[0::2]:
        k.c.close()
    end = time.monotonic() + 5
    while loops_of(three)[2] + loops_of(three)[3] != 5:
        assert time.monotonic() < end
    more = [Kept(three) for _ in range(5)]
    for k in more:
        k.ask("hello")
    assert loops_of(three) == {1: 0, 2: 5, 3: 5}


def test_one_flight_whoever_asks(three, upstream):
    upstream.default = lambda r: answer("the one", delay=1)
    sources, threads = [], []
    for _ in range(200):
        threads.append(threading.Thread(target=lambda: sources.append(Kept(three).ask("What is it?"))))
        threads[-1].start()
    for t in threads:
        t.join()
    assert len(upstream.posts()) == 1
    assert len(sources) == 200 and set(sources) <= {"upstream", "coalesced", "exact"} and sources.count("upstream") == 1
    # All that was counted adds up.
    page = three.admin("/metrics").body.decode()
    counted = {s: int(n) for s, n in re.findall(r'ibid_requests_total\{source="(\w+)"\} (\d+)', page)}
    assert counted["upstream"] == 1 and counted["coalesced"] + counted["exact"] == 199
    rows = three.admin("/admin/v1/ledger", three.token()).json["rows"]
    assert sum(r["requests"] for r in rows) == 200


def test_what_is_purged_is_gone_for_all(three, upstream):
    kept = [Kept(three) for _ in range(4)]
    kept[0].ask("Where?")
    assert [k.ask("Where?") for k in kept] == ["exact"] * 4
    r = three.request("DELETE", "/admin/v1/entries?all=1", headers={"authorization": f"Bearer {three.token()}"}, port=three.admin_port)
    assert r.status == 200, r.body
    assert kept[3].ask("Where?") == "upstream"
    assert [k.ask("Where?") for k in kept] == ["exact"] * 4


def test_other_settings_are_everybodys_at_once(make_ibid, upstream):
    ibid = make_ibid(upstream, config="loops: 3\ncache: {exact: on}\n")
    kept = [Kept(ibid) for _ in range(4)]
    kept[0].ask("Why?")
    assert [k.ask("Why?") for k in kept] == ["exact"] * 4
    (ibid.dir / "ibid.yaml").write_text("loops: 2\ncache: {exact: off}\n")
    r = ibid.request("POST", "/admin/v1/reload", "", {"authorization": f"Bearer {ibid.token()}"}, port=ibid.admin_port)
    assert r.status == 200 and "loops" in r.json["needs_restart"], r.body
    assert [k.ask("Why?") for k in kept] == ["upstream"] * 4
    assert ibid.metric("ibid_loops") == 3


def test_large_answers_and_requests_are_whole(three, upstream):
    text = "".join(f"{i} " for i in range(400000))  # 2.6 MiB: many times what lies between two threads
    upstream.default = lambda r: answer(text)
    assert three.chat(text).text == text
    assert three.chat(text).text == text


def test_who_does_not_read_is_cut_and_disturbs_nobody(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LOOPS": "2", "IBID_LIMITS_WRITE_TIMEOUT_MS": "500"})
    text = "x" * (16 << 20)
    upstream.default = lambda r: answer(text)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", ibid.port))
    s.sendall(chat_bytes("long", close=False))
    ibid.wait_metric("ibid_client_timeouts_total", 1)
    upstream.default = lambda r: answer("short")
    assert ibid.chat("short").text == "short"
    data, _ = read_all(s, 20)
    assert not Answer(data, "closed").whole
    s.close()


def test_on_a_unix_socket(make_ibid, upstream, tmp_path):
    path = str(tmp_path / "s")
    ibid = make_ibid(upstream, env={"IBID_LOOPS": "2", "IBID_LISTEN": f"unix:{path}"})
    for _ in range(2):
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        s.sendall(chat_bytes("hello", close=True))
        data, _ = read_all(s, 20)
        assert data.startswith(b"HTTP/1.1 200")
        s.close()
    assert ibid.metric("ibid_requests_received_total") == 2


def test_streams_of_all_loops_end_before_the_program(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LOOPS": "4"})
    upstream.default = lambda r: stream(WORDS, pieces=50, gap=0.02)
    started = [start_stream(ibid, f"q{i}") for i in range(60)]
    assert sorted(loops_of(ibid).values()) == [0, 20, 20, 20]
    ibid.proc.send_signal(signal.SIGTERM)
    for s in started:
        a = finish(*s)
        assert a.whole and b"[DONE]" in a.body
    assert ibid.proc.wait(20) == 0


def test_the_next_program_may_have_other_loops(make_ibid, upstream):
    ibid = make_ibid(upstream, config="loops: 1\n")
    for loops in (3, 1):
        upstream.default = lambda r: stream(WORDS, pieces=50, gap=0.02)
        started = [start_stream(ibid, f"q{loops} {i}") for i in range(20)]
        (ibid.dir / "ibid.yaml").write_text(f"loops: {loops}\n")
        old = upgrade(ibid, wait=False)
        upstream.default = lambda r: answer("new")
        assert ibid.chat(f"who {loops}").text == "new"
        assert ibid.metric("ibid_loops") == loops
        for s in started:
            a = finish(*s)
            assert a.whole and b"[DONE]" in a.body
        assert old.wait(30) == 0


@pytest.mark.parametrize("value", ["17", "-1", "many"])
def test_a_number_that_is_none_is_refused_by_name(tmp_path, value):
    r = subprocess.run([BIN, "serve"], env={"IBID_LOOPS": value, "HOME": str(tmp_path), "IBID_LISTEN": f"127.0.0.1:{free_port()}"},
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 2 and "IBID_LOOPS" in r.stderr, r.stderr


def test_none_is_as_many_as_there_are_processors(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LOOPS": "0"})
    assert 1 <= ibid.metric("ibid_loops") <= 4
    assert ibid.chat("hello").status == 200
