"""The way out through an HTTP proxy: CONNECT, then TLS with the upstream itself."""
import shutil
import socket
import threading
import time

import pytest

from conftest import free_port
from test_tls import TlsPeer, pki  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl not there: apt install openssl")


class Proxy:
    """Answers CONNECT with `says` and, when that is a 200, connects to where it was asked to, or to `to`."""

    def __init__(self, says=b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n", to=None, pieces=False):
        self.says, self.to, self.pieces, self.asked = says, to, pieces, []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.held = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.held.append(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = c.recv(4096)
            if not piece:
                return
            head += piece
        lines = head.decode().split("\r\n")
        self.asked.append(lines)
        if self.says is None:  # silence
            return
        for i in range(0, len(self.says), 1 if self.pieces else 4096):
            c.sendall(self.says[i: i + (1 if self.pieces else 4096)])
        if b" 200 " not in self.says:
            c.close()
            return
        host, port = lines[0].split(" ")[1].rsplit(":", 1)
        try:
            up = socket.create_connection(self.to or (host, int(port)))
        except OSError:
            c.close()
            return
        self.held.append(up)
        threading.Thread(target=self.pump, args=(c, up), daemon=True).start()
        self.pump(up, c)

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)  # or the thread goes on listening in accept()
        self.sock.close()
        for c in self.held:
            c.close()


@pytest.fixture
def proxy():
    made = []

    def make(**kw):
        made.append(Proxy(**kw))
        return made[-1]

    yield make
    for p in made:
        p.close()


@pytest.fixture
def peer(pki):  # noqa: F811
    p = TlsPeer(pki / "good.pem")
    yield p
    p.close()


def env(pki, proxy, **more):  # noqa: F811
    return {"IBID_UPSTREAM_CA_FILE": str(pki / "ca.pem"), "IBID_UPSTREAM_PROXY_URL": proxy, **more}


@pytest.mark.parametrize("pieces", [False, True])
def test_through_it_to_the_upstream(make_ibid, pki, peer, proxy, pieces):  # noqa: F811
    p = proxy(pieces=pieces)
    ibid = make_ibid(f"https://127.0.0.1:{peer.port}/v1", env=env(pki, f"http://user:p%40ss@127.0.0.1:{p.port}"))
    for i in range(3):
        assert ibid.chat(f"hello {i}").source == "upstream"
    # One connection, kept: the proxy hears where to, and nothing of the client.
    assert len(p.asked) == 1
    assert p.asked[0] == [f"CONNECT 127.0.0.1:{peer.port} HTTP/1.1", f"Host: 127.0.0.1:{peer.port}", "Proxy-Authorization: Basic dXNlcjpwQHNz", "", ""]
    assert "p%40ss" not in ibid.admin("/admin/v1/config", ibid.token()).body.decode() and "dXNlcjpwQHNz" not in ibid.read_log()


def test_the_proxy_looks_up_the_name(make_ibid, pki, peer, proxy):  # noqa: F811
    p = proxy(to=("127.0.0.1", peer.port))
    ibid = make_ibid("https://localhost:9/v1", env=env(pki, f"http://127.0.0.1:{p.port}"))
    assert ibid.chat("hello").source == "upstream" and p.asked[0][0] == "CONNECT localhost:9 HTTP/1.1"
    # The certificate must be the upstream's all the same.
    other = make_ibid("https://elsewhere.test/v1", env=env(pki, f"http://127.0.0.1:{p.port}"))
    r = other.chat("hello")
    assert r.status == 502 and "TLS" in r.json["error"]["message"]


@pytest.mark.parametrize("says, why", [
    (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "wants another credential (407)"),
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "refuses the connection (403)"),
    (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP/1.1"),
    (b"HTTP/1.1 200 OK\r\n\r\nmore", "more than its answer"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20000, "too large"),
    (b"HTTP/1.1 502 Bad", "closed the connection"),
])
def test_what_a_proxy_may_say(make_ibid, pki, peer, proxy, says, why):  # noqa: F811
    p = proxy(says=says)
    ibid = make_ibid(f"https://127.0.0.1:{peer.port}/v1", env=env(pki, f"http://127.0.0.1:{p.port}"))
    for i in range(2):
        r = ibid.chat(f"hello {i}")
        assert r.status == 502 and why in r.json["error"]["message"], r.body


def test_a_proxy_that_is_silent_or_gone(make_ibid, pki, peer, proxy):  # noqa: F811
    p = proxy(says=None)
    ibid = make_ibid(f"https://127.0.0.1:{peer.port}/v1", env=env(pki, f"http://127.0.0.1:{p.port}", IBID_UPSTREAM_CONNECT_TIMEOUT_MS="300"))
    r = ibid.chat("hello")
    assert r.status == 504 and "waiting for the proxy" in r.json["error"]["message"]
    ibid = make_ibid(f"https://127.0.0.1:{peer.port}/v1", env=env(pki, f"http://127.0.0.1:{free_port()}"))
    assert ibid.chat("hello").status == 502


def test_the_end_while_it_is_asked(make_ibid, pki, peer, proxy):  # noqa: F811
    p = proxy(says=None)
    ibid = make_ibid(f"https://127.0.0.1:{peer.port}/v1", env=env(pki, f"http://127.0.0.1:{p.port}", IBID_LIMITS_DRAIN_TIMEOUT_MS="100"))
    said = []
    t = threading.Thread(target=lambda: said.append(ibid.chat("hello").status), daemon=True)
    t.start()
    end = time.time() + 10
    while not p.asked:
        assert time.time() < end
        time.sleep(0.01)
    ibid.stop()
    t.join(10)
    assert said == [503]


def test_the_environments_proxy_only_when_asked_for(make_ibid, pki, peer, proxy, upstream):  # noqa: F811
    p = proxy()
    there = {"HTTPS_PROXY": f"http://127.0.0.1:{p.port}"}
    url = f"https://127.0.0.1:{peer.port}/v1"
    assert make_ibid(url, env=env(pki, "", **there)).chat("a").source == "upstream" and p.asked == []
    for exempt in ("*", "127.0.0.1", "x.test, 127.0.0.1"):
        assert make_ibid(url, env=env(pki, "env", NO_PROXY=exempt, **there)).chat("a").source == "upstream" and p.asked == [], exempt
    assert make_ibid(upstream, env={"IBID_UPSTREAM_PROXY_URL": "env", **there}).chat("a").source == "upstream" and p.asked == []  # http://
    assert make_ibid(url, env=env(pki, "env", NO_PROXY="x127.0.0.1,.test", **there)).chat("a").source == "upstream" and len(p.asked) == 1
    assert make_ibid(url, env=env(pki, "env", https_proxy=f"127.0.0.1:{p.port}")).chat("a").source == "upstream" and len(p.asked) == 2


def test_a_wrong_one_is_named(make_ibid, pki):  # noqa: F811
    for wrong in ("https://127.0.0.1:1", "socks5://127.0.0.1:1", "http://", "http://a:b@"):
        with pytest.raises(AssertionError, match="upstream.proxy_url: "):
            make_ibid("https://127.0.0.1:9/v1", env=env(pki, wrong))
