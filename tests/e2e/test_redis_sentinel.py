"""A master that Sentinels watch: they tell where it is, and where it is now."""
from client import until
from redis_servers import loses_a_master, make_server, make_watched, needs_redis  # noqa: F401
from test_redis import answering, chat, env, fill, wait_up  # noqa: F401

pytestmark = needs_redis


def test_the_master_is_found_and_followed(make_ibid, upstream, make_watched, env):  # noqa: F811
    answering(upstream)
    master, replica, sentinels = make_watched()
    lost = make_ibid(upstream, env=env | {"IBID_STORE_URL": f"redis://127.0.0.1:{sentinels[0].port}", "IBID_STORE_SENTINEL": "another"})
    assert chat(lost, "a") == "upstream"
    until(lambda: "store.sentinel" in lost.admin("/readyz").body.decode(), "what is wrong in /readyz", 5)
    assert lost.metric("ibid_store_up") == 0
    url = "redis://" + ",".join(f"127.0.0.1:{s.port}" for s in sentinels)
    ibid = make_ibid(upstream, env=env | {"IBID_STORE_URL": url, "IBID_STORE_SENTINEL": "cache", "IBID_STORE_DEADLINE_MS": "1000"})
    wait_up(ibid)
    stored = [f"stored {i}" for i in range(40)]
    fill(ibid, stored)
    assert int(master.cli("DBSIZE")) >= 40
    master.cli("WAIT", 1, 2000)
    loses_a_master(ibid, stored, "the master and a Sentinel", master, sentinels[0])  # one of those that are asked
    assert "role:master" in replica.cli("INFO", "replication")
    assert [chat(ibid, q) for q in stored] == ["exact"] * 40
