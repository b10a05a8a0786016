"""A Redis Cluster: keys on several servers, which move from one to another while requests run, and servers
that fail. No request is lost or answered wrongly."""
import time

import pytest

from client import until
from conftest import needs_encoder
from redis_servers import loses_a_master, make_cluster, make_server, needs_redis  # noqa: F401
from test_redis import KEY, Load, answering, chat, env, fill, right, wait_up  # noqa: F401
from test_removal import entries

pytestmark = needs_redis


@pytest.fixture
def settings(env):  # noqa: F811
    """With a deadline that a busy machine keeps: what is tested is the way, not the time."""
    return env | {"IBID_STORE_DEADLINE_MS": "1000"}


def test_entries_are_spread_and_found_by_all(make_ibid, upstream, make_cluster, settings):  # noqa: F811
    answering(upstream)
    cluster = make_cluster()
    one = make_ibid(upstream, env=settings | {"IBID_STORE_URL": cluster.url(0)})
    two = make_ibid(upstream, env=settings | {"IBID_STORE_URL": cluster.url(2, 1)})
    wait_up(one)
    wait_up(two)
    questions = [f"q {i}" for i in range(60)]
    fill(one, questions)
    assert [chat(two, q) for q in questions] == ["exact"] * 60
    count = cluster.count()
    assert len(count) == 3 and all(n >= 5 for n in count.values()) and sum(count.values()) == 60, count
    # With the map there is nothing to be sent on.
    assert one.metric("ibid_store_moved_total") == 0 and one.metric("ibid_store_errors_total") == 0
    # A removal finds every master's entries.
    assert entries(two, "?all=1").json["removed"] == 60
    assert [chat(one, q) for q in questions[:5]] == ["upstream"] * 5
    # A Cluster has one database; what it says of another is shown.
    third = make_ibid(upstream, env=settings | {"IBID_STORE_URL": cluster.url() + "/1"})
    assert chat(third, "a") == "upstream"
    until(lambda: "SELECT is not allowed" in third.admin("/readyz").body.decode(), "what is wrong in /readyz", 5)
    assert third.metric("ibid_store_up") == 0


def test_resharding_under_load(make_ibid, upstream, make_cluster, settings):  # noqa: F811
    answering(upstream)
    cluster = make_cluster()
    env = settings | {"IBID_STORE_URL": cluster.url(0)}
    ibid, other = make_ibid(upstream, env=env), make_ibid(upstream, env=env)
    wait_up(ibid)
    wait_up(other)
    stored = [f"stored {i}" for i in range(60)]
    fill(ibid, stored)
    a, b, c = cluster.servers
    loads = [Load(ibid, stored, rate=60), Load(other, stored, rate=60)]
    time.sleep(0.5)
    event = time.monotonic()
    cluster.reshard(a, b, 1000)
    cluster.reshard(c, a, 1000)
    time.sleep(0.5)
    cluster.reshard(b, c, 1000)
    time.sleep(0.5)
    for load in loads:
        load.end()
        load.table(event, "resharded")
        assert not load.wrong, load.shown()
    # What is stored stays a hit, on its way too: hardly any of it was asked for a second time.
    again = sum(r.json["messages"][-1]["content"].startswith("stored") for r in upstream.posts()) - len(stored)
    hits = sum(source == "exact" for load in loads for _, source in load.between(event, event + 1000))
    assert hits > 100 and again <= 0.04 * hits, (hits, again)
    assert ibid.metric("ibid_store_moved_total") + other.metric("ibid_store_moved_total") > 0
    assert [chat(i, q) for i in (ibid, other) for q in stored] == ["exact"] * 120
    assert ibid.metric("ibid_store_up") == 1 and ibid.metric("ibid_store_corrupt_total") == 0


def test_a_master_is_killed_and_its_replica_takes_over(make_ibid, upstream, make_cluster, settings):  # noqa: F811
    answering(upstream)
    cluster = make_cluster(replicas=1)
    ibid = make_ibid(upstream, env=settings | {"IBID_STORE_URL": cluster.url(0, 1)})
    wait_up(ibid)
    stored = [f"stored {i}" for i in range(60)]
    fill(ibid, stored)
    for s in cluster.masters():
        s.cli("WAIT", 1, 2000)
    loses_a_master(ibid, stored, "a master", cluster.servers[0])  # named in the URL, too
    assert [chat(ibid, q) for q in stored] == ["exact"] * 60
    cluster.servers[0].start()
    time.sleep(1)
    assert [chat(ibid, q) for q in stored[:10]] == ["exact"] * 10


def test_a_part_that_is_gone_is_named_and_the_rest_serves(make_ibid, upstream, make_cluster, settings):  # noqa: F811
    answering(upstream)
    cluster = make_cluster(lines=["cluster-require-full-coverage no"])
    ibid = make_ibid(upstream, env=settings | {"IBID_STORE_URL": cluster.url(1)})
    wait_up(ibid)
    stored = [f"stored {i}" for i in range(60)]
    fill(ibid, stored)
    lost = cluster.servers[0]
    kept = sum(n for port, n in cluster.count().items() if port != lost.port)
    lost.kill()
    wait_up(ibid, 0)
    sources = [chat(ibid, q, **{"x-ibid-cache": "no-store"}) for q in stored]
    assert sources.count("exact") == kept, (sources, kept)
    assert str(lost.port) in ibid.admin("/readyz").json["parts"]["store"]
    lost.start()
    wait_up(ibid, timeout=10)


def test_several_names_of_servers_that_are_no_cluster(make_ibid, upstream, redis, settings):  # noqa: F811
    answering(upstream)
    ibid = make_ibid(upstream, env=settings | {"IBID_STORE_URL": redis.url + f",localhost:{redis.port}"})
    assert chat(ibid, "a") == "upstream"
    end = time.monotonic() + 5
    while "is no Cluster's" not in ibid.admin("/readyz").body.decode():
        assert time.monotonic() < end, ibid.admin("/readyz").body
    assert ibid.metric("ibid_store_up") == 0


def test_a_removal_reaches_the_memory_of_others(make_ibid, upstream, make_cluster, settings):  # noqa: F811
    """The streams have one place each; they are found there after they have moved, too."""
    answering(upstream)
    cluster = make_cluster()
    env = settings | {"IBID_STORE_URL": cluster.url(), "IBID_STORE_MEMORY_ENTRIES_MAX": "1000"}
    one, two = make_ibid(upstream, env=env), make_ibid(upstream, env=env)
    wait_up(one)
    wait_up(two)
    questions = [f"q {i}" for i in range(6)]
    for move in (False, True):
        fill(one, questions)
        assert [chat(two, q) for q in questions] == ["exact"] * 6
        until(lambda: two.metric("ibid_cache_memory_entries") == 6, "the memory of the other")
        if move:
            cluster.move_streams()
        assert entries(one, "?all=1").json["removed"] == 6
        until(lambda: two.metric("ibid_cache_memory_entries") == 0, "the other to hear of it")
        assert [chat(two, q) for q in questions] == ["upstream"] * 6
        assert entries(two, "?all=1").json["removed"] == 6
        until(lambda: one.metric("ibid_cache_memory_entries") == 0, "the first to hear of it")
    assert one.metric("ibid_store_news_waiting") == 0 and two.metric("ibid_store_corrupt_total") == 0


@needs_encoder
def test_the_index_is_learnt_from_all_masters(make_ibid, upstream, make_cluster, settings):  # noqa: F811
    answering(upstream)
    cluster = make_cluster()
    env = settings | {"IBID_STORE_URL": cluster.url(), "IBID_CACHE_THRESHOLD": "0.5"}
    one = make_ibid(upstream, env=env, encoder=True)
    wait_up(one)
    fill(one, ["How do I reset my password?"] + [f"What is {i} plus {i}?" for i in range(15)])
    two = make_ibid(upstream, env=env, encoder=True)
    two.wait_metric("ibid_index_ready", 1)
    two.wait_metric("ibid_index_entries", 16)
    r = two.chat("How can I reset my password?", key=KEY)
    assert (r.source, r.text) == ("semantic", right("How do I reset my password?"))
    # What is stored from now on is heard of in the stream, wherever that is by now.
    for i, asked in enumerate(("Where can I park my car?", "When does the library open?")):
        fill(one, [asked])
        two.wait_metric("ibid_index_entries", 17 + i)
        cluster.move_streams()
    fill(two, ["Who wrote the manual?"])
    one.wait_metric("ibid_index_entries", 19)
    assert two.metric("ibid_store_news_waiting") == 0
    # What Redis has evicted is a miss for both, whatever their indexes say.
    for s in cluster.masters():
        s.cli("FLUSHALL")
    for ibid in (one, two):
        r = ibid.chat(f"How can I reset my password, {ibid.port}?", key=KEY)
        assert r.source == "upstream", (r.status, r.headers, r.body)
