"""`cache.index: redis`: Redis 8 keeps the vectors of all replicas in vector sets. What one has stored is a
semantic hit at the other at once, and neither holds an index."""
import signal
import time

import pytest

from client import post, prove, until, user
from conftest import MODELS, needs_encoder
from redis_servers import loses_a_master, make_cluster, make_server, make_watched, needs_redis, redis8  # noqa: F401
from test_redis import KEY, answering, chat, env, fill, right, wait_up  # noqa: F401
from test_removal import entries
from test_replicas import paraphrase, question
from test_shutdown import base_env, start_failing

pytestmark = needs_encoder


@pytest.fixture
def settings(env):  # noqa: F811
    """With a deadline that a busy machine keeps: what is tested is the way, not the time."""
    return env | {"IBID_STORE_DEADLINE_MS": "1000", "IBID_CACHE_INDEX": "redis"}


@pytest.fixture
def server(make_server, redis8):  # noqa: F811
    return make_server("redis8", programs=redis8)


def open_ibid(make_ibid, upstream, settings, url, **more):
    ibid = make_ibid(upstream, encoder=True, env=settings | {"IBID_STORE_URL": url} | more)
    wait_up(ibid)
    until(lambda: ibid.metric("ibid_index_redis_up") == 1, "the vectors of Redis")
    return ibid


def keep(ibid, *numbers):
    """Stored without a look-up, whatever is near; and its vector is there."""
    before = ibid.metric("ibid_index_redis_adds_total")
    for i in numbers:
        r = post(ibid, user(question(i)), key=KEY, headers=[("x-ibid-cache", "no-cache")])
        assert (r.status, r.source) == (200, "upstream")
    ibid.wait_metric("ibid_index_redis_adds_total", before + len(numbers))


def ask(ibid, i, **headers):
    r = post(ibid, user(paraphrase(i)), key=KEY, headers=[(k.replace("_", "-"), v) for k, v in headers.items()])
    assert r.status == 200 and r.text in (right(question(i)), right(paraphrase(i))), r.body
    return r.source, r.headers["cache-status"]


def sets(server):
    return sorted(k for k in server.cli("KEYS", "*").split() if server.cli("TYPE", k) == "vectorset")


def cards(server):
    return sum(int(server.cli("VCARD", k)) for k in sets(server))


NO_STORE = {"x_ibid_cache": "no-store"}


@pytest.mark.parametrize("kind,name", [("int8", "v8"), ("float32", "v32")])
def test_two_replicas(make_ibid, upstream, server, settings, kind, name):
    answering(upstream)
    one, two = (open_ibid(make_ibid, upstream, settings, server.url, IBID_CACHE_INDEX_VECTORS=kind) for _ in range(2))
    keep(one, 0, 1, 2)
    source, status = ask(two, 1, **NO_STORE)
    assert source == "semantic", status
    hit = post(two, user(paraphrase(2)), key=KEY, headers=[("x-ibid-cache", "no-store")])
    # The cosine is that of the vectors themselves, not of what Redis made of them.
    here = post(one, user(paraphrase(2)), key=KEY, headers=[("x-ibid-cache", "no-store")])
    assert float(hit.headers["x-ibid-similarity"]) == float(here.headers["x-ibid-similarity"]) > 0.9
    # One set of the partition, kept as was asked for; no word of it between replicas, no index in either.
    (key,) = sets(server)
    assert key.startswith(f"ibid:{name}:{{") and len(key) == len(f"ibid:{name}:{{}}") + 64
    info = server.cli("VINFO", key).split()
    assert info[info.index("quant-type") + 1] == {"int8": "int8", "float32": "f32"}[kind]
    assert 0 < int(server.cli("PTTL", key)) <= 86400_000
    assert "ibid:stored" not in server.cli("KEYS", "*").split()
    for ibid in (one, two):
        assert ibid.metric("ibid_index_entries") == ibid.metric("ibid_index_bytes") == ibid.metric("ibid_store_entries_heard_total") == 0
        assert ibid.metric("ibid_index_ready") == 1 and ibid.metric("ibid_index_redis_failures_total") == 0
        assert ibid.stats()["index"]["backend"] == "redis"
    # One that comes later has nothing to learn; a question without neighbours is a miss, and says so.
    three = open_ibid(make_ibid, upstream, settings, server.url, IBID_CACHE_INDEX_VECTORS=kind)
    assert ask(three, 0, **NO_STORE)[0] == "semantic"
    r = post(three, user("What is the capital of Peru?"), key=KEY, headers=[("x-ibid-cache", "no-store")])
    assert r.source == "upstream" and "no_candidate" in r.headers["cache-status"], r.headers


def test_what_is_removed_is_found_by_nobody(make_ibid, upstream, server, settings):
    answering(upstream)
    one, two = (open_ibid(make_ibid, upstream, settings, server.url) for _ in range(2))
    keep(one, 0, 1, 2)
    assert ask(two, 0, **NO_STORE)[0] == "semantic"
    assert entries(two, "?all=1").json["removed"] == 3
    until(lambda: cards(server) == 0, "the vectors to go")
    assert ask(one, 0, **NO_STORE)[0] == "upstream"
    # What Redis itself has dropped is a miss, and its vector goes when somebody comes by.
    keep(one, 3, 4)
    for key in server.cli("KEYS", "ibid:e:*").split():
        server.cli("DEL", key)
    assert cards(server) == 2
    assert ask(two, 3, **NO_STORE)[0] == "upstream"
    until(lambda: cards(server) == 0, "the vectors to go")


def test_what_ends_by_itself_does_not_pile_up(make_ibid, upstream, server, settings):
    answering(upstream)
    ibid = open_ibid(make_ibid, upstream, settings, server.url)
    short = [("x-ibid-cache", "no-cache, ttl=1")]
    for i in range(40):
        assert post(ibid, user(question(i)), key=KEY, headers=short).source == "upstream"
    ibid.wait_metric("ibid_index_redis_adds_total", 40)
    keep(ibid, 200)  # of a day: the set stays
    time.sleep(1.1)
    (key,) = sets(server)
    assert int(server.cli("PTTL", key)) > 80000_000
    for i in range(100, 150):
        keep(ibid, i)
    # Nobody has asked for anything near them.
    until(lambda: cards(server) < 51 + 20, f"the dead to go: {cards(server)} of 91 are there")
    # A set with nothing to live for ends by itself.
    server.cli("FLUSHALL")
    assert post(ibid, user(question(0)), key=KEY, headers=short).source == "upstream"
    until(lambda: len(sets(server)) == 1, "the set")
    until(lambda: not sets(server), "the set to end", 5)


def test_redis_away_is_a_miss_within_the_deadline(make_ibid, upstream, server, settings):
    answering(upstream)
    ibid = open_ibid(make_ibid, upstream, settings | {"IBID_STORE_DEADLINE_MS": "100"}, server.url)
    keep(ibid, 0)
    assert ask(ibid, 0, **NO_STORE)[0] == "semantic"
    server.proc.send_signal(signal.SIGSTOP)
    try:
        seen = set()
        for _ in range(8):
            at = time.monotonic()
            source, status = ask(ibid, 0, **NO_STORE)
            assert source == "upstream" and time.monotonic() - at < 2, (source, status)
            seen.add(status)
        assert any("index_unavailable" in s for s in seen), seen
        assert ibid.metric("ibid_index_redis_failures_total") >= 3
    finally:
        server.proc.send_signal(signal.SIGCONT)
    until(lambda: ask(ibid, 0, **NO_STORE)[0] == "semantic", "Redis to be used again")
    server.kill()
    until(lambda: ibid.metric("ibid_index_redis_up") == 0, "the loss to be seen")
    assert ask(ibid, 0, **NO_STORE)[0] == "upstream"
    server.start()
    until(lambda: ibid.metric("ibid_index_redis_up") == 1 and ibid.metric("ibid_store_up") == 1, "Redis to be back")
    keep(ibid, 0)
    assert ask(ibid, 0, **NO_STORE)[0] == "semantic"


@needs_redis
def test_an_older_redis_is_refused_by_name(tmp_path, redis, make_ibid, upstream, settings):
    done = start_failing(base_env(tmp_path) | settings | {"IBID_STORE_URL": redis.url, "IBID_ENCODER_MODEL": "all-minilm-l6-v2", "IBID_MODEL_DIR": MODELS})
    version = next(line.split(":")[1] for line in redis.command("INFO", "server").decode().splitlines() if line.startswith("redis_version"))
    assert done.returncode == 1, done
    assert f"127.0.0.1:{redis.port}, version {version} has no vector sets" in done.stderr and "cache.index: local" in done.stderr, done.stderr


@needs_redis
def test_one_that_becomes_older_is_told_and_left_alone(make_ibid, upstream, server, make_server, settings):
    answering(upstream)
    ibid = open_ibid(make_ibid, upstream, settings, server.url)
    keep(ibid, 0)
    server.kill()
    make_server("older", server.port)
    until(lambda: "has no vector sets" in ibid.admin("/readyz").body.decode(), "what is wrong in /readyz", 10)
    assert ask(ibid, 0, **NO_STORE)[0] == "upstream" and ibid.metric("ibid_store_up") == 1
    assert ibid.metric("ibid_index_redis_up") == 0


def test_an_account_without_the_right_is_told(make_ibid, upstream, server, settings):
    answering(upstream)
    server.cli("ACL", "SETUSER", "few", "on", ">word", "~ibid:*", "+@all", "-vsim")
    ibid = open_ibid(make_ibid, upstream, settings, f"redis://few:word@127.0.0.1:{server.port}")
    keep(ibid, 0)
    assert ask(ibid, 0, **NO_STORE)[0] == "upstream"
    assert "Redis refuses VSIM: NOPERM" in ibid.admin("/readyz").body.decode()
    server.cli("ACL", "SETUSER", "few", "+vsim")
    assert ask(ibid, 0, **NO_STORE)[0] == "semantic"
    assert ibid.admin("/readyz").json["status"] == "ready"


def test_a_cluster(make_ibid, upstream, make_cluster, redis8, settings):  # noqa: F811
    answering(upstream)
    cluster = make_cluster(programs=redis8)
    one, two = (open_ibid(make_ibid, upstream, settings, cluster.url(i)) for i in (0, 1))
    keep(one, *range(12))
    assert [ask(two, i, **NO_STORE)[0] for i in range(12)] == ["semantic"] * 12
    # The set is on one master, and found where it moves to, while it moves too.
    ((holder, key),) = [(s, k) for s in cluster.masters() for k in sets(s)]
    cluster.move(int(holder.cli("CLUSTER", "KEYSLOT", key)))
    assert not sets(holder)
    assert [ask(ibid, i, **NO_STORE)[0] for ibid in (one, two) for i in range(12)] == ["semantic"] * 24
    keep(two, 13)
    assert ask(one, 13, **NO_STORE)[0] == "semantic"


def test_sentinels(make_ibid, upstream, make_watched, redis8, settings):  # noqa: F811
    answering(upstream)
    master, replica, sentinels = make_watched(programs=redis8)
    url = "redis://" + ",".join(f"127.0.0.1:{s.port}" for s in sentinels)
    ibid = open_ibid(make_ibid, upstream, settings, url, IBID_STORE_SENTINEL="cache")
    keep(ibid, *range(6))
    stored = [question(i) for i in range(6)]
    master.cli("WAIT", 1, 2000)
    loses_a_master(ibid, stored, "the master", master)
    until(lambda: ibid.metric("ibid_index_redis_up") == 1, "the vectors of the new master")
    assert [ask(ibid, i, **NO_STORE)[0] for i in range(6)] == ["semantic"] * 6
