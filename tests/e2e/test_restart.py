"""What a process leaves behind when it dies, and what the next one makes of it."""
import os
import random
import resource
import shutil
import stat
import threading
import time

import pytest

import conftest
from conftest import BIN, Ibid, needs_encoder
from upstream import answer
from wire import ask

KEY = "sk-known"
PAIRS = [("How do I reset my password?", "How can I reset my password?"),
         ("What is the capital of France?", "what's the capital city of France"),
         ("How do I install Python on Debian?", "How can I install Python on Debian?")]


@pytest.fixture
def known(tmp_path):
    """A credential that needs no proof, so that a hit is possible before the upstream was asked."""
    path = tmp_path / "accept"
    path.write_text(KEY + "\n")
    return {"IBID_UPSTREAM_ACCEPT_FILE": str(path)}


def right(question):
    return f"the answer to <{question}>"


def answering(upstream):
    upstream.default = lambda r: answer(right(r.json["messages"][-1]["content"]), usage=(3, 5))


def confirmed(ibid, n, timeout=10):
    ibid.wait_metric("ibid_store_puts_total", n, timeout)


def cached(ibid, question):
    """True: the right answer; False: none. Anything else is wrong."""
    r = ibid.chat(question, key=KEY, headers={"x-ibid-cache": "only-if-cached"})
    if r.status == 504:
        return False
    assert r.status == 200 and r.text == right(question), r.body
    return True


def stored_file(ibid):
    return ibid.dir / "data/entries.lmdb"


def fill(ibid, n, prefix="q", before=0):
    """`before`: answers that this process has stored already."""
    for i in range(n):
        assert ibid.chat(f"{prefix} {i}", key=KEY).text == right(f"{prefix} {i}")
    confirmed(ibid, before + n)


# --- killed --------------------------------------------------------------------------------------------


@needs_encoder
def test_killed_it_knows_questions_and_paraphrases(make_ibid, upstream, known):
    answering(upstream)
    ibid = make_ibid(upstream, encoder=True, env=known | {"IBID_CACHE_THRESHOLD": "0.5"})
    for question, _ in PAIRS:
        assert ibid.chat(question, key=KEY).source == "upstream"
    confirmed(ibid, len(PAIRS))
    before = len(upstream.posts())
    ibid.kill()
    ibid.start()
    ibid.wait_metric("ibid_index_ready", 1)
    ibid.wait_metric("ibid_index_entries", len(PAIRS))
    for question, other in PAIRS:
        r = ibid.chat(other, key=KEY)
        assert (r.source, r.text) == ("semantic", right(question)), r.headers
    for question, _ in PAIRS:
        r = ibid.chat(question, key=KEY)
        assert (r.source, r.text) == ("exact", right(question))
    assert len(upstream.posts()) == before and ibid.metric("ibid_cache_stored_total") == 0
    # Another credential has none of it.
    assert ibid.chat(PAIRS[0][0], key="sk-other").source == "upstream"


def test_killed_while_writing_again_and_again(make_ibid, upstream, known):
    """15 rounds: it always starts; what was confirmed is there; nothing is ever wrong."""
    answering(upstream)
    ibid = make_ibid(upstream, env=known)
    rng = random.Random(4)
    sure, perhaps = [], []
    for n in range(15):
        fill(ibid, 5, f"round {n} sure")
        sure += [f"round {n} sure {i}" for i in range(5)]
        stop = threading.Event()
        asked = []

        def write(worker):
            for i in range(200):
                if stop.is_set():
                    return
                try:
                    q = f"round {n} worker {worker} {i} " + "x" * rng.randrange(20_000)
                    asked.append(q)
                    ibid.chat(q, key=KEY)
                except (OSError, ValueError, conftest.http.client.HTTPException):
                    return

        threads = [threading.Thread(target=write, args=(w,)) for w in range(3)]
        for t in threads:
            t.start()
        time.sleep(rng.uniform(0.005, 0.15))
        ibid.kill()
        stop.set()
        for t in threads:
            t.join()
        perhaps += asked
        ibid.start()
        assert ibid.admin("/readyz").json["status"] == "ready"
        for q in sure[-5:]:
            assert cached(ibid, q), q
        found = sum(cached(ibid, q) for q in asked)
        assert found <= len(asked)
    for q in sure:
        assert cached(ibid, q), q
    for q in rng.sample(perhaps, min(200, len(perhaps))):
        cached(ibid, q)
    assert ibid.metric("ibid_store_corrupt_total") == 0


# --- damaged -------------------------------------------------------------------------------------------


def check_serves(ibid, questions, upstream):
    """It answers, nothing wrong, and new answers are kept."""
    found = sum(cached(ibid, q) for q in questions)
    fresh = f"fresh {time.monotonic()}"
    assert ibid.chat(fresh, key=KEY).text == right(fresh)
    assert ibid.chat(fresh, key=KEY).source == "exact"
    assert ibid.proc.poll() is None, ibid.read_log()
    return found


@pytest.fixture
def revive(make_ibid, upstream, known, tmp_path):
    """start(damage): an ibid on a damaged copy of 40 entries, small and large, of one that was killed."""
    answering(upstream)
    ibid = make_ibid(upstream, env=known)
    questions = [f"question {i} " + "y" * (i * 700) for i in range(40)]
    for q in questions:
        assert ibid.chat(q, key=KEY).status == 200
    confirmed(ibid, len(questions))
    ibid.kill()
    data = ibid.dir / "data"
    shutil.copytree(data, tmp_path / "original")

    def start(damage):
        if ibid.proc.poll() is None:
            ibid.kill()
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "original", data)
        damage(stored_file(ibid))
        (ibid.dir / "log").write_text("")
        ibid.start()
        return ibid

    return start, questions


def flip(file, rng, bits, where=None):
    with open(file, "r+b") as f:
        size = f.seek(0, 2)
        for _ in range(bits):
            at = rng.randrange(*(where or (0, size)))
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << rng.randrange(8)]))


def test_an_undamaged_copy_has_everything(revive, upstream):
    start, questions = revive
    ibid = start(lambda file: None)
    assert check_serves(ibid, questions, upstream) == len(questions)


@pytest.mark.parametrize("bits", [1, 8, 100])
def test_flipped_bits_are_never_an_answer(revive, upstream, bits):
    """Anywhere in the file, and more often in its first pages, which say where everything is."""
    start, questions = revive
    rng = random.Random(bits)
    found = []
    for n in range(24):
        where = (0, 8192) if n % 3 == 0 else None
        ibid = start(lambda file: flip(file, rng, bits, where))
        found.append(check_serves(ibid, questions, upstream))
    print("found of 40, by round:", found)
    assert bits > 1 or max(found) >= 39


def test_flipped_bits_in_the_tree(revive, upstream):
    """Pages of the tree only: those that hold record headers, not answers."""
    start, questions = revive
    rng = random.Random(11)

    def damage(file):
        data = file.read_bytes()
        pages = [p for p in range(0, len(data), 4096) if p >= 8192 and data[p + 10] & 3 and data[p + 10] < 4]
        assert pages
        for _ in range(3):
            page = rng.choice(pages)
            flip(file, rng, 1, (page, page + 200))

    for n in range(40):
        check_serves(start(damage), questions[::5], upstream)


def test_a_cut_file_is_begun_anew(revive, upstream):
    start, questions = revive
    rng = random.Random(3)
    for n in range(12):
        def cut(file):
            size = file.stat().st_size
            os.truncate(file, [0, 1, 4096, 8192, size - 1, size // 2, size - 4096][n] if n < 7 else rng.randrange(size))

        ibid = start(cut)
        check_serves(ibid, questions, upstream)
        assert ibid.admin("/readyz").json["status"] == "ready"
    assert (ibid.dir / "data/entries.lmdb.bad").exists() and "store_set_aside" in ibid.read_log()


@pytest.mark.parametrize("content", [b"", b"\0" * 65536, b"nothing of a database\n" * 1000], ids=["empty", "zeros", "text"])
def test_a_file_that_is_no_store_is_set_aside(revive, upstream, content):
    start, questions = revive
    ibid = start(lambda file: file.write_bytes(content))
    assert check_serves(ibid, questions, upstream) == 0
    # What was begun anew outlives the next kill.
    fill(ibid, 3, "anew", before=1)
    ibid.kill()
    ibid.start()
    assert all(cached(ibid, f"anew {i}") for i in range(3))


# --- no room, no right ----------------------------------------------------------------------------------


def degraded(ibid, part="store"):
    r = ibid.admin("/readyz")
    assert r.status == 200 and r.json["status"] == "degraded", r.body
    return r.json["parts"][part]


def test_a_store_that_cannot_be_opened_is_named(make_ibid, upstream, known, tmp_path):
    answering(upstream)
    folder = tmp_path / "taken"
    (folder / "entries.lmdb").mkdir(parents=True)
    ibid = make_ibid(upstream, env=known | {"IBID_STORE_URL": f"lmdb:{folder}"})
    assert degraded(ibid)
    assert ibid.metric("ibid_store_up") == 0
    check_serves(ibid, [], upstream)


class Unprivileged(Ibid):
    """Without the right to write where the mode forbids it, which root has."""

    def start(self, wait=True):
        tool = shutil.which("setpriv")
        if os.geteuid() == 0 and tool:
            path = self.dir / "run"
            path.write_text(f'#!/bin/sh\nexec {tool} --bounding-set -dac_override,-dac_read_search {BIN} "$@"\n')
            path.chmod(0o755)
            old, conftest.BIN = conftest.BIN, str(path)
            try:
                super().start(wait)
            finally:
                conftest.BIN = old
        else:
            super().start(wait)


@pytest.fixture
def unprivileged(upstream, known, tmp_path):
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root may write everywhere, and setpriv is not there: apt install util-linux")
    ibid = Unprivileged(tmp_path, upstream, env=known)
    yield ibid
    ibid.stop()


def test_a_read_only_folder_is_served_from_memory(unprivileged, upstream):
    ibid = unprivileged
    answering(upstream)
    fill(ibid, 3)
    ibid.kill()
    data = ibid.dir / "data"
    for f in data.iterdir():
        f.chmod(0o400)
    data.chmod(0o500)
    try:
        ibid.start()
        assert "denied" in degraded(ibid)
        assert check_serves(ibid, [f"q {i}" for i in range(3)], upstream) == 0
    finally:
        data.chmod(0o700)
        for f in data.iterdir():
            f.chmod(0o600)
    ibid.kill()
    ibid.start()
    assert all(cached(ibid, f"q {i}") for i in range(3))


def test_a_full_disk_costs_the_store_and_nothing_else(make_ibid, upstream, known):
    """RLIMIT_FSIZE as the disk: writes fail in the middle, then go on when there is room again."""
    answering(upstream)
    ibid = make_ibid(upstream, env=known)
    fill(ibid, 10)
    size = stored_file(ibid).stat().st_size
    limit = resource.prlimit(ibid.proc.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(ibid.proc.pid, resource.RLIMIT_FSIZE, (size + 64 * 1024, limit[1]))
    for i in range(40):
        q = f"full {i} " + "z" * 20_000
        assert ibid.chat(q, key=KEY).text == right(q)
        assert ibid.chat(q, key=KEY).source == "exact"
    assert ibid.proc.poll() is None
    end = time.monotonic() + 10
    while ibid.metric("ibid_store_errors_total") + ibid.metric("ibid_store_evictions_total") == 0:
        assert time.monotonic() < end
        time.sleep(0.02)
    for i in range(10):
        cached(ibid, f"q {i}")
    assert "disk is full" in degraded(ibid) or "too large" in degraded(ibid)
    # Right at the limit a write is a signal, which by default kills.
    resource.prlimit(ibid.proc.pid, resource.RLIMIT_FSIZE, (4096, limit[1]))
    for i in range(5):
        assert ibid.chat(f"no room at all {i}", key=KEY).status == 200
    time.sleep(0.2)
    assert ibid.proc.poll() is None
    resource.prlimit(ibid.proc.pid, resource.RLIMIT_FSIZE, limit)
    puts = ibid.metric("ibid_store_puts_total")
    for i in range(5):
        assert ibid.chat(f"room again {i}", key=KEY).status == 200
    ibid.wait_metric("ibid_store_puts_total", puts + 5)
    assert ibid.admin("/readyz").json["status"] == "ready"
    ibid.kill()
    ibid.start()
    assert all(cached(ibid, f"room again {i}") for i in range(5))
    for i in range(40):
        cached(ibid, f"full {i} " + "z" * 20_000)


def test_secrets_are_for_the_owner_only(make_ibid, upstream):
    old = os.umask(0)
    try:
        ibid = make_ibid(upstream)
    finally:
        os.umask(old)
    data = ibid.dir / "data"
    for name in ("secret", "admin.token"):
        mode = stat.S_IMODE((data / name).stat().st_mode)
        assert mode == 0o600, (name, oct(mode))
    assert stat.S_IMODE(data.stat().st_mode) & 0o077 == 0
    for f in data.iterdir():
        assert stat.S_IMODE(f.stat().st_mode) & 0o077 == 0, f
    secret = (data / "secret").read_bytes()
    assert len(secret.strip()) >= 32 and secret.strip().decode() not in ibid.read_log()


def test_a_second_ibid_in_the_same_folder_goes_without_the_store(make_ibid, upstream, known):
    answering(upstream)
    one = make_ibid(upstream, name="shared", env=known)
    fill(one, 3)
    two = make_ibid(upstream, name="shared", env=known)
    assert f"in use by process {one.proc.pid}" in degraded(two)
    assert check_serves(two, [f"q {i}" for i in range(3)], upstream) == 0
    assert check_serves(one, [f"q {i}" for i in range(3)], upstream) == 3
    assert one.kill(15) == 0
    # Its place is taken by whoever starts next.
    one.start()
    assert one.admin("/readyz").json["status"] == "ready"
    assert check_serves(one, [f"q {i}" for i in range(3)], upstream) == 3
