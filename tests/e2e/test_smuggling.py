"""No bytes of one party become a message of another: from clients to the upstream (the shapes of
tests/smuggling/cases.txt, over real sockets, against a peer that keeps every byte it got), and from the
upstream to the next client."""
import json
import re
import socket
import time

import pytest

from conftest import ROOT
from upstream import completion
from wire import Answer, Peer, ask, chat_bytes, exchange, framed, read_all

ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def unescape(text, repetition=None):
    if repetition is not None:
        text = text.replace("%", str(repetition))
    text = re.sub(r"\{(\d+) (.)\}", lambda m: m[2] * int(m[1]), text)
    text = re.sub(r"\\(x([0-9a-fA-F]{2})|[rnt0\\])", lambda m: chr(int(m[2], 16)) if m[2] else ESCAPES[m[1]], text)
    return text.encode("latin-1")


def load_cases():
    """tests/flow/smuggling_table.c says what the format is."""
    cases, name, refuse, data = [], None, None, b""
    for line in [*(ROOT / "tests/smuggling/cases.txt").read_text().splitlines(), ""]:
        if line.startswith("= "):
            _, name, expectation = line.split()
            refuse, data = expectation == "refuse", b""
        elif name is None:
            continue
        elif line == "":
            cases.append((name, refuse, data))
            name = None
        elif not line.startswith("#"):
            if m := re.match(r"@ (\d+) (.*)", line):
                data += b"".join(unescape(m[2], i + 1) for i in range(int(m[1])))
            else:
                data += unescape(line)
    return cases


CASES = load_cases()


def requests_in(data):
    """What a strict reader finds in the bytes of one upstream connection: (line, body) each."""
    found = []
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        assert mark, f"half a head arrived: {data[:200]}"
        lines = head.split(b"\r\n")
        assert re.fullmatch(rb"[A-Z]+ /\S* HTTP/1\.1", lines[0]), lines[0]
        fields = {}
        for line in lines[1:]:
            k, colon, v = line.partition(b":")
            assert colon and re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+", k), line
            assert b"\r" not in v and b"\n" not in v and b"\0" not in v
            assert k.lower() not in (b"content-length", b"transfer-encoding", b"host") or k.lower() not in fields, head
            fields[k.lower()] = v.strip()
        assert not (b"content-length" in fields and b"transfer-encoding" in fields), head
        if b"transfer-encoding" in fields:
            assert fields[b"transfer-encoding"] == b"chunked"
            body = b""
            while True:
                size, _, rest = rest.partition(b"\r\n")
                n = int(size, 16)
                body, end, rest = body + rest[:n], rest[n: n + 2], rest[n + 2:]
                assert end == b"\r\n"
                if n == 0:
                    break
        else:
            n = int(fields.get(b"content-length", 0))
            body, rest = rest[:n], rest[n:]
        found.append((lines[0], body))
        data = rest
    return found


def answer_simply(peer, s, n):
    while True:
        head, _ = peer.read_request(s, n)
        if not head:
            return
        s.sendall(framed(b"{}"))


def test_there_are_shapes_enough():
    assert len(CASES) >= 150 and sum(refuse for _, refuse, _ in CASES) > 50
    assert any(b"/smuggled" in data for _, _, data in CASES)
    assert len({name for name, _, _ in CASES}) == len(CASES)


@pytest.mark.parametrize("path", [None, b"/v1/chat/completions"], ids=["as they are", "on the cached route"])
def test_the_upstream_never_sees_a_second_request(make_ibid, path):
    """Each shape on a connection of its own; a marker after all tells which connections upstream are
    in step: an ordinary request whose answer must be its own."""
    peer = Peer(answer_simply)
    ibid = make_ibid(peer, env={"IBID_LIMITS_BODY_TIMEOUT_MS": "250", "IBID_LIMITS_HEAD_TIMEOUT_MS": "250",
                                "IBID_LIMITS_HEAD_MAX_BYTES": "16384",
                                "IBID_UPSTREAM_FIRST_BYTE_TIMEOUT_MS": "1000"})
    refused = completed = 0
    for name, refuse, data in CASES:
        if path:
            data = re.sub(rb"^([A-Z]+) /a(?= )", rb"\1 " + path, data, count=1)
        before = {i: len(b) for i, b in enumerate(peer.received)}
        with socket.create_connection(("127.0.0.1", ibid.port), 5) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            got, ended = read_all(s, 5)
        assert ended != "timeout", name
        fresh = [b[before.get(i, 0):] for i, b in enumerate(peer.received)]
        fresh = [b for b in fresh if b]
        statuses = [int(st) for st in re.findall(rb"HTTP/1\.1 (\d{3}) ", got) if st != b"100"]
        try:
            assert b"\r\n/smuggled" not in got
            for b in fresh:
                assert not re.search(rb"(^|\n)[A-Z]+ /(v1/)?smuggled", strip_bodies(b)), b
            if refuse:
                # Nothing whole goes out: at most a head whose body then broke off.
                assert all(st >= 400 for st in statuses), got[:300]
                refused += 1
            else:
                assert len(fresh) <= 1 and sum(st < 400 for st in statuses) <= 1, (fresh, got[:300])
                for b in fresh:
                    assert len(requests_in(b)) == 1
                completed += len(statuses)
        except AssertionError as e:
            raise AssertionError(f"{name}: sent {data[:300]}, upstream saw {fresh}, client got {got[:400]}") from e
        r = exchange(ibid.port, b"GET /v1/marker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert r.whole and r.status == 200 and r.body == b"{}", (name, r.data)
    assert refused > 50 and completed > 10
    # Every byte that went out is a sequence of well-formed requests, none of them smuggled.
    for b in peer.received:
        for line, _ in requests_whole(b):
            assert b"/smuggled" not in line
    assert ibid.metric("ibid_client_bad_heads_total") >= refused / 2
    peer.close()


def requests_whole(data):
    """Like requests_in, but the last one may be cut off in its body (its connection was)."""
    try:
        return requests_in(data)
    except (AssertionError, ValueError):
        line = data.partition(b"\r\n")[0]
        assert re.fullmatch(rb"[A-Z]+ /\S* HTTP/1\.1", line), data[:200]
        return [(line, b"")]


def strip_bodies(data):
    """The heads only."""
    try:
        return b"".join(line + b"\r\n\r\n" for line, _ in requests_in(data))
    except (AssertionError, ValueError):
        return data.partition(b"\r\n\r\n")[0]


# --- the other way: answers ----------------------------------------------------------------------------

EVIL = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"EVIL"},"finish_reason":"stop"}]}'
GOOD = json.dumps(completion("good")).encode()
TAILS = {
    "a second answer": framed(EVIL),
    "half a second answer": framed(EVIL)[:60],
    "one byte": b"x",
    "an empty line": b"\r\n",
    "many answers": framed(EVIL) * 50,
    "a 100": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a chunk": b"5\r\nEVIL!\r\n0\r\n\r\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_extra_bytes_never_reach_the_next_client(make_ibid, chunked, late):
    def serve(peer, s, n):
        while True:
            head, body = peer.read_request(s, n)
            if not head:
                return
            name = json.loads(body)["messages"][-1]["content"]
            good = framed(GOOD, chunked=chunked)
            if name not in TAILS:
                s.sendall(good)
            elif late:
                s.sendall(good)
                time.sleep(0.005)
                s.sendall(TAILS[name])
            else:
                s.sendall(good + TAILS[name])

    peer = Peer(serve)
    ibid = make_ibid(peer)
    for name in TAILS:
        r = exchange(ibid.port, chat_bytes(name, key="victim-of-none"))
        assert r.whole and r.body == GOOD and r.rest == b"", name
        # Whoever talks without having been asked is hung up on. (What comes only after the next
        # question was sent looks like its answer to everybody.)
        end = time.monotonic() + 5
        while ibid.metric("ibid_upstream_connections") > 0:
            assert time.monotonic() < end, name
            time.sleep(0.002)
        for i in range(3):
            r = exchange(ibid.port, chat_bytes(f"next {i} after {name}", key=f"other-{i}"))
            assert r.status == 200 and r.body == GOOD and b"EVIL" not in r.data, (name, r.data)
    for name in TAILS:
        assert ask(ibid, name, key="victim-of-none").text == "good"
    peer.close()


DESYNCS = {
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + framed(EVIL),
    "chunked and length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 200\r\n\r\n0\r\n\r\n" + framed(EVIL),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 0\r\n\r\n{}" + framed(EVIL),
    "length list": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}" + framed(EVIL),
    "space in the length": b"HTTP/1.1 200 OK\r\nContent-Length: 2 0\r\n\r\n{}" + framed(EVIL),
    "plus": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}" + framed(EVIL),
    "hex": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}" + framed(EVIL),
    "split by CR": b"HTTP/1.1 200 OK\r\nX-A: a\r\rContent-Length: 0\r\n\r\n" + framed(EVIL),
    "obs-fold": b"HTTP/1.1 200 OK\r\nX-A: a\r\n Content-Length: 9\r\nContent-Length: 0\r\n\r\n" + framed(EVIL),
    "204 with a body": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}" + framed(EVIL),
    "chunk extension trick": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;\nx\r\n{}\r\n0\r\n\r\n" + framed(EVIL),
    "xchunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + framed(EVIL),
    "chunked under 1.0": b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n" + framed(EVIL),
    "endless 100": b"HTTP/1.1 100 Continue\r\nContent-Length: 500\r\n\r\n" + framed(EVIL),
    "head with NUL": b"HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 0\r\n\r\n" + framed(EVIL),
}


def test_an_upstream_out_of_step_poisons_nobody(make_ibid):
    def serve(peer, s, n):
        while True:
            head, body = peer.read_request(s, n)
            if not head:
                return
            name = json.loads(body)["messages"][-1]["content"]
            s.sendall(DESYNCS.get(name, framed(GOOD)))

    peer = Peer(serve)
    ibid = make_ibid(peer, env={"IBID_UPSTREAM_IDLE_TIMEOUT_MS": "300", "IBID_UPSTREAM_FIRST_BYTE_TIMEOUT_MS": "300"})
    for name in DESYNCS:
        r = exchange(ibid.port, chat_bytes(name, key="first"))
        if r.whole and r.status == 200:
            # A strict reading that ended before the bait (an informational answer has no body).
            assert name in ("endless 100",), (name, r.data)
        for i in range(3):
            r = exchange(ibid.port, chat_bytes(f"next {i} after {name}", key=f"other-{i}"))
            assert r.status == 200 and r.whole and r.body == GOOD, (name, r.data)
    peer.close()


def test_fields_of_an_answer_cannot_split_it(make_ibid):
    """What an upstream puts into a field is either one field for the client or an error."""
    values = [b"a\r\nX-Evil: 1", b"a\r\n\r\nHTTP/1.1 200 OK\r\n", b"a\rX-Evil: 1", b"a\nX-Evil: 1", b"a\0b", b"a\x0bb", b"\x7f", b"\xe2\x80\xa8"]
    seen = []

    def serve(peer, s, n):
        while True:
            head, body = peer.read_request(s, n)
            if not head:
                return
            i = int(json.loads(body)["messages"][-1]["content"])
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-B: " + values[i] + b"\r\nContent-Length: 2\r\n\r\n{}")

    peer = Peer(serve)
    ibid = make_ibid(peer, env={"IBID_UPSTREAM_FIRST_BYTE_TIMEOUT_MS": "300", "IBID_UPSTREAM_IDLE_TIMEOUT_MS": "300"})
    for i, v in enumerate(values):
        r = exchange(ibid.port, chat_bytes(str(i)))
        head = r.data.partition(b"\r\n\r\n")[0]
        assert head.count(b"HTTP/1.1 ") == 1
        for line in head.split(b"\r\n"):
            assert b"\r" not in line and b"\n" not in line and b"\0" not in line, (v, head)
        seen.append(r.status)
    assert 502 in seen
    peer.close()


def test_a_reset_connection_takes_nothing_along(make_ibid):
    """A client leaves in the middle of its answer; the rest of it goes to nobody else."""
    def serve(peer, s, n):
        while True:
            head, body = peer.read_request(s, n)
            if not head:
                return
            name = json.loads(body)["messages"][-1]["content"]
            if name.startswith("left"):
                s.sendall(framed(EVIL * 2000)[:100_000])
                continue
            s.sendall(framed(GOOD))

    peer = Peer(serve)
    ibid = make_ibid(peer)
    for i in range(20):
        s = socket.create_connection(("127.0.0.1", ibid.port))
        s.sendall(chat_bytes(f"left {i}"))
        s.recv(100)
        s.close()
        r = exchange(ibid.port, chat_bytes(f"after {i}", key="other"))
        assert r.body == GOOD
    peer.close()
