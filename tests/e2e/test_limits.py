"""Clients that are slow, many, rude or gone: each limit holds, nothing spins, nothing leaks."""
import json
import os
import random
import socket
import threading
import time

import pytest

import conftest
from upstream import Reply, answer, events, stream
from wire import Answer, Peer, ask, chat_bytes, exchange, framed, read_all, reset


def fds(ibid):
    return len(os.listdir(f"/proc/{ibid.proc.pid}/fd"))


def cpu_s(ibid):
    words = open(f"/proc/{ibid.proc.pid}/stat").read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def rss_kib(ibid):
    return int(next(l for l in open(f"/proc/{ibid.proc.pid}/status") if l.startswith("VmRSS")).split()[1])


def connect(ibid):
    return socket.create_connection(("127.0.0.1", ibid.port), 10)


def wait(what, timeout=5):
    end = time.monotonic() + timeout
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# --- slow -----------------------------------------------------------------------------------------------


def test_a_slow_head_is_refused_in_time(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_HEAD_TIMEOUT_MS": "400"})
    conns = [connect(ibid) for _ in range(20)]
    data = chat_bytes("slow")
    t0 = time.monotonic()
    for i in range(30):  # a byte every 20 ms: never silent, never done
        for s in conns:
            try:
                s.sendall(data[i: i + 1])
            except OSError:
                pass
        time.sleep(0.02)
        if i == 10:
            assert ask(ibid, "others are served").status == 200
    for s in conns:
        r = Answer(*read_all(s, 5))
        assert r.status == 408 and r.json["error"]["message"], r.data
        s.close()
    assert time.monotonic() - t0 < 3
    assert ibid.metric("ibid_client_timeouts_total") == 20
    assert len(upstream.posts()) == 1


def test_a_slow_body_is_cut(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_BODY_TIMEOUT_MS": "300"})
    data = chat_bytes("slow body")
    s = connect(ibid)
    s.sendall(data[:-10])
    t0 = time.monotonic()
    r, ended = read_all(s, 5)
    assert 0.2 < time.monotonic() - t0 < 2 and ended != "timeout"
    assert ibid.metric("ibid_client_timeouts_total") == 1 and not upstream.posts()
    # Slow, but moving.
    s = connect(ibid)
    for i in range(0, len(data), 40):
        s.sendall(data[i: i + 40])
        time.sleep(0.05)
    assert Answer(*read_all(s, 5)).status == 200


def test_idle_connections_are_closed(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_IDLE_TIMEOUT_MS": "300"})
    fresh, kept = connect(ibid), connect(ibid)
    kept.sendall(chat_bytes("kept", close=False))
    t0 = time.monotonic()
    assert Answer(*read_all(kept, 5)).whole
    assert read_all(fresh, 5) == (b"", "fin")
    assert 0.2 < time.monotonic() - t0 < 2


def test_who_takes_nothing_is_cut(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_WRITE_TIMEOUT_MS": "300"})
    upstream.default = lambda r: Reply(body=b"x" * 50_000_000, content_type="application/octet-stream")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", ibid.port))
    s.sendall(b"GET /v1/big HTTP/1.1\r\nHost: x\r\n\r\n")
    ibid.wait_metric("ibid_client_timeouts_total", 1)
    assert wait(lambda: ibid.metric("ibid_requests_in_flight") == 0)
    assert wait(lambda: ibid.metric("ibid_upstream_connections") == 0)
    r = Answer(*read_all(s, 5))
    assert not r.whole
    s.close()


# --- many ------------------------------------------------------------------------------------------------


def test_more_connections_than_allowed(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_CONNECTIONS_MAX": "20"})
    conns = [connect(ibid) for _ in range(20)]
    ibid.wait_metric("ibid_client_connections", 20)
    for _ in range(5):
        r = exchange(ibid.port, chat_bytes("one too many"))
        assert r.status == 503 and r.whole and "connections" in r.json["error"]["message"], r.data
    # Health is asked elsewhere.
    assert ibid.admin("/healthz").status == 200
    conns[0].sendall(chat_bytes("first", close=False))
    assert conns[0].recv(100).startswith(b"HTTP/1.1 200")
    for s in conns:
        s.close()
    assert wait(lambda: ibid.metric("ibid_client_connections") == 0)
    assert ask(ibid, "room again").status == 200


def test_more_requests_than_allowed(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_REQUESTS_MAX": "5"})
    upstream.script = [Reply(at=-1, fault="stall")]
    conns = [connect(ibid) for _ in range(5)]
    for i, s in enumerate(conns):
        s.sendall(chat_bytes(f"q {i}"))
    ibid.wait_metric("ibid_requests_in_flight", 5)
    r = ask(ibid, "one too many")
    assert r.status == 503 and r.json["error"]["code"] == "overloaded" and r.headers["retry-after"]
    assert ibid.metric("ibid_refused_total") == 1
    for s in conns:
        s.close()
    upstream.script = [answer("fine")]
    assert wait(lambda: ibid.metric("ibid_requests_in_flight") == 0)
    assert ask(ibid, "room again").status == 200


def test_more_upstream_connections_than_allowed(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_CONNECTIONS_MAX": "2", "IBID_UPSTREAM_WAITING_MAX": "3", "IBID_CACHE_COALESCE": "off"})
    upstream.default = lambda r: answer("slow", delay=0.4)
    got = []
    threads = [threading.Thread(target=lambda i=i: got.append(ask(ibid, f"q {i}").status)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(got) == [200] * 5 + [503] * 3
    assert upstream.connections <= 2


def limited(make_ibid, upstream, tmp_path, n, **kw):
    path = tmp_path / f"run{n}"
    path.write_text(f'#!/bin/sh\nulimit -n {n}\nexec {conftest.BIN} "$@"\n')
    path.chmod(0o755)
    old, conftest.BIN = conftest.BIN, str(path)
    try:
        return make_ibid(upstream, **kw)
    finally:
        conftest.BIN = old


@pytest.mark.parametrize("n", [64, 256])
def test_out_of_file_descriptors(make_ibid, upstream, tmp_path, n):
    """No spinning, no crash, and all is well when they are back."""
    ibid = limited(make_ibid, upstream, tmp_path, n)
    assert ask(ibid, "before").status == 200
    before = fds(ibid)
    conns = []
    for _ in range(n + 100):
        s = socket.socket()
        s.settimeout(2)
        try:
            s.connect(("127.0.0.1", ibid.port))
            conns.append(s)
        except OSError:
            s.close()
    time.sleep(0.3)
    t0, used = time.monotonic(), cpu_s(ibid)
    time.sleep(1)
    used = cpu_s(ibid) - used
    assert used < 0.35 * (time.monotonic() - t0), used
    assert fds(ibid) <= n and ibid.proc.poll() is None
    # A connection that was let in is served from the cache, though nothing new can be opened.
    served = 0
    for s in conns[:10]:
        try:
            s.sendall(chat_bytes("before"))
            served += Answer(*read_all(s, 3)).status in (200, 502)
        except OSError:
            pass
    assert served > 0
    for s in conns:
        s.close()
    assert wait(lambda: fds(ibid) <= before + 2), (fds(ibid), before)
    assert ask(ibid, "after").status == 200
    assert "accept_failed" in ibid.read_log() and ibid.read_log().count("accept_failed") < 10


def test_the_soft_limit_of_descriptors_is_raised(make_ibid, upstream, tmp_path):
    """A shell's usual 1024 is less than limits.connections_max."""
    path = tmp_path / "soft"
    path.write_text(f'#!/bin/sh\nulimit -Sn 128\nexec {conftest.BIN} "$@"\n')
    path.chmod(0o755)
    old, conftest.BIN = conftest.BIN, str(path)
    try:
        ibid = make_ibid(upstream)
    finally:
        conftest.BIN = old
    conns = [connect(ibid) for _ in range(300)]
    ibid.wait_metric("ibid_client_connections", 300)
    assert ask(ibid, "one more").status == 200
    for s in conns:
        s.close()


def test_idle_keep_alive_connections_cost_little(make_ibid, upstream):
    ibid = make_ibid(upstream)
    ask(ibid, "proof")
    conns = [connect(ibid) for _ in range(500)]
    ibid.wait_metric("ibid_client_connections", 500)
    fresh = rss_kib(ibid)
    for s in conns:
        s.sendall(chat_bytes("proof", close=False))
    for s in conns:
        data = b""
        while not Answer(data, "open").whole:
            data += s.recv(65536)
    each = (rss_kib(ibid) - fresh) / 500
    print(f"{each:.1f} KiB a connection that was used and waits")
    assert each < 80 or "ASAN_OPTIONS" in ibid.env
    t0, used = time.monotonic(), cpu_s(ibid)
    time.sleep(0.5)
    assert cpu_s(ibid) - used < 0.1
    for s in conns:
        s.close()
    assert wait(lambda: ibid.metric("ibid_client_connections") == 0)


# --- rude ------------------------------------------------------------------------------------------------


def test_clients_that_leave_at_any_point(make_ibid, upstream):
    """500 of them, by FIN or reset, at any byte of their request or of the answer."""
    ibid = make_ibid(upstream)
    upstream.default = lambda r: (stream("a b c d e f g h", pieces=60, gap=0.002) if r.json.get("stream") else answer("x" * 3000, pieces=700))
    ask(ibid, "proof")
    rng = random.Random(9)
    before = fds(ibid)
    for n in range(500):
        data = chat_bytes(f"q {n % 50}" if n % 3 else f"only {n}", stream=n % 2 == 0, close=False)
        s = connect(ibid)
        if rng.random() < 0.4:
            s.sendall(data[: rng.randrange(len(data))])
        else:
            s.sendall(data)
            if rng.random() < 0.7:
                s.settimeout(5)
                s.recv(rng.choice([1, 20, 300, 1000, 5000]))
        reset(s) if rng.random() < 0.5 else s.close()
    assert wait(lambda: ibid.metric("ibid_requests_in_flight") == 0), ibid.metric("ibid_requests_in_flight")
    assert wait(lambda: ibid.metric("ibid_client_connections") == 0)
    # What is left open are kept connections to the upstream, and they are few.
    assert wait(lambda: fds(ibid) <= before + ibid.metric("ibid_upstream_connections") + 1), (fds(ibid), before)
    assert ibid.metric("ibid_upstream_connections") <= 40
    assert ask(ibid, "after").status == 200
    # What some left was finished or not kept: nobody gets half of it.
    for n in range(50):
        r = ask(ibid, f"q {n}", stream=n % 2 == 0)
        assert r.whole and r.status == 200
        assert (b"[DONE]" in r.body) if n % 2 == 0 else r.text in ("x" * 3000, "a b c d e f g h")


def test_a_client_that_leaves_cancels_its_call(make_ibid):
    """The upstream's connection ends, so that nobody pays for words that nobody reads."""
    ended = []

    def serve(peer, s, n):
        peer.read_request(s, n)
        t0 = time.monotonic()
        s.settimeout(5)
        try:
            gone = s.recv(1) == b""
        except OSError:
            gone = True
        ended.append(gone and time.monotonic() - t0)

    peer = Peer(serve)
    ibid = make_ibid(peer)
    for i in range(10):
        s = connect(ibid)
        s.sendall(chat_bytes(f"q {i}", close=False))
        assert wait(lambda: len(peer.received) == i + 1 and peer.received[i].endswith(b"}"))
        reset(s) if i % 2 else s.close()
        assert wait(lambda: len(ended) == i + 1, 3)
    assert all(isinstance(t, float) and t < 2 for t in ended), ended
    assert wait(lambda: ibid.metric("ibid_client_gone_total") == 10)
    peer.close()


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_half_closed_clients_get_their_answer(make_ibid, upstream, is_stream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream("one two three", pieces=100, gap=0.02) if r.json.get("stream") else answer("one two three", delay=0.1)
    for i in range(3):
        s = connect(ibid)
        s.sendall(chat_bytes(f"half {i}", stream=is_stream, close=False))
        s.shutdown(socket.SHUT_WR)
        r = Answer(*read_all(s, 5))
        assert r.whole and r.status == 200, r.data
        if is_stream:
            assert r.body == events("one two three")


def test_pipelined_requests_are_answered_in_order(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: answer(r.json["messages"][-1]["content"], delay=0.001)
    s = connect(ibid)
    questions = [f"pipelined {i % 30}" for i in range(60)]
    data = b"".join(chat_bytes(q, close=i == 59) for i, q in enumerate(questions))
    for i in range(0, len(data), 1000):
        s.sendall(data[i: i + 1000])
    rest, got = read_all(s, 15)[0], []
    while rest:
        r = Answer(rest, "open")
        assert r.whole and r.status == 200, rest[:300]
        got.append(r.text)
        rest = r.rest
    assert got == questions


# --- all at once -----------------------------------------------------------------------------------------


def at_once(ibid, n, question, **kw):
    """n identical requests; all of them are there before the first is answered."""
    conns = [connect(ibid) for _ in range(n)]
    for s in conns:
        s.sendall(chat_bytes(question, **kw))
    return conns


def collect(conns):
    out = []
    for s in conns:
        out.append(Answer(*read_all(s, 20)))
        s.close()
    return out


@pytest.mark.parametrize("is_stream", [False, True], ids=["json", "stream"])
def test_a_herd_is_one_request(make_ibid, upstream, is_stream):
    ibid = make_ibid(upstream)
    ask(ibid, "proof")
    upstream.default = lambda r: stream("the answer", delay=0.5) if r.json.get("stream") else answer("the answer", delay=0.5)
    out = collect(at_once(ibid, 200, "herd", stream=is_stream))
    assert all(r.whole and r.status == 200 for r in out)
    assert [r.source for r in out].count("upstream") == 1 and [r.source for r in out].count("coalesced") == 199
    assert len(upstream.posts()) == 2
    texts = {r.text if not is_stream else "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in r.body.split(b"\n") if line.startswith(b"data: {")) for r in out}
    assert texts == {"the answer"}


@pytest.mark.parametrize("fault", ["garbage", "broken", "500", "left", "unstorable"])
def test_a_herd_whose_leader_fails_is_let_go(make_ibid, upstream, fault):
    ibid = make_ibid(upstream)
    ask(ibid, "proof")
    first = {"garbage": Reply(raw=b"garbage\r\n", close=True), "broken": answer("x" * 100, at=50, fault="fin"),
             "500": Reply(status=500, body=b'{"error":{"message":"no"}}'),
             "left": answer("nobody's"), "unstorable": answer("cut", finish="length")}[fault]
    gate = threading.Event()
    upstream.script = [lambda _: gate.wait(60) and first, answer("second")]
    leader = at_once(ibid, 1, "herd")
    assert wait(lambda: len(upstream.posts()) == 2)
    conns = at_once(ibid, 200, "herd")
    ibid.wait_metric("ibid_requests_in_flight", 201)
    assert len(upstream.posts()) == 2
    if fault == "left":
        leader[0].close()
        leader = []
        ibid.wait_metric("ibid_client_gone_total", 1)
    gate.set()
    out = collect(conns)
    assert [(r.status, r.text) for r in out] == [(200, "second")] * 200
    for r in collect(leader):
        assert r.status in (200, 500, 502) and (fault == "unstorable") == (r.whole and r.status == 200)
    after = len(upstream.posts()) - 2
    # Whose client left has its place taken; what was refused or broken is tried by each for itself.
    assert after == (1 if fault == "left" else 200), after
    assert ask(ibid, "herd").source == "exact"


def test_leaders_that_leave_one_after_the_other(make_ibid, upstream):
    ibid = make_ibid(upstream)
    ask(ibid, "proof")
    gate = threading.Event()

    def held(_):
        gate.wait(60)
        return answer("the answer")

    upstream.default = held
    conns = []
    for i in range(30):
        conns += at_once(ibid, 1, "herd")
        ibid.wait_metric("ibid_requests_in_flight", i + 1)
    for i in range(5):
        assert wait(lambda: len(upstream.posts()) == i + 2)
        conns.pop(0).close()
    # And one who only waited.
    conns.pop(10).close()
    assert wait(lambda: len(upstream.posts()) == 7)
    gate.set()
    out = collect(conns)
    assert [(r.status, r.text) for r in out] == [(200, "the answer")] * 24
    assert [r.source for r in out].count("upstream") == 1
    assert len(upstream.posts()) == 7


def test_a_herd_does_not_wait_for_ever(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_UPSTREAM_FIRST_BYTE_TIMEOUT_MS": "400"})
    ask(ibid, "proof")
    upstream.script = [Reply(at=-1, fault="stall"), answer("second")]
    leader = at_once(ibid, 1, "herd")
    assert wait(lambda: len(upstream.posts()) == 2)
    t0 = time.monotonic()
    out = collect(at_once(ibid, 20, "herd"))
    assert time.monotonic() - t0 < 3
    assert [(r.status, r.text) for r in out] == [(200, "second")] * 20
    assert collect(leader)[0].status == 504
