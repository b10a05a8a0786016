"""A master that Sentinels watch: they tell where it is, and where it is now."""
import time

import pytest

from client import until
from redis_servers import Server, free_ports, needs_redis
from test_redis import Load, answering, chat, env, fill, wait_up  # noqa: F401

pytestmark = needs_redis


@pytest.fixture
def watched(tmp_path):
    """(master, replica, sentinels)"""
    ports = free_ports(5)
    servers = [Server(tmp_path / "master", ports[0]),
               Server(tmp_path / "replica", ports[1], [f"replicaof 127.0.0.1 {ports[0]}", "repl-diskless-sync-delay 0"])]
    until(lambda: "master_link_status:up" in servers[1].cli("INFO", "replication"), "the replica", 20)
    for i, port in enumerate(ports[2:]):
        servers.append(Server(tmp_path / f"sentinel{i}", port, [
            f"sentinel monitor cache 127.0.0.1 {ports[0]} 2", "sentinel down-after-milliseconds cache 1000",
            "sentinel failover-timeout cache 5000"], sentinel=True))
    for s in servers[2:]:
        until(lambda s=s: "slaves=1,sentinels=3" in s.cli("INFO", "sentinel"), "the Sentinels", 30)
    yield servers[0], servers[1], servers[2:]
    for s in servers:
        s.kill()


def test_the_master_is_found_and_followed(make_ibid, upstream, watched, env):  # noqa: F811
    answering(upstream)
    master, replica, sentinels = watched
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
    load = Load(ibid, stored)
    time.sleep(0.5)
    event = time.monotonic()
    master.kill()
    sentinels[0].kill()  # one of those that are asked
    wait_up(ibid, 0)
    wait_up(ibid, timeout=30)
    back = time.monotonic()
    time.sleep(1)
    load.end()
    load.table(event, f"the master and a Sentinel killed, whole again after {back - event:.1f} s")
    assert not load.wrong, load.shown()
    assert "role:master" in replica.cli("INFO", "replication")
    assert [chat(ibid, q) for q in stored] == ["exact"] * 40
