"""Another program in the place of a running one: nobody finds the door closed, nothing that was begun is
lost, and what the old one stored and counted is the new one's."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import BIN
from test_shutdown import WORDS, finish, start_stream
from upstream import answer, stream
from wire import Answer, chat_bytes


def wait_for(what, timeout=20, why=""):
    end = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < end, why or "it did not happen"
        time.sleep(0.01)


def log_count(ibid, text):
    return ibid.read_log().count(text)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Successor:
    """The process that serves now, with the Popen's calls that conftest uses; it is no child of ours."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        return None if is_alive(self.pid) else 0

    def send_signal(self, sig):
        os.kill(self.pid, sig)

    def wait(self, timeout=40):
        wait_for(lambda: not is_alive(self.pid), timeout)
        return 0


def upgrade(ibid, wait=True):
    """The old process; ibid.proc is the new one."""
    old, n = ibid.proc, log_count(ibid, 'event="handed_over"')
    old.send_signal(signal.SIGUSR2)
    wait_for(lambda: log_count(ibid, 'event="handed_over"') > n, 60, ibid.read_log())
    ibid.proc = Successor(int(re.findall(r'event="handed_over" pid=(\d+)', ibid.read_log())[-1]))
    if wait:
        assert old.wait(30) == 0
    return old


def test_the_next_one_serves_with_what_the_last_one_had(tmp_path, make_ibid, upstream):
    (tmp_path / "keys").write_text("sk-test\n")  # so that the next one need not ask who that is
    ibid = make_ibid(upstream, config=f"upstream: {{accept_file: {tmp_path / 'keys'}}}\n"
                     "prices:\n  - {model: stub-model, input: 1, output: 1, source: a page, date: 2026-01-01}\n")
    upstream.default = lambda r: answer("a", usage=(500000, 500000))
    for i in range(3):
        ibid.chat(f"q{i}")
        assert ibid.chat(f"q{i}").source == "exact"
    pid = ibid.proc.pid
    old = upgrade(ibid)
    assert ibid.proc.pid != pid and old.returncode == 0
    assert ibid.metric("ibid_store_up") == 1
    # Its memory is empty: they are from the store.
    assert [ibid.chat(f"q{i}").source for i in range(3)] == ["exact"] * 3
    assert len(upstream.posts()) == 3
    # The book of both is one.
    wait_for(lambda: log_count(ibid, 'event="ledger_taken_over"') == 1, 20)
    rows = ibid.admin("/admin/v1/ledger", ibid.token()).json["rows"]
    assert {r["source"]: r["requests"] for r in rows} == {"exact": 6, "upstream": 3}
    assert ibid.admin("/readyz").json["status"] == "ready"
    assert ibid.metric("ibid_upgrade_failures_total") == 0


def test_streams_end_where_they_began(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream(WORDS, pieces=100, gap=0.02)
    started = [start_stream(ibid, f"q{i}") for i in range(50)]
    old = upgrade(ibid, wait=False)
    upstream.default = lambda r: answer("new")
    assert old.poll() is None, "it has streams to end"
    assert ibid.chat("who").text == "new"
    for s in started:
        a = finish(*s)
        assert a.whole and b"[DONE]" in a.body
    assert old.wait(30) == 0


def test_a_kept_connection_is_told_and_not_cut(make_ibid, upstream):
    ibid = make_ibid(upstream)
    c = http.client.HTTPConnection("127.0.0.1", ibid.port, timeout=10)

    def ask(text):
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}),
                  {"content-type": "application/json"})
        r = c.getresponse()
        r.read()
        return r
    assert ask("one").getheader("connection") != "close"
    s = c.sock
    old = upgrade(ibid, wait=False)
    time.sleep(1)
    r = ask("two")
    assert r.status == 200 and r.getheader("connection") == "close" and c.sock is None
    assert s.fileno() == -1
    # Nothing keeps it any longer.
    assert old.wait(3) == 0
    assert ask("three").getheader("connection") != "close"


def test_who_says_nothing_is_not_waited_for_long(make_ibid, upstream):
    ibid = make_ibid(upstream)
    idle = socket.create_connection(("127.0.0.1", ibid.port))
    t0 = time.monotonic()
    upgrade(ibid)
    assert time.monotonic() - t0 < 15
    assert idle.recv(1) == b""


def test_again_and_again_with_another_file_and_other_settings(tmp_path, make_ibid, upstream, monkeypatch):
    program = tmp_path / "ibid-program"
    shutil.copy(BIN, program)
    monkeypatch.setattr("conftest.BIN", str(program))
    ibid = make_ibid(upstream, config="cache: {top_k: 2}\n")
    for i, text in enumerate(["cache: {top_k: 3}\nstore: {queue_max: 77}\n", "cache: {top_k: 4}\n"]):
        (ibid.dir / "ibid.yaml").write_text(text)
        shutil.copy(BIN, tmp_path / "next")
        os.replace(tmp_path / "next", program)
        upgrade(ibid)
        assert ibid.chat(f"q{i}").status == 200
        assert os.readlink(f"/proc/{ibid.proc.pid}/exe") == str(program)
        shown = ibid.admin("/admin/v1/config", ibid.token()).body.decode()
        assert f"top_k: {i + 3}" in shown and ("queue_max: 77" in shown) == (i == 0)


@pytest.mark.parametrize("text, why", [
    ("#!/bin/sh\nexit 3\n", "ended before it was ready"),
    ("#!/bin/sh\nprintf X >&5\nsleep 100\n", "does not speak as an ibid does"),
    ("no program\n", "ended before it was ready"),
])
def test_one_that_fails_changes_nothing(tmp_path, make_ibid, upstream, monkeypatch, text, why):
    program = tmp_path / "ibid-program"
    shutil.copy(BIN, program)
    monkeypatch.setattr("conftest.BIN", str(program))
    ibid = make_ibid(upstream)
    ibid.chat("one")
    (tmp_path / "next").write_text(text)
    os.chmod(tmp_path / "next", 0o755)
    os.replace(tmp_path / "next", program)
    pid = ibid.proc.pid
    ibid.proc.send_signal(signal.SIGUSR2)
    wait_for(lambda: log_count(ibid, 'event="upgrade_failed"') == 1, 20, ibid.read_log())
    assert why in ibid.read_log()
    assert ibid.proc.poll() is None and ibid.proc.pid == pid
    assert ibid.chat("one").source == "exact" and ibid.chat("two").status == 200
    assert ibid.metric("ibid_upgrade_failures_total") == 1
    assert ibid.admin("/readyz").json["status"] == "ready"


def test_one_with_wrong_settings_changes_nothing(make_ibid, upstream):
    ibid = make_ibid(upstream, config="cache: {top_k: 2}\n")
    (ibid.dir / "ibid.yaml").write_text("cache: {top_k: 99}\n")
    ibid.proc.send_signal(signal.SIGUSR2)
    wait_for(lambda: log_count(ibid, 'event="upgrade_failed"') == 1, 20)
    assert "cache.top_k: '99'" in ibid.read_log()
    (ibid.dir / "ibid.yaml").write_text("cache: {top_k: 5}\n")
    upgrade(ibid)
    assert ibid.chat("one").status == 200


def test_one_that_fails_when_it_has_the_files_gives_them_back(tmp_path, make_ibid, upstream, monkeypatch):
    """It is prepared, gets its turn, and dies."""
    program = tmp_path / "ibid-program"
    shutil.copy(BIN, program)
    monkeypatch.setattr("conftest.BIN", str(program))
    ibid = make_ibid(upstream)
    ibid.chat("one")
    ibid.chat("one")
    (tmp_path / "next").write_text("#!/usr/bin/env python3\nimport os\nn = int(os.environ['LISTEN_FDS']) + 2\n"
                                   "os.write(n, b'P')\nassert os.read(n, 1) == b'G'\nimport time\ntime.sleep(1)\n")
    os.chmod(tmp_path / "next", 0o755)
    os.replace(tmp_path / "next", program)
    ibid.proc.send_signal(signal.SIGUSR2)
    wait_for(lambda: ibid.metric("ibid_store_up") == 0 or log_count(ibid, "upgrade_failed"), 20)
    # Who comes now waits at the door, and is let in.
    assert ibid.chat("two").status == 200
    wait_for(lambda: log_count(ibid, 'event="upgrade_failed"') == 1, 20)
    wait_for(lambda: ibid.metric("ibid_store_up") == 1, 20)
    ibid.chat("three")
    ibid.wait_metric("ibid_store_puts_total", 1)
    ibid.kill(signal.SIGTERM)
    shutil.copy(BIN, tmp_path / "next")
    os.replace(tmp_path / "next", program)
    ibid.start()
    asked = len(upstream.posts())
    assert ibid.chat("three").source == "upstream" and ibid.chat("three").source == "exact"
    assert ibid.chat("one").source == "exact", "what was stored before is there"
    assert len(upstream.posts()) == asked + 1


def test_stopping_gives_up_what_is_under_way(tmp_path, make_ibid, upstream, monkeypatch):
    program = tmp_path / "ibid-program"
    shutil.copy(BIN, program)
    monkeypatch.setattr("conftest.BIN", str(program))
    ibid = make_ibid(upstream)
    (tmp_path / "next").write_text("#!/bin/sh\necho $$ > " + str(tmp_path / "pid") + "\nexec sleep 100\n")
    os.chmod(tmp_path / "next", 0o755)
    os.replace(tmp_path / "next", program)
    ibid.proc.send_signal(signal.SIGUSR2)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    assert ibid.kill(signal.SIGTERM) == 0
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_unix_socket_stays_where_it_is(tmp_path, make_ibid, upstream):
    path = tmp_path / "door"
    ibid = make_ibid(upstream, env={"IBID_LISTEN": f"unix:{path}"})
    inode = os.stat(path).st_ino
    upgrade(ibid)
    assert os.stat(path).st_ino == inode
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(chat_bytes("q"))
        data = b""
        while (more := s.recv(65536)):
            data += more
    assert Answer(data, "fin").status == 200
    ibid.stop()
    assert not path.exists(), "the last one takes it along"


def test_the_service_manager_is_told(tmp_path, make_ibid, upstream):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(10)
        ibid = make_ibid(upstream, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert s.recv(1000).decode() == f"MAINPID={ibid.proc.pid}\nREADY=1"
        upgrade(ibid)
        assert s.recv(1000).decode() == f"MAINPID={ibid.proc.pid}\nREADY=1"


def test_sockets_of_the_service_manager_are_used(tmp_path, make_ibid, upstream):
    """As systemd's socket activation: descriptors from 3 on, also of a Unix socket that is not ours."""
    ibid = make_ibid(upstream)
    ibid.kill(signal.SIGTERM)
    lent = socket.create_server(("127.0.0.1", ibid.port))
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(tmp_path / "door"))
    door.listen()
    # Who comes before it is up waits in the backlog.
    early = socket.create_connection(("127.0.0.1", ibid.port))
    early.sendall(chat_bytes("early", close=True))
    fds = [os.dup(lent.fileno()), os.dup(door.fileno())]

    def place():
        for i, fd in enumerate(fds):
            os.dup2(fd, 20 + i)
        for i in range(2):
            os.dup2(20 + i, 3 + i, inheritable=True)
    env = {**ibid.env, "IBID_LISTEN": f"127.0.0.1:{ibid.port},unix:{tmp_path / 'door'}", "LISTEN_FDS": "2"}
    lent.close()
    with open(ibid.dir / "log", "ab") as log:
        ibid.proc = subprocess.Popen(["/bin/sh", "-c", f"LISTEN_PID=$$ exec {BIN} serve"], env=env, stdout=log, stderr=log,
                                     preexec_fn=place, close_fds=False)
    for fd in fds:
        os.close(fd)
    ibid.log = open(ibid.dir / "log", "ab")
    ibid.wait_ready()
    data = b""
    while (more := early.recv(65536)):
        data += more
    assert Answer(data, "fin").status == 200
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(tmp_path / "door"))
        s.sendall(chat_bytes("q"))
        assert s.recv(100).startswith(b"HTTP/1.1 200")
    ibid.stop()
    assert (tmp_path / "door").exists(), "it is the service manager's"
    door.close()


def test_two_hundred_streams_outlive_sigterm(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream(WORDS, pieces=100, gap=0.03)
    started = [start_stream(ibid, f"q{i}") for i in range(200)]
    ibid.proc.send_signal(signal.SIGTERM)
    results = []
    threads = [threading.Thread(target=lambda p=p: results.append(finish(*p))) for p in started]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 200 and all(r.whole and b"[DONE]" in r.body for r in results)
    assert ibid.proc.wait(10) == 0


def test_nothing_is_lost_under_load(tmp_path, make_ibid, upstream):
    """wrk on kept connections, through reloads and upgrades: 100,000 answers, none of them failed."""
    if not shutil.which("wrk"):
        pytest.skip("wrk not there: apt install wrk")
    ibid = make_ibid(upstream, config="cache: {top_k: 2}\n")
    ibid.chat("q")
    ibid.chat("q")
    script = tmp_path / "ask.lua"
    script.write_text('wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\n'
                      'wrk.headers["authorization"] = "Bearer sk-test"\n'
                      'wrk.body = \'{"model": "stub-model", "messages": [{"role": "user", "content": "q"}]}\'\n')
    done, failed, rounds = 0, "", 0
    while (done < 100000 or rounds < 3) and rounds < 20:
        rounds += 1
        wrk = subprocess.Popen(["nice", "-n", "19", "wrk", "-t1", "-c32", "-d4", "--timeout", "30", "-s", str(script),
                                f"http://127.0.0.1:{ibid.port}/v1/chat/completions"], stdout=subprocess.PIPE, text=True)
        time.sleep(0.7)
        for i in range(2):
            (ibid.dir / "ibid.yaml").write_text(f"cache: {{top_k: {3 + i}}}\n")
            ibid.proc.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        old = upgrade(ibid, wait=False)
        out = wrk.communicate(timeout=60)[0]
        assert old.wait(30) == 0
        done += int(re.search(r"(\d+) requests in", out).group(1))
        failed += "".join(re.findall(r".*(?:Socket errors|Non-2xx).*", out))
    print(f"{done} answers, {rounds} upgrades, {2 * rounds} reloads: {failed or 'none failed'}")
    assert not failed and done >= 100000
