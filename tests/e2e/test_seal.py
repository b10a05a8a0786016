"""Stored answers are sealed: nobody reads them without the key, another key loses nothing, and what was
not sealed by a key of ours is not served."""
import os
import subprocess

import pytest

from client import until
from conftest import BIN, free_port
from upstream import answer

A, B = "aa" * 32, "bb" * 32
KEY = "sk-known"
CANARY = "ornithorhynchus"


def keys(tmp_path, *lines, name="keys"):
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return path


@pytest.fixture
def env(tmp_path):
    (tmp_path / "accept").write_text(KEY + "\n")
    (tmp_path / "secret").write_text("a secret of thirty-two bytes or so")
    (tmp_path / "secret").chmod(0o600)
    return {"IBID_UPSTREAM_ACCEPT_FILE": str(tmp_path / "accept"), "IBID_SECRET_FILE": str(tmp_path / "secret"),
            "IBID_STORE_MEMORY_ENTRIES_MAX": "0", "IBID_STORE_DEADLINE_MS": "10000"}


def ask(ibid, question):
    r = ibid.chat(question, key=KEY)
    assert r.status == 200 and r.text == f"{CANARY} for {question}", r.body
    return r.source


def stored(ibid, question):
    assert ask(ibid, question) == "upstream"
    until(lambda: ask(ibid, question) == "exact", "its being stored")


def restart(ibid):
    ibid.stop()
    ibid.start()


def on_disk(folder):
    r = subprocess.run(["grep", "-rqa", CANARY, str(folder)])
    assert r.returncode in (0, 1)
    return r.returncode == 0


def redis_keys(redis):
    out = subprocess.run(["redis-cli", "-p", str(redis.port), "--scan"], capture_output=True, text=True, check=True).stdout
    return {name for name in out.split() if name.startswith("ibid:e:")}


@pytest.fixture
def answering(upstream):
    upstream.default = lambda r: answer(f"{CANARY} for {r.json['messages'][-1]['content']}", usage=(3, 5))
    return upstream


def test_the_disk_shows_nothing(tmp_path, make_ibid, answering, env):
    for sealed in (False, True):
        own = {"IBID_STORE_SEAL_KEY_FILE": str(keys(tmp_path, A))} if sealed else {}
        ibid = make_ibid(answering, env={**env, **own})
        stored(ibid, f"what is an {CANARY}")
        restart(ibid)
        assert ask(ibid, f"what is an {CANARY}") == "exact"
        ibid.stop()
        assert on_disk(ibid.dir / "data") != sealed  # the folder has the ledger, the token and all the rest too


def test_keys_come_and_go_and_nothing_is_lost(tmp_path, make_ibid, answering, env):
    path = keys(tmp_path, A)
    ibid = make_ibid(answering, env={**env, "IBID_STORE_SEAL_KEY_FILE": str(path)})
    stored(ibid, "one")
    keys(tmp_path, B)
    restart(ibid)
    part = ibid.admin("/readyz").json
    assert part["status"] == "degraded" and "store.seal_key_file does not hold" in str(part["parts"]["store"]), part
    assert ask(ibid, "one") == "upstream"  # served, and not from a store that can not be read
    del ibid.env["IBID_STORE_SEAL_KEY_FILE"]
    restart(ibid)
    assert "store.seal_key_file does not hold" in str(ibid.admin("/readyz").json["parts"]["store"])
    ibid.env["IBID_STORE_SEAL_KEY_FILE"] = str(keys(tmp_path, "# the new one", B, "# the old one", A))
    restart(ibid)
    assert ask(ibid, "one") == "exact"
    stored(ibid, "two")
    assert ibid.metric("ibid_store_unreadable_total") == 0


def test_what_was_stored_in_the_clear_is_not_served(tmp_path, make_ibid, answering, env):
    ibid = make_ibid(answering, env=env)
    stored(ibid, "one")
    ibid.env["IBID_STORE_SEAL_KEY_FILE"] = str(keys(tmp_path, A))
    restart(ibid)
    assert ask(ibid, "one") == "upstream"
    assert ibid.metric("ibid_store_unreadable_total") == 1 and ibid.metric("ibid_store_corrupt_total") == 0
    until(lambda: ask(ibid, "one") == "exact", "its being stored")


def test_a_shared_redis_sees_and_gives_nothing(tmp_path, make_ibid, answering, env, redis):
    env = {**env, "IBID_STORE_URL": redis.url}
    sealed = {**env, "IBID_STORE_SEAL_KEY_FILE": str(keys(tmp_path, A))}
    one, two, stranger = (make_ibid(answering, env=e) for e in (sealed, sealed, env))
    for i in (one, two, stranger):
        until(lambda i=i: i.metric("ibid_store_up") == 1, "the store")
    stored(one, "shared")
    assert ask(two, "shared") == "exact"
    names = list(redis_keys(redis))
    assert len(names) == 1
    value = subprocess.run(["redis-cli", "-p", str(redis.port), "GET", names[0]], capture_output=True).stdout
    assert value.startswith(b"ibsl") and CANARY.encode() not in value
    # Whoever can write to Redis, and has no key, can not make an answer of it.
    stored(stranger, "planted")
    assert ask(one, "planted") == "upstream"
    assert one.metric("ibid_store_unreadable_total") >= 1
    planted = redis_keys(redis) - {names[0]}
    # A sealed answer that is put in another question's place is a miss there.
    stored(one, "another")
    (other,) = redis_keys(redis) - {names[0]} - planted
    subprocess.run(["redis-cli", "-p", str(redis.port), "COPY", names[0], other, "REPLACE"], check=True, capture_output=True)
    assert ask(two, "another") == "upstream" and two.metric("ibid_store_corrupt_total") >= 1  # a lease looks once more


def test_out_and_in_again(tmp_path, make_ibid, answering, env):
    ibid = make_ibid(answering, env={**env, "IBID_STORE_SEAL_KEY_FILE": str(keys(tmp_path, A))})
    stored(ibid, "one")
    ibid.stop()
    run = lambda *args, env: subprocess.run([BIN, "cache", *args], env=env, capture_output=True, text=True, timeout=60)  # noqa: E731
    out = run("export", "-o", str(tmp_path / "out.jsonl"), env=ibid.env)
    assert out.returncode == 0, out.stderr
    # Under another key, elsewhere: how all that is stored is sealed anew.
    other = {**ibid.env, "IBID_DATA_DIR": str(tmp_path / "other"), "IBID_STORE_SEAL_KEY_FILE": str(keys(tmp_path, B, name="b"))}
    back = run("import", str(tmp_path / "out.jsonl"), env=other)
    assert back.returncode == 0, back.stderr
    assert ask(make_ibid(answering, env={k: other[k] for k in other if k not in ("IBID_LISTEN", "IBID_ADMIN_LISTEN")}), "one") == "exact"
    without = {k: v for k, v in ibid.env.items() if k != "IBID_STORE_SEAL_KEY_FILE"}
    refused = run("export", env=without)
    assert refused.returncode == 1 and "store.seal_key_file does not hold" in refused.stderr


@pytest.mark.parametrize("text, mode, why", [
    ("", 0o600, "there is no key in it"),
    ("aabb\n", 0o600, "line 1: a key is 64 hexadecimal digits"),
    (f"{A}\n{A}\n", 0o600, "line 2: this key is there twice"),
    (f"{A}\n", 0o644, "it can be read by everybody"),
    (None, 0, "No such file"),
    ("#" * 9000, 0o600, "longer than 8 KiB"),
])
def test_a_file_of_no_use_is_refused(tmp_path, text, mode, why):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IBID_STORE_SEAL_KEY_FILE": str(path),
           "IBID_LISTEN": f"127.0.0.1:{free_port()}", "IBID_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
           "IBID_ENCODER_MODEL": "off", "IBID_LOCAL_MODEL": "off"}
    for command in ("check", "serve"):
        r = subprocess.run([BIN, command], env=env, capture_output=True, text=True, timeout=30)
        assert r.returncode == 1 and "store.seal_key_file" in r.stderr and why in r.stderr, (command, r.stderr)
        assert A not in r.stderr
