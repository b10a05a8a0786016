"""TLS on the listeners: the official clients over https with an authority of our own, HTTP/2 by ALPN, certificates
of clients, what does not speak it, and renewal under load."""
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import anthropic
import httpx2
import openai
import pytest

from client import until
from conftest import BIN, free_port
from test_tls import openssl, pki  # noqa: F401 (a fixture)
from upstream import answer
from wire import ask

CHAT = "/v1/chat/completions"
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl not there: apt install openssl")


@pytest.fixture
def files(pki, tmp_path):
    """A certificate and its key that a test may exchange."""
    d = tmp_path / "tls"
    d.mkdir()
    install(pki, "good", d)
    return d


def install(pki, name, d):
    """As renewal does it: each file whole, in one step."""
    for suffix in ("crt", "key"):
        (d / f"new.{suffix}").write_bytes((pki / f"{name}.{suffix}").read_bytes())
        (d / f"new.{suffix}").chmod(0o600)
        os.replace(d / f"new.{suffix}", d / f"server.{suffix}")


@pytest.fixture
def secure(make_ibid, upstream, files):
    """start(): an ibid with a TLS listener beside the plain one (`ibid.tls_port`)."""
    chat = upstream.default
    upstream.default = lambda r: chat(r) if r.method == "POST" else answer("a list")

    def start(env=None, **kw):
        port = free_port()
        plain = free_port()
        env = {"IBID_LISTEN": f"127.0.0.1:{plain}, tls:127.0.0.1:{port}", "IBID_TLS_CERT_FILE": str(files / "server.crt"),
               "IBID_TLS_KEY_FILE": str(files / "server.key"), "IBID_TLS_RELOAD_S": "1", **(env or {})}
        ibid = make_ibid(upstream, env=env, **kw)
        ibid.port, ibid.tls_port = plain, port
        return ibid
    return start


def trusting(pki, client=None):
    ctx = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if client:
        ctx.load_cert_chain(pki / f"{client}.pem")
    return ctx


def get(port, ctx, path="/v1/models", timeout=10):
    with socket.create_connection(("127.0.0.1", port), timeout) as s, ctx.wrap_socket(s, server_hostname="127.0.0.1") as t:
        t.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while piece := t.recv(65536):
            data += piece
        return data, t.version()


def shown(port, pki):
    ctx = trusting(pki)
    ctx.check_hostname = False
    with socket.create_connection(("127.0.0.1", port), 10) as s, ctx.wrap_socket(s) as t:
        return t.getpeercert()["subject"][0][0][1]


def test_the_official_clients_speak_it(secure, pki):
    ibid = secure()
    for http2 in (False, True):
        versions = set()
        seen = lambda r: versions.add(r.http_version)
        with httpx2.Client(http2=http2, verify=trusting(pki), timeout=30, event_hooks={"response": [seen]}) as transport:
            c = openai.OpenAI(base_url=f"https://127.0.0.1:{ibid.tls_port}/v1", api_key="sk-test", http_client=transport, max_retries=0)
            ask_it = lambda **kw: c.chat.completions.create(model="m", messages=[{"role": "user", "content": f"by the sdk {http2}"}], **kw)
            first, second = ask_it(), ask_it()
            assert first.choices == second.choices
            assert "".join(e.choices[0].delta.content or "" for e in ask_it(stream=True) if e.choices) == first.choices[0].message.content
            raw = c.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": f"by the sdk {http2}"}])
            assert raw.headers["x-ibid-source"] == "exact"
            with pytest.raises(openai.BadRequestError):
                c.chat.completions.create(model="m", messages=[])
        assert versions == {"HTTP/2" if http2 else "HTTP/1.1"}
    assert ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="full"}') >= 2
    assert ibid.metric('ibid_tls_alpn_http2_total{listener="clients"}') >= 1
    assert ibid.metric('ibid_tls_certificate_expires_seconds{listener="clients"}') > time.time()
    # What came through TLS is found without it.
    assert ask(ibid, "by the sdk True", model="m").source == "exact"


def test_who_does_not_know_the_authority_says_so(secure):
    ibid = secure()
    c = openai.OpenAI(base_url=f"https://127.0.0.1:{ibid.tls_port}/v1", api_key="sk-test", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        c.models.list()
    until(lambda: ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="failed"}') >= 1, "the handshake to fail")
    assert "unknown ca" in ibid.read_log()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl not there: apt install curl")
@pytest.mark.parametrize("flag,version", [("--http2", "2"), ("--http1.1", "1.1"), ("--tls-max=1.2", "2")])
def test_curl(secure, pki, flag, version):
    ibid = secure()
    flags = flag.split("=")
    done = subprocess.run(["curl", "-sS", *flags, "--cacert", pki / "ca.pem", "-w", "\n%{http_version}", "-H", "Authorization: Bearer sk-test",
                           "-H", "Content-Type: application/json", "-d", '{"model":"m","messages":[{"role":"user","content":"by curl"}]}',
                           f"https://localhost:{ibid.tls_port}{CHAT}"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    body, _, spoke = done.stdout.rpartition("\n")
    assert '"content":' in body and spoke == version
    done = subprocess.run(["curl", "-sS", "--tls-max", "1.1", "--cacert", pki / "ca.pem", f"https://localhost:{ibid.tls_port}/"], capture_output=True, timeout=30)
    assert done.returncode == 35


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load not there: apt install nghttp2-client")
@pytest.mark.parametrize("h1", [False, True], ids=["h2", "h1"])
def test_many_at_once(secure, h1, tmp_path):
    ibid = secure()
    assert ask(ibid, "again and again", model="m").status == 200
    body = tmp_path / "body"
    body.write_text('{"model":"m","messages":[{"role":"user","content":"again and again"}]}')
    done = subprocess.run(["h2load", "-n", "4000", "-c", "20", "-m", "1" if h1 else "20", *(["--h1"] if h1 else []), "-d", str(body),
                           "-H", "authorization: Bearer sk-test", "-H", "content-type: application/json",
                           f"https://127.0.0.1:{ibid.tls_port}{CHAT}"], capture_output=True, text=True, timeout=120)
    assert re.search(r"4000 done, 4000 succeeded, 0 failed, 0 errored", done.stdout), done.stdout + done.stderr
    assert re.search(r"status codes: 4000 2xx", done.stdout), done.stdout
    assert "TLSv1.3" in done.stdout
    assert ibid.metric('ibid_tls_connections_total{listener="clients",version="1.3"}') >= 20
    until(lambda: ibid.metric("ibid_client_connections") == 0, "connections to end")


def test_a_large_body_both_ways(secure, pki, upstream):
    ibid = secure()
    text = "x" * 3_000_000
    with httpx2.Client(verify=trusting(pki), timeout=60) as c:
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        r = c.post(f"https://127.0.0.1:{ibid.tls_port}{CHAT}", json=body, headers={"authorization": "Bearer sk-test"})
        assert r.status_code == 200
        upstream.script = [answer(text)]
        r = c.post(f"https://127.0.0.1:{ibid.tls_port}{CHAT}", json={**body, "messages": [{"role": "user", "content": "long one"}]},
                   headers={"authorization": "Bearer sk-test"})
        assert r.json()["choices"][0]["message"]["content"] == text
    assert len(upstream.requests[0].json["messages"][0]["content"]) == len(text)


def test_certificates_of_clients(secure, pki):
    ibid = secure(env={"IBID_TLS_CLIENT_CA_FILE": str(pki / "ca.pem")})
    data, _ = get(ibid.tls_port, trusting(pki, "good"))
    assert data.startswith(b"HTTP/1.1 200")
    for name in (None, "self", "expired"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            data, _ = get(ibid.tls_port, trusting(pki, name))
            assert data, "closed without an alert"
    assert ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="certificate"}') == 3
    assert "the client shows no certificate" in ibid.read_log()


def test_the_admin_listener(make_ibid, upstream, files, pki, tmp_path):
    admin = free_port()
    config = f"""
listen: 127.0.0.1:{free_port()}
admin: {{listen: "tls:127.0.0.1:{admin}"}}
tls: {{cert_file: {files}/server.crt, key_file: {files}/server.key}}
data_dir: {tmp_path}/data
encoder: {{model: "off"}}
local: {{model: "off"}}
upstream: {{url: "{upstream.url}"}}
"""
    (tmp_path / "ibid.yaml").write_text(config)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    run = lambda *words: subprocess.run([BIN, *words, "-c", str(tmp_path / "ibid.yaml")], env=env, capture_output=True, text=True, timeout=30)
    with open(tmp_path / "log", "w") as log:
        p = subprocess.Popen([BIN, "serve", "-c", str(tmp_path / "ibid.yaml")], env=env, stdout=log, stderr=log)
    try:
        until(lambda: run("health").returncode == 0 or p.poll() is not None, "ibid to be healthy", 20)
        assert run("health").stdout.startswith("ready"), (tmp_path / "log").read_text()
        done = run("report")
        assert done.returncode == 0, done.stderr
        data, version = get(admin, trusting(pki), "/healthz")
        assert data.startswith(b"HTTP/1.1 200") and version == "TLSv1.3"
        data, _ = get(admin, trusting(pki), "/admin/v1/stats")
        assert data.startswith(b"HTTP/1.1 401")
        data, _ = get(admin, trusting(pki), "/metrics")
        assert b'ibid_tls_handshakes_total{listener="admin",outcome="full"}' in data
        # Another's certificate in the settings is nobody that `health` trusts.
        install(pki, "self", files)
        done = run("health")
        assert done.returncode == 1 and "certificate verify failed" in done.stderr, done
    finally:
        p.terminate()
        assert p.wait(30) == 0


def test_plain_http_is_told_so(secure):
    ibid = secure()
    r = ibid.request("POST", CHAT, "x" * 200_000, port=ibid.tls_port)
    assert r.status == 400 and r.headers["content-type"].startswith("text/plain") and b"https://" in r.body
    assert ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="plain"}') == 1


def test_silent_clients_are_cut_and_bounded(secure, pki):
    ibid = secure(env={"IBID_TLS_HANDSHAKE_TIMEOUT_MS": "400", "IBID_TLS_HANDSHAKES_MAX": "5"})
    held = [socket.create_connection(("127.0.0.1", ibid.tls_port), 5) for _ in range(8)]
    until(lambda: ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="refused"}') == 3, "those over the limit to be closed")
    for s in held:
        s.settimeout(5)
        assert s.recv(1) == b""
        s.close()
    assert ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="timeout"}') == 5
    data, _ = get(ibid.tls_port, trusting(pki))
    assert data.startswith(b"HTTP/1.1 200")
    assert ibid.metric("ibid_tls_handshakes") == 0


def test_a_truncated_request_is_no_request(secure, pki, upstream):
    ibid = secure()
    body = b'{"model":"m","messages":[{"role":"user","content":"cut"}]}'
    with socket.create_connection(("127.0.0.1", ibid.tls_port), 5) as s:
        t = trusting(pki).wrap_socket(s, server_hostname="127.0.0.1")
        t.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body[:-5])
        time.sleep(0.1)
        t.close()
    until(lambda: ibid.metric("ibid_requests_in_flight") == 0, "the request to end")
    assert not upstream.requests


def test_renewal_under_load(secure, pki, files):
    """New certificates every second, bad ones among them, while clients go on: not one request fails."""
    ibid = secure()
    assert ask(ibid, "again", model="m").status == 200
    stop, failed, counts = threading.Event(), [], [0, 0]
    ctx = trusting(pki)
    ctx.check_hostname = False  # one of the certificates is for another name

    def fresh_connections():
        while not stop.is_set():
            try:
                data, _ = get(ibid.tls_port, ctx)
                assert data.startswith(b"HTTP/1.1 200"), data[:100]
                counts[0] += 1
            except Exception as e:
                failed.append(repr(e))

    def kept_connection():
        try:
            with httpx2.Client(verify=ctx, timeout=30) as c:
                while not stop.is_set():
                    r = c.post(f"https://127.0.0.1:{ibid.tls_port}{CHAT}", json={"model": "m", "messages": [{"role": "user", "content": "again"}]},
                               headers={"authorization": "Bearer sk-test"})
                    assert r.status_code == 200
                    counts[1] += 1
        except Exception as e:
            failed.append(repr(e))

    threads = [threading.Thread(target=t) for t in (fresh_connections, fresh_connections, kept_connection)]
    for t in threads:
        t.start()
    names = []
    for name in ("name", "expired", "good", "name"):
        install(pki, name, files)
        time.sleep(2.5)
        names.append(shown(ibid.tls_port, pki))
    (files / "server.key").write_text("no key")
    time.sleep(2.5)
    names.append(shown(ibid.tls_port, pki))
    stop.set()
    for t in threads:
        t.join(30)
    assert not failed, failed[:3]
    assert min(counts) > 20, counts
    assert names == ["name", "name", "good", "name", "name"]
    assert ibid.metric('ibid_tls_reloads_total{result="taken"}') >= 3
    assert ibid.metric('ibid_tls_reloads_total{result="refused"}') >= 2
    assert "tls_certificate_refused" in ibid.read_log() and "expired" in ibid.read_log()


# --- settings ------------------------------------------------------------------------------------


def check(env, tmp_path):
    return subprocess.run([BIN, "check", "--quiet"], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env}, capture_output=True, text=True, timeout=30)


def test_check_reads_the_files(pki, files, tmp_path):
    env = {"IBID_LISTEN": "tls:127.0.0.1:0", "IBID_TLS_CERT_FILE": str(files / "server.crt"), "IBID_TLS_KEY_FILE": str(files / "server.key")}
    done = check(env, tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    (files / "server.key").chmod(0o644)
    done = check(env, tmp_path)
    assert done.returncode == 0 and "can be read by everybody" in done.stderr
    for name, words in (("self", "warning: tls.cert_file: the certificate expires in"), ("expired", "expired at 2020-01-02"), ("future", "not valid before 2048-01-01")):
        install(pki, name, files)
        done = check(env, tmp_path)
        assert words in done.stderr and done.returncode == (0 if name == "self" else 1), done
    install(pki, "good", files)
    for change, words in (({"IBID_TLS_KEY_FILE": str(pki / "name.key")}, "is not that of the certificate"),
                          ({"IBID_TLS_CERT_FILE": "/nonexistent.pem"}, "'/nonexistent.pem': No such file"),
                          ({"IBID_TLS_CERT_FILE": ""}, "an address that begins with tls: needs a certificate"),
                          ({"IBID_LISTEN": "127.0.0.1:0"}, "has no effect unless"),
                          ({"IBID_TLS_CLIENT_CA_FILE": "/nonexistent.pem"}, "authorities of clients in '/nonexistent.pem'"),
                          ({"IBID_ADMIN_CLIENT_CA_FILE": str(pki / "ca.pem")}, "admin.client_ca_file: has no effect")):
        done = check({**env, **change}, tmp_path)
        assert done.returncode in (1, 2) and words in done.stderr, done
    openssl(pki, "pkey", "-in", "good.key", "-aes128", "-passout", "pass:secret", "-out", "sealed.key")
    done = check({**env, "IBID_TLS_KEY_FILE": str(pki / "sealed.key")}, tmp_path)
    assert done.returncode == 1 and "cannot use the key" in done.stderr


def test_an_expired_certificate_is_named_and_can_be_renewed(secure, pki, files):
    install(pki, "expired", files)
    ibid = secure()
    assert "expired" in ibid.admin("/readyz").json["parts"]["tls"]
    with pytest.raises(ssl.SSLError):
        get(ibid.tls_port, trusting(pki))
    install(pki, "good", files)
    until(lambda: ibid.metric('ibid_tls_reloads_total{result="taken"}') == 1, "renewal")
    assert get(ibid.tls_port, trusting(pki))[0].startswith(b"HTTP/1.1 200")


def test_a_reload_reads_the_certificates_too(secure, pki, files):
    ibid = secure(env={"IBID_TLS_RELOAD_S": "0"})
    before = shown(ibid.tls_port, pki)
    (files / "server.crt").write_text("no certificate")
    refused = ibid.request("POST", "/admin/v1/reload", "", {"authorization": f"Bearer {ibid.token()}"}, ibid.admin_port)
    assert refused.status == 422 and any(r.startswith("tls: ") for r in refused.json["error"]["reasons"]), refused.body
    assert shown(ibid.tls_port, pki) == before
    install(pki, "name", files)
    assert ibid.request("POST", "/admin/v1/reload", "", {"authorization": f"Bearer {ibid.token()}"}, ibid.admin_port).status == 200
    assert shown(ibid.tls_port, pki) == "name" != before
