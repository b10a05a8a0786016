"""An upstream behind TLS: with certificates of an authority of our own, made by the openssl command."""
import json
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from test_upstream_faults import JSON, SSE, assert_broken, assert_error
from wire import Peer, ask, assert_sse_error, chat_bytes, exchange, framed, reset

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl not there: apt install openssl")

CONFIG = """
[ca]
default_ca = d
[d]
dir = .
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = p
copy_extensions = copy
unique_subject = no
[p]
commonName = supplied
[req]
distinguished_name = dn
[dn]
"""


def openssl(folder, *words):
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """ca.pem, and NAME.pem (certificate and key) for: good, name (for another one), expired, future, and
    self (signed by nobody)."""
    d = tmp_path_factory.mktemp("pki")
    (d / "c").write_text(CONFIG)
    (d / "index.txt").write_text("")
    (d / "serial").write_text("01")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "c"]
    openssl(d, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority",
            "-addext", "basicConstraints=critical,CA:TRUE")
    openssl(d, "req", "-x509", *key, "-keyout", "self.key", "-out", "self.crt", "-days", "2", "-subj", "/CN=self",
            "-addext", "subjectAltName=IP:127.0.0.1")
    for name, san, begin, end in (("good", "IP:127.0.0.1,DNS:localhost", "20200101000000Z", "20490101000000Z"),
                                  ("name", "DNS:other.test", "20200101000000Z", "20490101000000Z"),
                                  ("expired", "IP:127.0.0.1", "20200101000000Z", "20200102000000Z"),
                                  ("future", "IP:127.0.0.1", "20480101000000Z", "20490101000000Z")):
        openssl(d, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}")
        openssl(d, "ca", "-batch", "-config", "c", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr",
                "-out", f"{name}.crt", "-startdate", begin, "-enddate", end, "-notext")
    for name in ("good", "name", "expired", "future", "self"):
        (d / f"{name}.pem").write_text((d / f"{name}.crt").read_text() + (d / f"{name}.key").read_text())
    return d


def answer_all(peer, s, n):
    while True:
        head, body = peer.read_request(s, n)
        if not head:
            return
        s.sendall(framed(SSE, "text/event-stream", True) if json.loads(body).get("stream") else framed(JSON))


class TlsPeer(Peer):
    def __init__(self, pem, serve=answer_all, version=None):
        self.resumed = []
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(pem)
        if version:
            ctx.minimum_version = ctx.maximum_version = version

        def wrap(s):
            t = ctx.wrap_socket(s, server_side=True)
            self.resumed.append(t.session_reused)
            return t

        super().__init__(serve, wrap)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}/v1"


@pytest.fixture
def tls(make_ibid, pki):
    """start(certificate): an ibid and its upstream."""
    peers = []

    def start(name="good", ca=True, env=None, host="127.0.0.1", **kw):
        peer = TlsPeer(pki / f"{name}.pem", **kw)
        peers.append(peer)
        env = dict(env or {})
        if ca:
            env["IBID_UPSTREAM_CA_FILE"] = str(pki / "ca.pem")
        return make_ibid(peer.url.replace("127.0.0.1", host), env=env), peer

    yield start
    for p in peers:
        p.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_works(tls, version, host):
    ibid, peer = tls(version=version, host=host)
    r = ask(ibid, "json")
    assert r.whole and r.body == JSON and r.source == "upstream"
    r = ask(ibid, "stream", stream=True)
    assert r.whole and r.body == SSE
    assert ask(ibid, "json").source == "exact" and ask(ibid, "stream").source == "exact"
    assert len(peer.received) == 1  # kept


@pytest.mark.parametrize("name,ca,words", [
    ("good", False, "certificate verify failed"), ("self", True, "certificate verify failed"),
    ("name", True, "it is not for '127.0.0.1'"), ("expired", True, "expired"), ("future", True, "not yet valid")],
    ids=["unknown authority", "self-signed", "wrong name", "expired", "not yet valid"])
def test_a_certificate_that_is_not_good_is_named(tls, name, ca, words):
    ibid, peer = tls(name, ca)
    for i in range(2):
        r = ask(ibid, "q")
        assert_error(r, 502, "upstream_failed")
        assert "certificate verify failed" in r.json["error"]["message"] and words in r.json["error"]["message"]
    assert not any(peer.received)  # not one byte of the request
    assert ibid.metric("ibid_upstream_failures_total") == 2
    assert "certificate verify failed" in ibid.read_log()


def test_sessions_are_resumed(tls):
    def serve(peer, s, n):
        if peer.read_request(s, n)[0]:
            s.sendall(framed(JSON, extra="Connection: close\r\n"))
            s.unwrap()

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        ibid, peer = tls(serve=serve, version=version)
        for i in range(6):
            assert ask(ibid, f"q {i}").body == JSON
        assert len(peer.resumed) == 6 and not peer.resumed[0]
        assert sum(peer.resumed) >= 4, peer.resumed


def test_an_end_without_a_farewell_is_no_end(tls):
    """Without close_notify anybody may have cut it: an answer framed by the end is not whole then."""
    def serve(peer, s, n):
        head, body = peer.read_request(s, n)
        question = json.loads(body)["messages"][-1]["content"]
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + JSON)
        if question.startswith("farewell"):
            s.unwrap()

    ibid, peer = tls(serve=serve)
    r = ask(ibid, "farewell")
    assert r.whole and r.body == JSON
    assert ask(ibid, "farewell").source == "exact"
    before = len(peer.received)
    for i in range(2):
        r = ask(ibid, "cut")
        assert r.status == 200 and not r.whole
    assert len(peer.received) == before + 2


def test_a_stream_cut_in_tls(tls):
    data = framed(SSE, "text/event-stream", True)

    def serve(peer, s, n):
        head, body = peer.read_request(s, n)
        how = json.loads(body)["messages"][-1]["content"]
        s.sendall(data[:-100])
        if how == "rst":
            reset(s)
        elif how == "close_notify":
            s.unwrap()
        elif how == "garbage":
            raw = socket.socket(fileno=s.detach())
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            time.sleep(0.2)
            raw.close()

    ibid, peer = tls(serve=serve)
    for how in ("fin", "rst", "close_notify", "garbage"):
        r = ask(ibid, how, stream=True)
        assert_broken(r, True)
        assert assert_sse_error(r)
    assert ibid.metric("ibid_upstream_broken_total") == 4
    assert ibid.metric("ibid_cache_stored_total") == 0


@pytest.mark.parametrize("what", ["plain http", "silence", "cut", "garbage"])
def test_a_peer_that_does_not_speak_tls(make_ibid, pki, what):
    def serve(peer, s, n):
        s.recv(5)
        if what == "plain http":
            s.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        elif what == "garbage":
            s.sendall(bytes(range(256)) * 10)
        elif what == "silence":
            peer.released.wait(5)
        if what != "cut":
            time.sleep(0.05)

    peer = Peer(serve)
    ibid = make_ibid(peer.url.replace("http:", "https:"), env={"IBID_UPSTREAM_CA_FILE": str(pki / "ca.pem"), "IBID_UPSTREAM_CONNECT_TIMEOUT_MS": "300"})
    t0 = time.monotonic()
    r = ask(ibid, "q")
    assert time.monotonic() - t0 < 2
    assert r.status == (504 if what == "silence" else 502) and r.json["error"]["message"]
    peer.close()


def test_a_large_answer_through_tls(tls):
    body = bytes(range(256)) * 40_000

    def serve(peer, s, n):
        peer.read_head(s, n)
        s.sendall(framed(body, "application/octet-stream"))
        s.recv(1)

    ibid, _ = tls(serve=serve)
    r = exchange(ibid.port, b"GET /v1/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 20)
    assert r.whole and r.body == body


def test_a_ca_file_that_cannot_be_read_stops_the_start(tmp_path):
    from test_shutdown import base_env, start_failing
    done = start_failing(base_env(tmp_path) | {"IBID_UPSTREAM_URL": "https://127.0.0.1:1", "IBID_UPSTREAM_CA_FILE": "/nonexistent.pem"})
    assert done.returncode != 0 and "/nonexistent.pem" in done.stderr
