"""WebSockets (OpenAI's /v1/realtime): once the upstream has agreed, bytes go both ways as they are."""
import base64
import hashlib
import socket
import threading
import time

import pytest

from upstream import Reply

KEY = base64.b64encode(b"0123456789abcdef").decode()
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


class Echo:
    """An upstream that agrees to a WebSocket and sends back what comes; `first` at once behind its head."""

    def __init__(self, first=b"", head=None):
        self.first, self.heads, self.ended = first, [], threading.Event()
        self.head = head or f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}/v1"
        self.conns = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.conns.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        data = b""
        while b"\r\n\r\n" not in data:
            data += c.recv(65536)
        head, rest = data.split(b"\r\n\r\n", 1)
        self.heads.append(head.decode().split("\r\n"))
        c.sendall(self.head.encode() + self.first)
        try:
            while rest or (rest := c.recv(65536)):
                c.sendall(rest)
                rest = b""
        except OSError:
            pass
        self.ended.set()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)  # or the thread goes on listening in accept()
        self.sock.close()
        for c in self.conns:
            c.close()


def ask(ibid, extra="", path="/v1/realtime?model=m", upgrade="websocket", then=b""):
    s = socket.create_connection(("127.0.0.1", ibid.port), 10)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {upgrade}\r\n"
              f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer k\r\n{extra}\r\n".encode() + then)
    return s


def read_head(s):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = s.recv(65536)
        assert piece, data
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    return head.decode().split("\r\n"), rest


def read_exactly(s, n, data=b""):
    while len(data) < n:
        piece = s.recv(65536)
        assert piece, f"ended after {len(data)} of {n}"
        data += piece
    return data


@pytest.fixture
def echo():
    made = []

    def make(**kw):
        made.append(Echo(**kw))
        return made[-1]

    yield make
    for e in made:
        e.close()


def test_both_ways(make_ibid, echo):
    up = echo(first=b"\x81\x05hello")
    ibid = make_ibid(up.url)
    with ask(ibid, then=b"\x81\x85early") as s:
        head, rest = read_head(s)
        assert head[0] == "HTTP/1.1 101 Switching Protocols"
        fields = {k.lower(): v for k, v in (x.split(": ", 1) for x in head[1:])}
        assert fields["upgrade"] == "websocket" and fields["connection"] == "Upgrade" and fields["sec-websocket-accept"] == ACCEPT
        assert "content-length" not in fields and "transfer-encoding" not in fields
        assert read_exactly(s, 14, rest) == b"\x81\x05hello\x81\x85early"
        for i in range(20):
            s.sendall(b"\x00\r\n\r\nGET / HTTP/1.1\r\n%d" % i)
            assert read_exactly(s, len(b"\x00\r\n\r\nGET / HTTP/1.1\r\n%d" % i)).endswith(b"%d" % i)
        assert ibid.metric("ibid_tunnels") == 1 and ibid.metric("ibid_tunnels_total") == 1
    assert up.ended.wait(10)  # the client's end is the upstream's
    end = time.time() + 10
    while ibid.metric("ibid_tunnels") != 0:
        assert time.time() < end
    seen = up.heads[0]
    assert seen[0] == "GET /v1/realtime?model=m HTTP/1.1" and "Connection: Upgrade" in seen and "Upgrade: websocket" in seen
    assert f"Sec-WebSocket-Key: {KEY}" in seen and "Authorization: Bearer k" in seen and len([x for x in seen if x.lower().startswith("connection")]) == 1


def test_much_and_slowly(make_ibid, echo):
    """More than the buffers hold, to a client that does not read: it is waited for, and nothing is lost."""
    up = echo()
    ibid = make_ibid(up.url, env={"IBID_LIMITS_BUFFER_BYTES": "4KiB", "IBID_LIMITS_BODY_TIMEOUT_MS": "300"})
    data = bytes(range(256)) * 32768  # 8 MiB
    with ask(ibid) as s:
        read_head(s)
        sender = threading.Thread(target=s.sendall, args=(data,), daemon=True)
        sender.start()
        time.sleep(1)
        got = read_exactly(s, len(data))
        sender.join(10)
        assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
        time.sleep(0.6)  # silence is not the body's time-out
        s.sendall(b"still there")
        assert read_exactly(s, 11) == b"still there"


def test_the_upstreams_end_is_the_clients(make_ibid, echo):
    up = echo(first=b"bye")
    ibid = make_ibid(up.url)
    with ask(ibid) as s:
        _, rest = read_head(s)
        read_exactly(s, 3, rest)
        up.conns[0].shutdown(socket.SHUT_RDWR)
        assert s.recv(100) == b""


def test_silence_of_both_ends_it(make_ibid, echo):
    up = echo()
    ibid = make_ibid(up.url, env={"IBID_UPSTREAM_IDLE_TIMEOUT_MS": "400", "IBID_UPSTREAM_TOTAL_TIMEOUT_MS": "700",
                                  "IBID_UPSTREAM_FIRST_BYTE_TIMEOUT_MS": "400"})
    with ask(ibid) as s:
        read_head(s)
        for _ in range(10):  # beyond the time of a whole answer
            time.sleep(0.1)
            s.sendall(b"ping")
            read_exactly(s, 4)
        with pytest.raises((AssertionError, ConnectionResetError)):
            read_exactly(s, 1)
    assert ibid.metric("ibid_upstream_timeouts_total") == 1


def test_an_upstream_that_does_not_agree(make_ibid, upstream):
    upstream.default = lambda r: Reply(426, b'{"error": "no"}')
    ibid = make_ibid(upstream)
    with ask(ibid) as s:
        head, rest = read_head(s)
        assert head[0].startswith("HTTP/1.1 426 ") and read_exactly(s, 15, rest) == b'{"error": "no"}'
        # And the connection goes on as HTTP.
        s.sendall(b"GET /v1/files HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_head(s)[0][0].startswith("HTTP/1.1 426 ")
    assert [r.target for r in upstream.requests] == ["/v1/realtime?model=m", "/v1/files"]


@pytest.mark.parametrize("upgrade, extra", [("h2c", "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"), ("websocket, h2c", ""), ("TLS/1.0", ""),
                                            ("websocket", "Upgrade: h2c\r\n"), ("websocket", "Content-Length: 4\r\n")])
def test_nothing_else_is_asked_for(make_ibid, upstream, upgrade, extra):
    """What would be requests that nobody looks at, or could be read in two ways."""
    upstream.default = lambda r: Reply(body=b"{}")
    ibid = make_ibid(upstream)
    with ask(ibid, extra, upgrade=upgrade, then=b"abcd" if "Length" in extra else b"") as s:
        assert read_head(s)[0][0].startswith("HTTP/1.1 200 ")
    assert upstream.requests[0].header("upgrade") == [] and "pgrade" not in str(upstream.requests[0].header("connection"))


def test_101_that_was_not_asked_for(make_ibid, echo):
    up = echo()
    ibid = make_ibid(up.url)
    r = ibid.request("GET", "/v1/files")
    assert r.status == 502


def test_ending_with_a_tunnel_open(make_ibid, echo):
    up = echo()
    ibid = make_ibid(up.url, env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "200"})
    with ask(ibid) as s:
        read_head(s)
        ibid.stop()
        with pytest.raises((AssertionError, ConnectionResetError)):
            read_exactly(s, 1)
