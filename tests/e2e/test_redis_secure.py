"""A Redis that wants to know who asks: TLS both ways, a user of its own with the least of rights, passwords
from a file that changes."""
import shutil
import time

import pytest

from redis_servers import free_ports, make_server, needs_redis  # noqa: F401
from test_redis import answering, chat, degraded, env, fill, private, wait_up  # noqa: F401
from test_shutdown import base_env, start_failing
from test_tls import pki  # noqa: F401

pytestmark = [needs_redis, pytest.mark.skipif(not shutil.which("openssl"), reason="openssl not there: apt install openssl")]

# What docs/operations.md names; a key of anybody else is out of reach.
RIGHTS = "~ibid:* resetchannels -@all +get +set +unlink +scan +xadd +xread +ping +hello +auth +select"


@pytest.fixture
def secure(tmp_path, make_server, pki):  # noqa: F811
    """TLS only, client certificates asked for, accounts by an ACL file."""
    port = free_ports(1)[0]
    acl = tmp_path / "users.acl"
    acl.write_text(f"user default off\nuser admin on >root-word ~* &* +@all\nuser ibid on >first-word {RIGHTS}\n")
    return make_server("secure", port, lines=[
        "port 0", f"tls-port {port}", f"tls-cert-file {pki}/good.crt", f"tls-key-file {pki}/good.key",
        f"tls-ca-cert-file {pki}/ca.pem", "tls-auth-clients yes", f"aclfile {acl}"],
        cli=["--tls", "--cacert", pki / "ca.pem", "--cert", pki / "good.crt", "--key", pki / "good.key",
             "--user", "admin", "--pass", "root-word", "--no-auth-warning"])


@pytest.fixture
def access(env, secure, pki, tmp_path):  # noqa: F811
    private(tmp_path / "word", "first-word\n")
    return env | {"IBID_STORE_URL": f"rediss://127.0.0.1:{secure.port}", "IBID_STORE_CA_FILE": str(pki / "ca.pem"),
                  "IBID_STORE_CERT_FILE": str(pki / "good.pem"), "IBID_STORE_USER": "ibid",
                  "IBID_STORE_PASSWORD_FILE": str(tmp_path / "word")}


def trouble(ibid, word):
    end = time.monotonic() + 8
    while word not in ibid.admin("/readyz").body.decode():
        assert time.monotonic() < end, ibid.admin("/readyz").body
        time.sleep(0.02)
    assert ibid.metric("ibid_store_up") == 0


def test_tls_both_ways_and_an_account_with_few_rights(make_ibid, upstream, secure, access):
    answering(upstream)
    one, two = make_ibid(upstream, env=access), make_ibid(upstream, env=access)
    wait_up(one)
    wait_up(two)
    questions = [f"q {i}" for i in range(20)]
    fill(one, questions)
    assert [chat(two, q) for q in questions] == ["exact"] * 20
    seen = two.read_log() + two.admin("/metrics").body.decode() + two.admin("/admin/v1/config", two.token()).body.decode()
    assert "first-word" not in seen and "redis_news_refused" not in seen
    # Whatever ibid asked of Redis, it had the right to.
    assert secure.cli("ACL", "LOG") == ""


def test_a_changed_password_needs_no_restart(make_ibid, upstream, secure, access, tmp_path):
    answering(upstream)
    ibid = make_ibid(upstream, env=access)
    wait_up(ibid)
    fill(ibid, ["a"])
    secure.cli("ACL", "SETUSER", "ibid", "resetpass", ">second-word")
    secure.cli("CLIENT", "KILL", "USER", "ibid")
    trouble(ibid, "WRONGPASS")
    assert chat(ibid, "while it is wrong") == "upstream"
    private(tmp_path / "word", "second-word")
    wait_up(ibid, timeout=8)
    assert chat(ibid, "a") == "exact"
    seen = ibid.read_log() + ibid.admin("/readyz").body.decode()
    assert "first-word" not in seen and "second-word" not in seen
    (tmp_path / "word").unlink()
    secure.cli("CLIENT", "KILL", "USER", "ibid")
    trouble(ibid, "store.password_file")


@pytest.mark.parametrize("change,word", [
    ({"IBID_STORE_CERT_FILE": ""}, "certificate required"),
    ({"IBID_STORE_CERT_FILE": "{pki}/self.pem"}, "unknown ca"),
    ({"IBID_STORE_CA_FILE": "{pki}/self.crt"}, "certificate verify failed"),
    ({"IBID_STORE_USER": "nobody"}, "WRONGPASS")], ids=["no certificate", "another's", "another authority", "no such user"])
def test_who_is_not_let_in_serves_without_a_store(make_ibid, upstream, secure, access, pki, change, word):  # noqa: F811
    answering(upstream)
    ibid = make_ibid(upstream, env=access | {k: v.format(pki=pki) for k, v in change.items()})
    assert chat(ibid, "a") == "upstream" and chat(ibid, "b") == "upstream"
    trouble(ibid, "rediss://127.0.0.1")
    assert chat(ibid, "c") == "upstream" and degraded(ibid)
    if word not in ("certificate required", "unknown ca"):  # TLS 1.3 tells a client after its handshake, or cuts
        trouble(ibid, word)


@pytest.mark.parametrize("settings,word", [
    ({"IBID_STORE_CERT_FILE": "/nowhere/c.pem"}, "/nowhere/c.pem"),
    ({"IBID_STORE_CERT_FILE": "{pki}/good.crt", "IBID_STORE_KEY_FILE": "{pki}/self.key"}, "self.key"),
    ({"IBID_STORE_USER": "u"}, "store.password_file")], ids=["no file", "another's key", "no password"])
def test_settings_that_cannot_work_stop_the_start(tmp_path, pki, settings, word):  # noqa: F811
    done = start_failing(base_env(tmp_path) | {"IBID_STORE_URL": "rediss://127.0.0.1:1"}
                         | {k: v.format(pki=pki) for k, v in settings.items()})
    assert done.returncode != 0 and word in done.stderr, done.stderr
