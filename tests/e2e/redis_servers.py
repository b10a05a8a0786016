"""Redis in its larger forms: behind TLS with accounts, as a Cluster, behind Sentinels. Real servers on
127.0.0.1, in a folder of the test's own."""
import shutil
import signal
import socket
import subprocess
import time

import pytest

from client import until

needs_redis = pytest.mark.skipif(not shutil.which("redis-server") or not shutil.which("redis-cli"),
                                 reason="redis-server or redis-cli not there: apt install redis-server")


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
    """One redis-server of the given settings, a line each."""

    def __init__(self, folder, port, lines=(), cli=(), sentinel=False):
        self.dir, self.port, self.cli_words, self.sentinel = folder, port, list(cli), sentinel
        folder.mkdir(exist_ok=True)
        self.conf = folder / "redis.conf"
        usual = [f"port {port}", f"dir {folder}", "bind 127.0.0.1"]
        if not sentinel:
            usual += ['save ""', "appendonly no"]
        self.conf.write_text("\n".join(usual + list(lines)) + "\n")
        self.proc = None
        self.start()

    def start(self):
        self.proc = subprocess.Popen(["redis-server", str(self.conf)] + (["--sentinel"] if self.sentinel else []),
                                     stdout=open(self.dir / "log", "ab"), stderr=subprocess.STDOUT)
        until(self.answers, f"redis-server:\n{(self.dir / 'log').read_text(errors='replace')}")

    def answers(self):
        assert self.proc.poll() is None, (self.dir / "log").read_text(errors="replace")
        return "PONG" in self.try_cli("PING")

    def try_cli(self, *words):
        p = subprocess.run(["redis-cli", "-p", str(self.port), *self.cli_words, *map(str, words)],
                           capture_output=True, text=True, timeout=20)
        return p.stdout.strip()

    def cli(self, *words):
        out = self.try_cli(*words)
        assert not out.startswith(("ERR", "NOPERM", "(error)")), out
        return out

    def kill(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGCONT)
            self.proc.kill()
            self.proc.wait(10)
