"""A part that is missing or broken is named by /readyz and a metric, and costs no client its answer."""
import random
import shutil
import threading

import pytest

import conftest
from client import until
from conftest import DECODER, ENCODER, needs_decoder, needs_encoder
from upstream import answer
from wire import ask, chat_bytes, exchange

KEY = "sk-test"


def degraded(ibid, part):
    r = ibid.admin("/readyz")
    assert r.status == 200 and r.json["status"] == "degraded", r.body
    assert part in r.json["parts"], r.body
    return r.json["parts"][part]


def check_forwards(ibid, upstream, hits="exact"):
    """Misses go upstream, the same again is a hit, a stream is a stream."""
    before = len(upstream.posts())
    assert ask(ibid, "one").source == "upstream"
    assert ask(ibid, "one").source == hits
    r = ask(ibid, "two", stream=True)
    assert r.whole and r.body.endswith(b"data: [DONE]\n\n")
    assert len(upstream.posts()) == before + 2
    assert ibid.proc.poll() is None, ibid.read_log()


# --- the encoder ------------------------------------------------------------------------------------------


def broken_copy(path, to, damage):
    to.parent.mkdir(parents=True, exist_ok=True)
    for f in path.parent.iterdir():
        if f.is_file() and f != path:
            shutil.copy(f, to.parent / f.name)
    data = bytearray(path.read_bytes())
    damage(data)
    to.write_bytes(data)
    return to


def cut(part):
    def damage(data):
        del data[int(len(data) * part):]
    return damage


def flip_header(seed):
    def damage(data):
        rng = random.Random(seed)
        for _ in range(20):
            data[rng.randrange(min(4000, len(data)))] ^= 1 << rng.randrange(8)
    return damage


DAMAGES = {"empty": cut(0), "9 bytes": cut(9e-8), "half": cut(0.5), "all but the end": cut(0.9999),
           "header 1": flip_header(1), "header 2": flip_header(2), "header 3": flip_header(3),
           "text": lambda data: data.__setitem__(slice(None), b"no model\n" * 1000)}


@pytest.mark.parametrize("path", ["/nonexistent/model.safetensors", "no-such-model"])
def test_an_encoder_that_is_not_there(make_ibid, upstream, path):
    ibid = make_ibid(upstream, env={"IBID_ENCODER_MODEL": path})
    assert path.rpartition("/")[2].partition(".")[0] in degraded(ibid, "encoder")
    check_forwards(ibid, upstream)
    assert ibid.metric("ibid_encoder_texts_total") == 0


@needs_encoder
@pytest.mark.parametrize("name", DAMAGES)
def test_an_encoder_that_is_damaged(make_ibid, upstream, tmp_path, name):
    path = broken_copy(ENCODER, tmp_path / "models/enc/model.safetensors", DAMAGES[name])
    ibid = make_ibid(upstream, env={"IBID_ENCODER_MODEL": str(path)})
    assert degraded(ibid, "encoder")
    check_forwards(ibid, upstream)


@needs_encoder
def test_flipped_weights_are_no_crash(make_ibid, upstream, tmp_path):
    """Nothing checks weights at the start (`ibid models pull` did): whatever they give is compared by
    the guards, too, and never costs an answer."""
    def damage(data):
        rng = random.Random(5)
        for _ in range(20_000):
            data[rng.randrange(100_000, len(data))] ^= 0x40
    path = broken_copy(ENCODER, tmp_path / "models/enc/model.safetensors", damage)
    ibid = make_ibid(upstream, env={"IBID_ENCODER_MODEL": str(path)})
    for i in range(20):
        assert ask(ibid, f"How many legs has animal {i}?").text == f"answer {i + 1}"
    assert ibid.proc.poll() is None


@needs_encoder
@needs_decoder
def test_a_model_of_the_wrong_kind(make_ibid, upstream):
    gguf = next(DECODER.glob("*.gguf"))
    ibid = make_ibid(upstream, env={"IBID_ENCODER_MODEL": str(gguf), "IBID_LOCAL_MODEL": str(ENCODER)})
    assert degraded(ibid, "encoder") and degraded(ibid, "local_model")
    check_forwards(ibid, upstream)


@needs_encoder
def test_an_encoder_without_its_words(make_ibid, upstream, tmp_path):
    (tmp_path / "enc").mkdir()
    shutil.copy(ENCODER, tmp_path / "enc/model.safetensors")
    ibid = make_ibid(upstream, env={"IBID_ENCODER_MODEL": str(tmp_path / "enc/model.safetensors")})
    assert degraded(ibid, "encoder")
    check_forwards(ibid, upstream)


@needs_encoder
def test_an_encoder_that_is_too_slow(make_ibid, upstream):
    """Its queue full or its time over: forwarded, and counted."""
    ibid = make_ibid(upstream, encoder=True, env={"IBID_ENCODER_DEADLINE_MS": "1", "IBID_ENCODER_QUEUE_MAX": "1", "IBID_ENCODER_BATCH_MAX": "1"})
    assert ask(ibid, "proof").status == 200
    got = []
    text = "What is the meaning of the word " * 12
    threads = [threading.Thread(target=lambda i=i: got.append(ask(ibid, f"{text} {i}?").status)) for i in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [200] * 40
    assert ibid.metric("ibid_encoder_overload_total") + ibid.metric("ibid_encoder_timeouts_total") > 0


@needs_encoder
def test_questions_come_faster_than_they_are_embedded(make_ibid, upstream):
    """The queue stands: those that wait go on without a look-up long before their deadline, and say so. A burst waits."""
    ibid = make_ibid(upstream, encoder=True, env={"IBID_ENCODER_DEADLINE_MS": "20000", "IBID_ENCODER_WAIT_MAX_MS": "1", "IBID_ENCODER_BATCH_MAX": "1", "IBID_ENCODER_WORKERS": "1", "IBID_STORE_URL": "memory:"})
    assert ask(ibid, "proof").status == 200
    got, stop = [], threading.Event()

    def go_on(i):
        n = 0
        while not stop.is_set():
            n += 1
            r = ask(ibid, f"Could you explain to a beginner, in a few plain words and with one example from the kitchen, what baker {i} does with loaf {n}?")
            got.append((r.status, "encoder_behind" in r.headers["cache-status"]))

    threads = [threading.Thread(target=go_on, args=(i,)) for i in range(24)]
    [t.start() for t in threads]
    until(lambda: ibid.metric("ibid_encoder_shed_total") > 20, "questions that are passed by")
    stop.set()
    [t.join() for t in threads]
    assert {status for status, _ in got} == {200}
    assert sum(behind for _, behind in got) == ibid.metric("ibid_encoder_shed_total")
    assert any(not behind for _, behind in got) and ibid.metric("ibid_encoder_timeouts_total") == 0
    # Nothing waits any more, and the next one is looked up.
    until(lambda: ibid.metric("ibid_encoder_queue") == 0, "an empty queue")
    # What was stored meanwhile learns its vector now that nobody waits: all of it is found by meaning.
    stored = ibid.metric("ibid_cache_stored_total")
    until(lambda: ibid.metric("ibid_encoder_late") == 0, "that all is embedded", timeout=120)
    until(lambda: ibid.metric("ibid_index_entries") == stored, "that all is in the index")
    assert ibid.metric("ibid_encoder_late_dropped_total") == 0
    assert "encoder_behind" not in ask(ibid, "And a short one?").headers["cache-status"]


# --- the built-in model ----------------------------------------------------------------------------------


@needs_decoder
@pytest.mark.parametrize("name", ["empty", "half", "all but the end", "header 1", "header 2", "text"])
def test_a_built_in_model_that_is_damaged(make_ibid, upstream, tmp_path, name):
    gguf = next(DECODER.glob("*.gguf"))
    path = broken_copy(gguf, tmp_path / "models/dec" / gguf.name, DAMAGES[name])
    ibid = make_ibid(upstream, env={"IBID_LOCAL_MODEL": str(path)})
    assert degraded(ibid, "local_model")
    check_forwards(ibid, upstream)
    r = exchange(ibid.port, chat_bytes("who?", headers=["x-ibid-route: local"]))
    assert r.status == 503 and r.json["error"]["code"] == "no_answerer"


def test_nobody_can_answer(make_ibid):
    """Neither an upstream nor a model: it starts, says so, and each request is told by name."""
    ibid = make_ibid(env={"IBID_LOCAL_MODEL": "/nonexistent/model.gguf"})
    assert degraded(ibid, "local_model") and degraded(ibid, "answerer")
    r = ask(ibid, "anybody?")
    assert r.status == 503 and r.json["error"]["code"] == "no_answerer" and r.headers["retry-after"]
    assert ibid.admin("/healthz").status == 200


# --- store and index -------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "redis://nobody.onion:6379", "redis+unix:///nonexistent/socket", "lmdb:/proc/nothing"])
def test_a_store_that_cannot_be(make_ibid, upstream, url):
    ibid = make_ibid(upstream, env={"IBID_STORE_URL": url})
    check_forwards(ibid, upstream)  # hits from memory
    assert degraded(ibid, "store")
    assert ibid.metric("ibid_store_up") == 0


def test_without_memory_and_store_everything_is_forwarded(make_ibid, upstream):
    ibid = make_ibid(upstream, env={"IBID_STORE_URL": "redis://127.0.0.1:1", "IBID_STORE_MEMORY_ENTRIES_MAX": "0"})
    check_forwards_only = [ask(ibid, "same").source for _ in range(3)]
    assert check_forwards_only == ["upstream"] * 3
    assert ibid.metric("ibid_store_dropped_total") == 3


@needs_encoder
def test_a_full_index_costs_semantic_hits_only(make_ibid, upstream):
    ibid = make_ibid(upstream, encoder=True, env={"IBID_CACHE_INDEX_ENTRIES_MAX": "1"})
    for i in range(10):
        assert ask(ibid, f"Tell me about topic number {i}").status == 200
    check_forwards(ibid, upstream)
    assert ibid.metric("ibid_index_entries") <= 1


@needs_encoder
def test_little_memory_is_no_crash(make_ibid, upstream, tmp_path):
    """Address space runs out somewhere on the way: some part is missing, the rest serves."""
    outcomes = []
    for mib in (400, 300, 220, 160):
        path = tmp_path / "run"
        path.write_text(f'#!/bin/sh\nulimit -v {mib * 1024}\nexec {conftest.BIN} "$@"\n')
        path.chmod(0o755)
        old, conftest.BIN = conftest.BIN, str(path)
        try:
            ibid = make_ibid(upstream, encoder=True)
        except AssertionError as e:
            # It may not start; it may not crash.
            assert "ended with 1:" in str(e) or "ended with 127:" in str(e), e
            outcomes.append("refused")
            continue
        finally:
            conftest.BIN = old
        outcomes.append(ibid.admin("/readyz").json["status"])
        r = ask(ibid, f"one {mib}")
        assert r.status in (200, 502, 503), r.data
        assert ibid.proc.poll() is None
    print(outcomes)


@pytest.mark.parametrize("answerer", ["upstream", "local"])
def test_metrics_and_health_are_there_when_all_is_broken(make_ibid, tmp_path, answerer):
    ibid = make_ibid("http://127.0.0.1:1" if answerer == "upstream" else None,
                     env={"IBID_ENCODER_MODEL": "/nonexistent", "IBID_LOCAL_MODEL": "/nonexistent", "IBID_STORE_URL": "redis://127.0.0.1:1"})
    r = ask(ibid, "q")
    assert r.status == (502 if answerer == "upstream" else 503)
    assert {"encoder", "local_model", "store"} <= ibid.admin("/readyz").json["parts"].keys()
    assert ibid.metric("ibid_errors_total") == 1
    assert ibid.admin("/healthz").body == b"ok\n"
