"""Whom a client's certificate makes of a client: whose answers it shares, whose name stands in the audit log; and
those that their authority has revoked."""
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from client import until
from conftest import BIN, free_port
from test_audit import lines
from test_tls import openssl, pki  # noqa: F401 (a fixture)
from test_tls_listener import CHAT, files, get, secure, trusting  # noqa: F401 (fixtures)
from upstream import answer

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl not there: apt install openssl")


@pytest.fixture
def office(pki, tmp_path):
    """An authority of the test's own, in the same state: it can issue and revoke."""
    d = tmp_path / "office"
    shutil.copytree(pki, d)
    return d


def issue(office, name, san=None):
    more = ["-addext", f"subjectAltName={san}"] if san else []
    openssl(office, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "c", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", f"/CN={name}", *more)
    openssl(office, "ca", "-batch", "-config", "c", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.crt",
            "-days", "2", "-notext")
    (office / f"{name}.pem").write_text((office / f"{name}.crt").read_text() + (office / f"{name}.key").read_text())


def list_revoked(office, *names, hours=24):
    for name in names:
        openssl(office, "ca", "-config", "c", "-cert", "ca.pem", "-keyfile", "ca.key", "-revoke", f"{name}.crt")
    openssl(office, "ca", "-config", "c", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl", "-crlhours", str(hours), "-out", "crl.new")
    os.replace(office / "crl.new", office / "crl.pem")


def ask(ibid, office, client, question, key, port=None):
    body = json.dumps({"model": "stub-model", "messages": [{"role": "user", "content": question}]})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    if client is None:
        c = http.client.HTTPConnection("127.0.0.1", ibid.port, timeout=20)
    else:
        c = http.client.HTTPSConnection("127.0.0.1", ibid.tls_port, context=trusting(office, client), timeout=20)
    try:
        c.request("POST", CHAT, body, headers)
        r = c.getresponse()
        assert r.status == 200, r.read()
        r.read()
        return r.headers["x-ibid-source"]
    finally:
        c.close()


def refused(ibid, office, client):
    try:
        return not get(ibid.tls_port, trusting(office, client))[0]
    except (ssl.SSLError, ConnectionError):
        return True


def test_who_has_the_same_name_shares(secure, office, tmp_path, upstream):
    upstream.default = lambda r: answer("fine")
    (tmp_path / "accept").write_text("sk-1\nsk-2\n")
    issue(office, "one", "DNS:ignored.test,URI:spiffe://corp/billing")
    issue(office, "renewed", "URI:spiffe://corp/billing,DNS:another.test")
    issue(office, "billing", "DNS:spiffe://corp/billing")  # the same text, and not the same name
    issue(office, "plain")
    ibid = secure(env={"IBID_TLS_CLIENT_CA_FILE": str(office / "ca.pem"), "IBID_CACHE_SCOPE": "certificate",
                       "IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "accept")})
    assert ask(ibid, office, "one", "q", "sk-1") == "upstream"
    assert ask(ibid, office, "one", "q", "sk-2") == "exact"
    assert ask(ibid, office, "renewed", "q", "sk-2") == "exact"
    for other in ("billing", "name", "plain"):
        assert ask(ibid, office, other, "q", "sk-1") == "upstream", other
        assert ask(ibid, office, other, "q", "sk-2") == "exact", other
    # Without a certificate: as ever, by what they authenticate with.
    assert ask(ibid, office, None, "q", "sk-1") == "upstream"
    assert ask(ibid, office, None, "q", "sk-2") == "upstream"
    assert ask(ibid, office, None, "q", "sk-1") == "exact"
    # What the upstream has not accepted opens nothing, whoever it is.
    assert ask(ibid, office, "one", "q", "sk-unknown") == "upstream"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_is_still_somebody(secure, office, tmp_path, upstream, version):
    upstream.default = lambda r: answer("fine")
    (tmp_path / "accept").write_text("sk-1\nsk-2\n")
    ibid = secure(env={"IBID_TLS_CLIENT_CA_FILE": str(office / "ca.pem"), "IBID_CACHE_SCOPE": "certificate",
                       "IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "accept")})
    ctx = trusting(office, "good")
    ctx.minimum_version = ctx.maximum_version = version
    body = json.dumps({"model": "stub-model", "messages": [{"role": "user", "content": "q"}]})
    sources, session = [], None
    for key in ("sk-1", "sk-2"):
        with socket.create_connection(("127.0.0.1", ibid.tls_port), 10) as s, ctx.wrap_socket(s, server_hostname="127.0.0.1", session=session) as t:
            assert t.session_reused == (session is not None)
            t.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            data = b""
            while piece := t.recv(65536):
                data += piece
            session = t.session
        sources.append(next(line.split(b": ")[1] for line in data.split(b"\r\n") if line.lower().startswith(b"x-ibid-source")))
    assert sources == [b"upstream", b"exact"]


def test_the_setting_needs_its_authorities(tmp_path):
    for name, value, why in (("CACHE_SCOPE", "certificate", "tls.client_ca_file"), ("TLS_CLIENT_CRL_FILE", "/x", "has no effect"),
                             ("ADMIN_OWN_KEY_FILE", "/x", "admin.own_cert_file")):
        r = subprocess.run([BIN, "check"], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), f"IBID_{name}": value},
                           capture_output=True, text=True)
        assert r.returncode == 2 and why in r.stderr, r.stderr


def test_revoked_ones(secure, office):
    list_revoked(office, "name")
    ibid = secure(env={"IBID_TLS_CLIENT_CA_FILE": str(office / "ca.pem"), "IBID_TLS_CLIENT_CRL_FILE": str(office / "crl.pem")})
    assert not refused(ibid, office, "good") and refused(ibid, office, "name")
    until(lambda: "certificate revoked" in ibid.read_log(), "a word in the log")
    # A new list holds from the next look at the files on, also for who could have resumed a session.
    issue(office, "leaver", "DNS:leaver.test")
    ctx = trusting(office, "leaver")
    ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", ibid.tls_port), 10) as s, ctx.wrap_socket(s, server_hostname="127.0.0.1") as t:
        session = t.session
    list_revoked(office, "leaver")
    until(lambda: ibid.metric('ibid_tls_reloads_total{result="taken"}') >= 1, "the new list")
    assert refused(ibid, office, "leaver") and not refused(ibid, office, "good")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", ibid.tls_port), 10) as s, ctx.wrap_socket(s, server_hostname="127.0.0.1", session=session) as t:
            t.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert t.recv(1), "closed without an alert"
    # One that is no list is refused, and the one from before stays.
    (office / "crl.new").write_text("not a list")
    os.replace(office / "crl.new", office / "crl.pem")
    until(lambda: ibid.metric('ibid_tls_reloads_total{result="refused"}') >= 1, "the refusal")
    assert refused(ibid, office, "leaver") and not refused(ibid, office, "good")
    assert "list of revoked certificates" in ibid.read_log()


def test_a_list_that_is_out_of_date_opens_nothing(secure, office):
    openssl(office, "ca", "-config", "c", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl", "-crl_lastupdate", "20200101000000Z",
            "-crl_nextupdate", "20200102000000Z", "-out", "crl.pem")
    ibid = secure(env={"IBID_TLS_CLIENT_CA_FILE": str(office / "ca.pem"), "IBID_TLS_CLIENT_CRL_FILE": str(office / "crl.pem")})
    assert refused(ibid, office, "good")
    assert "CRL has expired" in ibid.read_log()


def test_commands_show_their_own(make_ibid, upstream, office, tmp_path):
    admin, log = free_port(), tmp_path / "audit.log"
    shutil.copy(office / "good.key", tmp_path / "server.key")
    (tmp_path / "server.key").chmod(0o600)
    config = f"""
listen: 127.0.0.1:{free_port()}
admin: {{listen: "tls:127.0.0.1:{admin}", client_ca_file: {office}/ca.pem}}
tls: {{cert_file: {office}/good.crt, key_file: {tmp_path}/server.key}}
data_dir: {tmp_path}/data
audit_log: {{path: {log}}}
encoder: {{model: "off"}}
local: {{model: "off"}}
upstream: {{url: "{upstream.url}"}}
"""
    (tmp_path / "ibid.yaml").write_text(config)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]

    def run(*words, own=None):
        more = {"IBID_ADMIN_OWN_CERT_FILE": str(own)} if own else {}
        return subprocess.run([BIN, *words, "-c", str(tmp_path / "ibid.yaml")], env={**env, **more}, capture_output=True, text=True, timeout=30)
    own = office / "name.pem"
    with open(tmp_path / "log", "w") as out:
        p = subprocess.Popen([BIN, "serve", "-c", str(tmp_path / "ibid.yaml")], env=env, stdout=out, stderr=out)
    try:
        until(lambda: run("health", own=own).returncode == 0 or p.poll() is not None, "ibid to be healthy", 20)
        assert run("report", own=own).returncode == 0
        assert run("health").returncode == 1
        assert run("health", own=office / "self.crt").returncode == 1
        gone = run("health", own=tmp_path / "none.pem")
        assert gone.returncode == 1 and "none.pem" in gone.stderr, gone.stderr
        get(admin, trusting(office, "name"), "/admin/v1/stats")
        (one,) = lines(log, 1)
        assert (one["action"], one["certificate"]) == ("authenticate", "dns:other.test")
    finally:
        p.terminate()
        assert p.wait(30) == 0
