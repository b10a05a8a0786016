"""Several certificates on one listener: who asks for a name is shown the one that has it."""
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from client import until
from conftest import BIN
from test_client_certs import issue, office  # noqa: F401 (a fixture)
from test_tls import pki  # noqa: F401 (a fixture)
from test_tls_listener import files, secure, trusting  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl not there: apt install openssl")


def shown(port, office, name, client=None, alpn=None, version=None):
    """The common name of the certificate that `name` is answered with, and what ALPN chose."""
    ctx = trusting(office, client)
    ctx.check_hostname = False
    if alpn:
        ctx.set_alpn_protocols(alpn)
    if version:
        ctx.minimum_version = ctx.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), 10) as s, ctx.wrap_socket(s, server_hostname=name) as t:
        t.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\nConnection: close\r\n\r\n" if alpn is None else b"")
        if alpn is None:
            assert t.recv(100).startswith(b"HTTP/1.1 ")
        return dict(x[0] for x in t.getpeercert()["subject"])["commonName"], t.selected_alpn_protocol()


@pytest.fixture
def many(secure, office, tmp_path):
    """An ibid with three certificates: a file's, a folder's, and the first."""
    issue(office, "wild", "DNS:*.wild.test")
    mounted = tmp_path / "mounted"
    mounted.mkdir()

    def mount(name):
        for kind in ("crt", "key"):
            shutil.copy(office / f"{name}.{kind}", mounted / f"new.{kind}")
            (mounted / f"new.{kind}").chmod(0o600)
            os.replace(mounted / f"new.{kind}", mounted / f"tls.{kind}")
    mount("wild")
    (office / "name.pem").chmod(0o600)
    start = lambda **env: secure(env={"IBID_TLS_MORE_CERT_FILES": f"{office}/name.pem {mounted}", **env})  # noqa: E731
    start.mount = mount
    return start


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_name_has_its_certificate(many, office, version):
    ibid = many()
    for name, want in (("localhost", "good"), ("other.test", "name"), ("OTHER.test", "name"), ("a.wild.test", "wild"),
                       ("a.b.wild.test", "good"), ("wild.test", "good"), ("nobody.test", "good"), (None, "good"), ("127.0.0.1", "good")):
        assert shown(ibid.tls_port, office, name, version=version)[0] == want, name
    for name, want in (("localhost", "good"), ("other.test", "name")):
        assert shown(ibid.tls_port, office, name, alpn=["h2", "http/1.1"]) == (want, "h2")


def test_clients_are_asked_by_whatever_name(many, office):
    ibid = many(IBID_TLS_CLIENT_CA_FILE=str(office / "ca.pem"))
    for name in ("localhost", "other.test", "a.wild.test"):
        assert shown(ibid.tls_port, office, name, client="good")
        for client in (None, "self"):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                shown(ibid.tls_port, office, name, client=client)
    assert ibid.metric('ibid_tls_handshakes_total{listener="clients",outcome="certificate"}') == 6


def test_any_of_them_is_renewed(many, office):
    ibid = many()
    assert shown(ibid.tls_port, office, "a.wild.test")[0] == "wild"
    issue(office, "next", "DNS:*.wild.test")
    with socket.create_connection(("127.0.0.1", ibid.tls_port), 10):  # a handshake that begins before
        many.mount("next")
        until(lambda: ibid.metric('ibid_tls_reloads_total{result="taken"}') >= 1, "renewal")
    assert shown(ibid.tls_port, office, "a.wild.test")[0] == "next"
    many.mount("expired")
    until(lambda: ibid.metric('ibid_tls_reloads_total{result="refused"}') >= 1, "refusal")
    assert shown(ibid.tls_port, office, "a.wild.test")[0] == "next" and shown(ibid.tls_port, office, "other.test")[0] == "name"


def test_check_reads_them_all(office, tmp_path):
    base = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IBID_LISTEN": "tls:127.0.0.1:0", "IBID_TLS_CERT_FILE": str(office / "good.crt"),
            "IBID_TLS_KEY_FILE": str(office / "good.key")}
    check = lambda more: subprocess.run([BIN, "check", "-q"], env={**base, "IBID_TLS_MORE_CERT_FILES": more}, capture_output=True, text=True)  # noqa: E731
    assert check(f"{office}/name.pem").returncode == 0
    for more, why in ((f"{office}/none.pem", "none.pem"), (f"{office}/name.crt", "name.crt"), (f"{office}/expired.pem", "expired"),
                      (str(tmp_path), "tls.crt"), (" ".join([f"{office}/name.pem"] * 17), "more than 16")):
        r = check(more)
        assert r.returncode in (1, 2) and why in r.stderr, (more, r.stderr)
