"""Network namespaces: the test has one of its own, and each ibid one with two links to it, to its clients and the
upstream (front) and to Redis (back), which can be cut and joined again. Needs the rights of root."""
import contextlib
import ctypes
import os
import shutil
import subprocess

from conftest import Ibid

CLONE_NEWNET = 0x40000000
FRONT, BACK = "10.77.1", "10.77.2"


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def why_not():
    """Why there can be none here; None: there can."""
    if not shutil.which("ip") or not shutil.which("nsenter"):
        return "ip or nsenter not there: apt install iproute2 util-linux"
    name = f"ibid-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if done.returncode == 0:
        link = subprocess.run(["ip", "-n", name, "link", "add", "probe", "type", "veth", "peer", "name", "other"], capture_output=True, text=True)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        return f"no veth: {link.stderr.strip()}" if link.returncode else None
    return f"no network namespaces: {done.stderr.strip()}"


class Network:
    """The calling thread, and whatever it starts from now on, is in a namespace of its own."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if self.libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.names = []
        ip("link", "set", "lo", "up")
        for k, (bridge, net) in enumerate((("front", FRONT), ("back", BACK)), 1):
            # An address of its own: it would have the lowest of its ports', and another when one comes, which those
            # that are there would not know for seconds.
            ip("link", "add", bridge, "address", f"02:00:00:00:00:0{k}", "type", "bridge")
            ip("addr", "add", f"{net}.1/24", "dev", bridge)
            ip("link", "set", bridge, "up")

    def add(self):
        """A namespace; its number is the last part of its addresses."""
        n = len(self.names) + 2
        name = f"ibid-{os.getpid()}-{n}"
        ip("netns", "add", name)
        self.names.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        for bridge, net in (("front", FRONT), ("back", BACK)):
            ip("link", "add", f"{bridge}{n}", "type", "veth", "peer", "name", bridge, "netns", name)
            ip("link", "set", f"{bridge}{n}", "master", bridge, "up")
            ip("-n", name, "addr", "add", f"{net}.{n}/24", "dev", bridge)
            ip("-n", name, "link", "set", bridge, "up")
        return name, n

    def cut(self, n):
        ip("link", "set", f"back{n}", "down")

    def join(self, n):
        ip("link", "set", f"back{n}", "up")

    def close(self):
        for name in self.names:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        self.libc.setns(self.before, CLONE_NEWNET)
        os.close(self.before)


class FarIbid(Ibid):
    """In a namespace of its own."""

    def __init__(self, network, tmp, upstream, env):
        self.name, self.n = network.add()
        self.host = f"{FRONT}.{self.n}"
        super().__init__(tmp, upstream, encoder=True, env={
            "IBID_LISTEN": f"{self.host}:8080", "IBID_ADMIN_LISTEN": f"{self.host}:8081", **env})
        self.port, self.admin_port = 8080, 8081

    def start(self, wait=True):
        import conftest
        self.port, self.admin_port = 8080, 8081
        self.log = open(self.dir / "log", "ab")
        self.proc = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.name}", conftest.BIN, "serve"], env=self.env,
                                     stdout=self.log, stderr=self.log)
        if wait:
            self.wait_ready()

    def request(self, method, path, body=None, headers=None, port=None, timeout=60):
        return super().request(method, path, body, headers, port, timeout, host=self.host)
