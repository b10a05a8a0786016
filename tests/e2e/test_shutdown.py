"""Starting and stopping: what is under way is finished, or broken off so that it can be seen."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import BIN, free_port, needs_decoder
from upstream import events, stream
from wire import Answer, ask, assert_sse_error, chat_bytes, exchange, read_all

WORDS = " ".join(f"w{i}" for i in range(20))


def start_stream(ibid, question, close=False):
    s = socket.create_connection(("127.0.0.1", ibid.port), 10)
    s.sendall(chat_bytes(question, stream=True, close=close))
    first = s.recv(65536)
    assert first.startswith(b"HTTP/1.1 200"), first
    return s, first


def finish(s, first):
    data, ended = read_all(s, 20)
    s.close()
    return Answer(first + data, ended)


def wait_draining(ibid):
    end = time.monotonic() + 2
    while time.monotonic() < end:
        r = ibid.admin("/readyz")
        if r.status == 503:
            assert r.json["status"] == "draining"
            return
        time.sleep(0.005)
    raise AssertionError("it is still ready")


def test_sigterm_without_traffic_ends_at_once(make_ibid, upstream):
    ibid = make_ibid(upstream)
    idle = [socket.create_connection(("127.0.0.1", ibid.port)) for _ in range(20)]
    kept = socket.create_connection(("127.0.0.1", ibid.port))
    kept.sendall(chat_bytes("kept", close=False))
    data = b""
    while not Answer(data, "open").whole:
        data += kept.recv(65536)
    t0 = time.monotonic()
    assert ibid.kill(signal.SIGTERM) == 0
    assert time.monotonic() - t0 < 1
    for s in (*idle, kept):
        assert s.recv(1) == b""
        s.close()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_streams_under_way_are_finished(make_ibid, upstream, sig):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream(WORDS, pieces=100, gap=0.01)
    started = [start_stream(ibid, f"q{i}") for i in range(50)]
    ibid.proc.send_signal(sig)
    wait_draining(ibid)
    assert ibid.admin("/healthz").status == 200
    # Who comes before the last has gone is still answered, and told to go elsewhere.
    late = exchange(ibid.port, chat_bytes("late", stream=True, close=False))
    assert late.whole and late.headers["connection"] == "close"
    results = []
    threads = [threading.Thread(target=lambda p=p: results.append(finish(*p))) for p in started]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 50
    for r in results:
        assert r.whole and r.body == events(WORDS)
    assert ibid.proc.wait(5) == 0
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", ibid.port), 1)


def test_a_connection_that_asks_nothing_is_not_waited_for(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream(WORDS, pieces=100, gap=0.02)
    s, first = start_stream(ibid, "q")
    ibid.proc.send_signal(signal.SIGTERM)
    wait_draining(ibid)
    silent = socket.create_connection(("127.0.0.1", ibid.port))
    assert finish(s, first).whole
    t0 = time.monotonic()
    assert ibid.proc.wait(5) == 0
    assert time.monotonic() - t0 < 1.5
    silent.close()


def test_the_time_to_drain_is_bounded(make_ibid, upstream):
    """What is not done by then is broken off with an error event, or 503 before the head."""
    ibid = make_ibid(upstream, env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "400"})
    upstream.default = lambda r: stream("word " * 3000, pieces=200, gap=0.02, delay=5 if b"silent" in r.body else 0)
    started = [start_stream(ibid, f"q{i}") for i in range(10)]
    silent = socket.create_connection(("127.0.0.1", ibid.port), 10)
    silent.sendall(chat_bytes("silent", close=False))
    follower = socket.create_connection(("127.0.0.1", ibid.port), 10)
    follower.sendall(chat_bytes("silent", close=False))
    ibid.wait_metric("ibid_requests_in_flight", 12)
    t0 = time.monotonic()
    ibid.proc.send_signal(signal.SIGTERM)
    for p in started:
        r = finish(*p)
        assert not r.whole and assert_sse_error(r) == "ibid is shutting down"
    for s in (silent, follower):
        r = finish(s, b"")
        assert r.whole and r.status == 503 and r.json["error"]["code"] == "shutting_down", r.data
    assert ibid.proc.wait(5) == 0
    assert 0.35 < time.monotonic() - t0 < 1.5


def test_who_reads_nothing_does_not_hold_it_up(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "300"})
    upstream.default = lambda r: stream("word " * 200_000)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", ibid.port))
    s.sendall(chat_bytes("never read", stream=True))
    ibid.wait_metric("ibid_requests_in_flight", 1)
    t0 = time.monotonic()
    assert ibid.kill(signal.SIGTERM) == 0
    assert time.monotonic() - t0 < 2
    s.close()


def test_the_second_signal_ends_at_once(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream("word " * 3000, pieces=200, gap=0.02)
    started = [start_stream(ibid, f"q{i}") for i in range(10)]
    ibid.proc.send_signal(signal.SIGTERM)
    wait_draining(ibid)
    t0 = time.monotonic()
    ibid.proc.send_signal(signal.SIGTERM)
    assert ibid.proc.wait(5) == 0
    assert time.monotonic() - t0 < 1
    for p in started:
        assert not finish(*p).whole


@needs_decoder
def test_the_built_in_model_stops_too(make_ibid):
    ibid = make_ibid(local=True, env={"IBID_LIMITS_DRAIN_TIMEOUT_MS": "300"})
    s, first = start_stream(ibid, "Write a very long story about a dragon and a knight.")
    t0 = time.monotonic()
    ibid.proc.send_signal(signal.SIGTERM)
    r = finish(s, first)
    assert not r.whole and assert_sse_error(r)
    assert ibid.proc.wait(5) == 0
    assert time.monotonic() - t0 < 2


def start_failing(env, timeout=10):
    return subprocess.run([BIN, "serve"], env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=timeout)


def base_env(tmp_path):
    return {"HOME": str(tmp_path), "IBID_DATA_DIR": str(tmp_path / "other"), "IBID_LISTEN": f"127.0.0.1:{free_port()}",
            "IBID_ADMIN_LISTEN": f"127.0.0.1:{free_port()}", "IBID_ENCODER_MODEL": "off", "IBID_LOCAL_MODEL": "off"}


@pytest.mark.parametrize("which", ["IBID_LISTEN", "IBID_ADMIN_LISTEN"])
def test_a_port_in_use_is_said(ibid, tmp_path, which):
    done = start_failing(base_env(tmp_path) | {which: f"127.0.0.1:{ibid.port}"})
    assert done.returncode == 1
    assert f"127.0.0.1:{ibid.port}" in done.stderr and "in use" in done.stderr
    assert ask(ibid, "still there?").status == 200


def test_unix_sockets_come_and_go(make_ibid, upstream, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as s:  # what a process that was killed leaves behind
        s.bind(str(path))
    ibid = make_ibid(upstream, env={"IBID_LISTEN": f"unix:{path}"})
    assert stat.S_ISSOCK(path.stat().st_mode)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(chat_bytes("hi"))
        assert Answer(*read_all(s)).status == 200
    # Another one does not steal it.
    done = start_failing(base_env(tmp_path) | {"IBID_LISTEN": f"unix:{path}"})
    assert done.returncode == 1 and str(path) in done.stderr and "another process listens" in done.stderr
    assert path.exists()
    assert ibid.kill(signal.SIGTERM) == 0
    assert not path.exists()
    # Killed, it leaves its file; the next start takes it over.
    ibid.start()
    ibid.kill()
    assert path.exists()
    ibid.start()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(chat_bytes("hi again"))
        assert Answer(*read_all(s)).status == 200


def test_a_file_that_is_no_socket_is_not_removed(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    done = start_failing(base_env(tmp_path) | {"IBID_LISTEN": f"unix:{path}"})
    assert done.returncode == 1 and "no socket" in done.stderr
    assert path.read_text() == "data"
def test_health_while_it_drains(make_ibid, upstream):
    ibid = make_ibid(upstream)
    upstream.default = lambda r: stream(WORDS, pieces=100, gap=0.02)
    started = start_stream(ibid, "q")
    ibid.proc.send_signal(signal.SIGTERM)
    wait_draining(ibid)
    health = [subprocess.run([BIN, "health", *flags], env=ibid.env, capture_output=True, text=True) for flags in ([], ["--live"])]
    assert health[0].returncode == 1 and "503" in health[0].stderr
    assert health[1].returncode == 0 and health[1].stdout == "alive\n"
    assert finish(*started).whole
    assert ibid.proc.wait(10) == 0


def test_the_process_keeps_to_itself(make_ibid, upstream):
    """Not even a core_pattern that is a program gets the questions in memory, and nothing gains rights."""
    ibid = make_ibid(upstream)
    process = f"/proc/{ibid.proc.pid}"
    status = dict(line.split(":", 1) for line in open(f"{process}/status"))
    limits = {line[:25].strip(): line[25:].split()[:2] for line in open(f"{process}/limits")}
    assert status["NoNewPrivs"].strip() == "1"
    assert limits["Max core file size"] == ["0", "0"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_the_process_cannot_be_dumped(upstream):
    """proc(5): what belongs to a process that is not dumpable belongs to root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        program = shutil.copy(BIN, folder)
        env = {"IBID_LISTEN": f"127.0.0.1:{free_port()}", "IBID_ADMIN_LISTEN": f"127.0.0.1:{free_port()}", "IBID_DATA_DIR": f"{folder}/data",
               "IBID_ENCODER_MODEL": "off", "IBID_LOCAL_MODEL": "off", "HOME": folder}
        proc = subprocess.Popen([program, "serve"], env=env, user=65534, group=65534, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 10
            while not os.path.exists(f"{folder}/data/admin.token") and time.monotonic() < end:
                time.sleep(0.02)
            assert "65534" in next(line for line in open(f"/proc/{proc.pid}/status") if line.startswith("Uid:"))
            assert os.stat(f"/proc/{proc.pid}/environ").st_uid == 0
        finally:
            proc.terminate()
            assert proc.wait(10) == 0
