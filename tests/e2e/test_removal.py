"""Stored answers removed by name, by tenant, by partition and by age: from memory, index and store, for good,
and in the memory of every replica on the same Redis."""
import json

import pytest

from client import post, prove, store, until, user
from conftest import needs_encoder
from test_wrong_hit import admin, feedback, fresh

STORED, ASKED = "Where can I download my invoice?", "Where do I download my invoice?"
SECRET = "a secret of thirty-two bytes or so"


def entries(ibid, query, method="DELETE", **kw):
    return admin(ibid, method, "/admin/v1/entries" + query, **kw)


def about(ibid, r):
    shown = admin(ibid, "GET", "/admin/v1/entries/" + r.headers["x-ibid-entry"])
    assert shown.status == 200, shown.body
    return shown.json


def counts(matched, removed, dry_run=False):
    return {"matched": matched, "removed": removed, "dry_run": dry_run, "more": False}


def ask(ibid, question, key):
    return post(ibid, user(question), key=key)


def exact(ibid, question, key):
    """Is it there? Nothing is stored by asking."""
    return fresh(ibid, question, key).source == "exact"


# --- one ibid -------------------------------------------------------------------------------------------------


def test_by_tenant_and_partition(make_ibid, upstream):
    ibid = make_ibid(upstream)
    for key in ("one", "two"):
        prove(ibid, key)
        for i in range(20):
            ask(ibid, f"question {i}", key)
    tenant = about(ibid, ask(ibid, "question 3", "one"))["tenant"]
    assert tenant != about(ibid, ask(ibid, "question 3", "two"))["tenant"]
    preview = entries(ibid, f"?tenant={tenant}&dry_run=1")
    assert preview.status == 200 and preview.json == counts(20, 0, True)
    assert exact(ibid, "question 3", "one")
    assert entries(ibid, f"?tenant={tenant}&older_than_s=3600").json == counts(0, 0)
    assert entries(ibid, f"?tenant={tenant}").json == counts(20, 20)
    assert not any(exact(ibid, f"question {i}", "one") for i in range(20))
    assert all(exact(ibid, f"question {i}", "two") for i in range(20))
    assert ibid.metric("ibid_cache_removed_total") == 20
    # Nor after a restart; what the other tenant has is still there.
    assert ibid.kill(15) == 0
    ibid.start()
    for key in ("one", "two"):
        prove(ibid, key)
    assert not any(exact(ibid, f"question {i}", "one") for i in range(20))
    assert all(exact(ibid, f"question {i}", "two") for i in range(20))
    assert entries(ibid, "?all=1").json == counts(20, 20)
    assert not any(exact(ibid, f"question {i}", "two") for i in range(20))


@needs_encoder
def test_by_partition_and_from_the_index(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True)
    prove(ibid, "k")
    store(ibid, user(STORED), key="k")
    store(ibid, user(STORED, model="other"), key="k")
    hit = fresh(ibid, ASKED, "k")
    assert hit.source == "semantic"
    shown = about(ibid, hit)
    assert shown["semantic"] and shown["model"] and "invoice" not in json.dumps(shown)
    assert entries(ibid, f"?partition={shown['partition']}").json == counts(1, 1)
    assert fresh(ibid, ASKED, "k").source == "upstream" and ibid.metric("ibid_index_entries") == 1
    assert entries(ibid, f"?tenant={shown['tenant']}").json == counts(1, 1)
    assert ibid.metric("ibid_index_entries") == 0


def test_many(make_ibid, upstream):
    """More than the embedded store's queue of removals takes at once."""
    ibid = make_ibid(upstream)
    prove(ibid, "k")
    for i in range(3000):
        ask(ibid, f"question {i}", "k")
    assert entries(ibid, "?older_than_s=0").json == counts(3000, 3000)
    assert ibid.kill(15) == 0
    ibid.start()
    assert entries(ibid, "?all=1&dry_run=1").json == counts(0, 0, True)


@pytest.mark.parametrize("query", ["", "?", "?dry_run=1", "?tenant=", "?tenant=12", "?tenant=" + "g" * 64, "?partition=" + "0" * 63,
                                   "?older_than_s=-1", "?older_than_s=", "?older_than_s=" + "9" * 30, "?all=yes", "?all=1&dry_run=2", "?al=1",
                                   "?all=1&tenant"])
def test_what_is_not_understood_removes_nothing(ibid, query):
    prove(ibid, "k")
    ask(ibid, "a question", "k")
    r = entries(ibid, query)
    assert r.status == 400 and r.json["error"]["message"]
    assert exact(ibid, "a question", "k")


def test_only_with_the_token(ibid):
    assert entries(ibid, "?all=1", token="wrong").status == 401
    assert entries(ibid, "?all=1", method="PUT").status == 405


# --- replicas -------------------------------------------------------------------------------------------------


@pytest.fixture
def replica(make_ibid, upstream, redis, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secret").chmod(0o600)

    def make(**kw):
        ibid = make_ibid(upstream, env={"IBID_SECRET_FILE": str(tmp_path / "secret"), "IBID_STORE_URL": redis.url}, **kw)
        until(lambda: ibid.metric("ibid_store_up") == 1, "Redis")
        prove(ibid, "k")
        return ibid
    return make


def in_memory(ibid):
    return ibid.metric("ibid_cache_memory_entries")


def test_a_removal_reaches_the_memory_of_others(replica, redis):
    one, two = replica(), replica()
    first = ask(one, "a question", "k")
    ask(one, "another", "k")
    until(lambda: len(redis.command("KEYS", "ibid:e:*")) == 2, "the store")
    name = ask(two, "a question", "k").headers["x-ibid-entry"]
    assert first.source == "upstream" and ask(two, "another", "k").source == "exact" and in_memory(two) == 2
    assert admin(one, "DELETE", f"/admin/v1/entries/{name}").json == {"removed": True}
    until(lambda: in_memory(two) == 1, "the replica to hear of it")
    assert not exact(two, "a question", "k") and exact(two, "another", "k")
    # One that starts later has nothing of it either, and what is stored anew stays.
    ask(two, "a question", "k")
    until(lambda: len(redis.command("KEYS", "ibid:e:*")) == 2, "the store")
    three = replica()
    until(lambda: three.metric("ibid_store_news_heard_total") == 1, "old news")
    assert exact(three, "a question", "k") and exact(one, "a question", "k")
    # Many at once.
    assert entries(three, "?all=1").json == counts(2, 2)
    for i in (one, two):
        until(lambda: in_memory(i) == 0, "the replica to hear of it")
        assert not exact(i, "a question", "k") and not exact(i, "another", "k")
    assert three.metric("ibid_store_news_sent_total") == 1 and three.metric("ibid_store_news_waiting") == 0


@needs_encoder
def test_a_report_reaches_others(replica, redis):
    one, two = replica(encoder=True), replica(encoder=True)
    store(one, user(STORED), key="k")
    until(lambda: len(redis.command("KEYS", "ibid:e:*")) == 1, "the store")
    assert exact(two, STORED, "k")  # which indexes it there too
    until(lambda: fresh(two, ASKED, "k").source == "semantic", "the index")
    hit = fresh(one, ASKED, "k")
    assert feedback(one, hit).json["refused"]
    until(lambda: two.metric("ibid_cache_refused_pairs") == 1, "the replica to hear of it")
    assert "detail=reported" in fresh(two, ASKED, "k").headers["cache-status"]
    # Who comes later hears it too.
    three = replica(encoder=True)
    until(lambda: three.metric("ibid_cache_refused_pairs") == 1, "old news")
    assert feedback(one, hit, "right").json["refused"] is False
    for i in (two, three):
        until(lambda: i.metric("ibid_cache_refused_pairs") == 0, "the replica to hear of it")
    until(lambda: fresh(two, ASKED, "k").source == "semantic", "the hit again")


@needs_encoder
def test_a_report_during_an_outage_is_told_later(replica, redis):
    one, two = replica(encoder=True), replica(encoder=True)
    store(one, user(STORED), key="k")
    hit = fresh(one, ASKED, "k")
    redis.stop()
    until(lambda: one.metric("ibid_store_up") == 0, "the outage")
    assert feedback(one, hit).json["refused"] and one.metric("ibid_store_news_waiting") == 1
    r = feedback(one, hit, evict=True)
    assert r.status == 200 and r.json["evicted"] is False
    name = hit.headers["x-ibid-entry"]
    assert admin(one, "DELETE", f"/admin/v1/entries/{name}").status in (404, 503)
    assert entries(one, "?all=1").status == 503
    redis.start()
    until(lambda: two.metric("ibid_cache_refused_pairs") == 1, "the replica to hear of it", timeout=20)
    until(lambda: one.metric("ibid_store_news_waiting") == 0, "all to be told", timeout=20)


def test_foreign_news_do_no_harm(replica, redis):
    one = replica()
    ask(one, "a question", "k")
    for words in (["n", ""], ["n", "1"], ["n", "x" * 5000], ["m", "1", "n", "2"], ["n", "1 " + "0" * 16 + " gone " + "0" * 64],
                  ["n", "2 " + "0" * 16 + " purged " + " ".join(["0" * 64] * 3) + " " + "0" * 16],
                  ["n", "1 " + "0" * 16 + " purged " + " ".join(["0" * 64] * 3) + " " + "0" * 16 + " more"]):
        redis.command("XADD", "ibid:news", "*", *words)
    redis.command("XADD", "ibid:news", "*", "n", "1 " + "0" * 16 + " refused " + " ".join(["1" * 64] * 3) + " " + "0" * 16)
    until(lambda: one.metric("ibid_store_news_heard_total") == 1, "the one that is whole")
    assert exact(one, "a question", "k") and one.metric("ibid_cache_refused_pairs") == 1
    # And a key of another kind.
    redis.command("DEL", "ibid:news")
    redis.command("SET", "ibid:news", "x")
    until(lambda: "redis_news_refused" in one.read_log(), "a word in the log")
    ask(one, "another", "k")
    assert exact(one, "another", "k") and one.metric("ibid_store_up") == 1
    assert one.read_log().count("redis_news_refused") == 1 and "WRONGTYPE" in one.read_log()
