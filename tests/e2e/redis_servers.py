"""Redis in its larger forms: behind TLS with accounts, as a Cluster, behind Sentinels. Real servers on
127.0.0.1, in a folder of the test's own."""
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from client import until
from test_redis import Load, wait_up

needs_redis = pytest.mark.skipif(not shutil.which("redis-server") or not shutil.which("redis-cli"),
                                 reason="redis-server or redis-cli not there: apt install redis-server")


@pytest.fixture(scope="session")
def redis8():
    """The folder of a Redis with vector sets, fetched once."""
    p = subprocess.run([Path(__file__).parents[1] / "redis8.sh", "--quiet"], capture_output=True, text=True, timeout=300)
    if p.returncode:
        pytest.skip(f"Redis 8 is not to be had: {p.stderr.strip().splitlines()[-1]}")
    return Path(p.stdout.strip())


def free_ports(n):
    """Below 55535, so that a Cluster's bus (port + 10000) has a place too."""
    held, ports = [], []
    port = 20000 + (time.time_ns() // 1000) % 20000
    while len(ports) < n:
        port += 1
        pair = []
        try:
            for p in (port, port + 10000):
                s = socket.socket()
                pair.append(s)
                s.bind(("127.0.0.1", p))
        except OSError:
            for s in pair:
                s.close()
            continue
        held += pair
        ports.append(port)
    for s in held:
        s.close()
    return ports


class Server:
    """One redis-server of the given settings, a line each; `programs`: a folder, else those of PATH."""

    def __init__(self, folder, port, lines=(), cli=(), sentinel=False, programs=None):
        self.dir, self.port, self.cli_words, self.sentinel = folder, port, list(cli), sentinel
        self.program, self.client = (str(programs / name) if programs else name for name in ("redis-server", "redis-cli"))
        folder.mkdir(exist_ok=True)
        self.conf = folder / "redis.conf"
        usual = [f"port {port}", f"dir {folder}", "bind 127.0.0.1"]
        if not sentinel:
            usual += ['save ""', "appendonly no"]
        self.conf.write_text("\n".join(usual + list(lines)) + "\n")
        self.proc = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.proc = subprocess.Popen([self.program, str(self.conf)] + (["--sentinel"] if self.sentinel else []),
                                     stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT)
        until(self.answers, f"redis-server:\n{(self.dir / 'log').read_text(errors='replace')}")

    def answers(self):
        assert self.proc.poll() is None, (self.dir / "log").read_text(errors="replace")
        return "PONG" in self.try_cli("PING")

    def try_cli(self, *words):
        p = subprocess.run([self.client, "-p", str(self.port), *self.cli_words, *map(str, words)],
                           capture_output=True, text=True, timeout=20)
        return p.stdout.strip()

    def cli(self, *words):
        out = self.try_cli(*words)
        assert not out.startswith(("ERR", "NOPERM", "(error)")), out
        return out

    def kill(self):
        if self.proc is not None and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGCONT)
            self.proc.kill()
            self.proc.wait(10)


@pytest.fixture
def make_server(tmp_path):
    """make(folder's name, port, …): one that runs. All end with the test, and when their set-up fails."""
    made = []

    def make(name, port=None, **kw):
        made.append(Server(tmp_path / name, port or free_ports(1)[0], **kw))
        made[-1].start()
        return made[-1]

    yield make
    for s in made:
        s.kill()


class Cluster:
    """Masters 0 to n - 1, and a replica of each after them if wanted."""

    def __init__(self, make_server, masters=3, replicas=0, lines=(), programs=None):
        self.servers = [make_server(f"node{i}", port, programs=programs, lines=[
            "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 1000",
            "cluster-replica-validity-factor 0", "repl-diskless-sync-delay 0", *lines])
            for i, port in enumerate(free_ports(masters * (1 + replicas)))]
        addresses = [f"127.0.0.1:{s.port}" for s in self.servers]
        p = subprocess.run([self.servers[0].client, "--cluster", "create", *addresses, "--cluster-replicas", str(replicas), "--cluster-yes"],
                           capture_output=True, text=True, timeout=60)
        assert p.returncode == 0, p.stdout + p.stderr
        until(lambda: all("cluster_state:ok" in s.cli("CLUSTER", "INFO") for s in self.servers), "the Cluster", 20)

    def url(self, *which):
        return "redis://" + ",".join(f"127.0.0.1:{self.servers[i].port}" for i in which or (0,))

    def masters(self):
        return [s for s in self.servers if s.proc.poll() is None and "role:master" in s.cli("INFO", "replication")]

    def count(self):
        """Entries of each master."""
        return {s.port: len(s.cli("KEYS", "ibid:e:*").split()) for s in self.masters()}

    def reshard(self, source, to, slots):
        p = subprocess.run([source.client, "--cluster", "reshard", f"127.0.0.1:{source.port}", "--cluster-from", source.cli("CLUSTER", "MYID"),
                            "--cluster-to", to.cli("CLUSTER", "MYID"), "--cluster-slots", str(slots), "--cluster-yes"],
                           capture_output=True, text=True, timeout=120)
        assert p.returncode == 0 and "[ERR]" not in p.stdout, p.stdout[-2000:] + p.stderr

    def streams(self):
        """The keys that what is to be told stands under: removals and reports, and what was stored."""
        names = [k for s in self.masters() for k in s.cli("KEYS", "*").split() if s.cli("TYPE", k) == "stream"]
        assert "ibid:stored" in names, names
        return names

    def move(self, slot):
        """One slot with its keys to the next master."""
        key_owner = next(s for s in self.masters() if s.cli("CLUSTER", "COUNTKEYSINSLOT", slot) != "0")
        to = next(s for s in self.masters() if s is not key_owner)
        to.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", key_owner.cli("CLUSTER", "MYID"))
        key_owner.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", to.cli("CLUSTER", "MYID"))
        keys = key_owner.cli("CLUSTER", "GETKEYSINSLOT", slot, 1000).split()
        key_owner.cli("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for s in (to, key_owner):
            s.cli("CLUSTER", "SETSLOT", slot, "NODE", to.cli("CLUSTER", "MYID"))

    def move_streams(self):
        for name in self.streams():
            self.move(int(self.servers[0].cli("CLUSTER", "KEYSLOT", name)))


@pytest.fixture
def make_cluster(make_server):
    return lambda **kw: Cluster(make_server, **kw)


@pytest.fixture
def make_watched(make_server):
    """(master, replica, sentinels), which call the master `cache`."""
    def make(programs=None):
        ports = free_ports(5)
        master = make_server("master", ports[0], programs=programs)
        replica = make_server("replica", ports[1], programs=programs,
                              lines=[f"replicaof 127.0.0.1 {ports[0]}", "repl-diskless-sync-delay 0"])
        until(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), "the replica", 20)
        sentinels = [make_server(f"sentinel{i}", port, programs=programs, sentinel=True, lines=[
            f"sentinel monitor cache 127.0.0.1 {ports[0]} 2", "sentinel down-after-milliseconds cache 1000",
            "sentinel failover-timeout cache 5000"]) for i, port in enumerate(ports[2:])]
        for s in sentinels:
            until(lambda s=s: "slaves=1,sentinels=3" in s.cli("INFO", "sentinel"), "the Sentinels", 30)
        return master, replica, sentinels
    return make


def loses_a_master(ibid, stored, what, *killed):
    """Under load; none of its answers is lost or wrong."""
    load = Load(ibid, stored)
    time.sleep(0.5)
    event = time.monotonic()
    for server in killed:
        server.kill()
    wait_up(ibid, 0)
    wait_up(ibid, timeout=30)
    back = time.monotonic()
    time.sleep(1)
    load.end()
    load.table(event, f"{what} killed, whole again after {back - event:.1f} s")
    assert not load.wrong, load.shown()
