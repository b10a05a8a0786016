"""`ibid models bench`: figures of a real model, and what is said when there are none."""
import json

import pytest

from conftest import DECODER, ENCODER, MODELS, ROOT, needs_decoder, needs_encoder
from test_cli import run

TEXT = ROOT / "bench/engine/ppl.txt"


def models(*args, **more):
    return run("models", *args, IBID_MODEL_DIR=MODELS, **more)


def of_json(*args):
    done = models(*args, "--json", "--quiet")
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


@needs_decoder
def test_a_decoder_is_timed():
    r = of_json("bench", "smollm2-135m-instruct", "-p", "32", "-n", "4", "-d", "16", "-t", "2", "-r", "2")
    assert (r["architecture"], r["weights"], r["threads"], r["prompt"], r["generate"], r["depth"]) == ("llama", "Q4_1", 2, 32, 4, 16)
    for what in ("prompt", "decode"):
        assert 0 < r[f"{what}_tokens_per_s_least"] <= r[f"{what}_tokens_per_s"] <= r[f"{what}_tokens_per_s_most"]
    r = of_json("bench", next(DECODER.glob("*.gguf")), "-p", "0", "-n", "2", "-r", "1")
    assert "prompt_tokens_per_s" not in r and r["decode_tokens_per_s"] > 0


@needs_encoder
def test_an_encoder_is_timed():
    r = of_json("bench", "all-minilm-l6-v2", "-r", "1")
    assert list(r["ms_p50"]) == ["8", "16", "32", "128", "256", "8x16"]
    assert all(0 < r["ms_least"][n] <= ms for n, ms in r["ms_p50"].items()) and r["ms_p50"]["8"] < r["ms_p50"]["256"]
    assert of_json("bench", str(ENCODER.parent), "--precision", "f32", "-r", "1")["weights"] == "f32"


@needs_decoder
@pytest.mark.timeout(300)
def test_perplexity_is_that_of_the_reference():
    r = of_json("bench", "smollm2-135m-instruct", "--perplexity", TEXT, "-c", "512", "-t", "2")
    assert r["chunks"] == 3 and r["tokens"] == 3 * 255
    # llama-perplexity of llama.cpp 0c1e57098bba says 16.8104 of this text.
    assert r["perplexity"] == pytest.approx(16.8104, rel=0.005) and r["perplexity_error"] == pytest.approx(1.706, rel=0.01)


@needs_decoder
def test_tables_for_people(tmp_path):
    done = models("bench", "smollm2-135m-instruct", "-p", "8", "-n", "2", "-r", "1")
    assert done.returncode == 0 and not done.stderr
    assert [line.split()[:1] for line in done.stdout.splitlines()[2:]] == [["prompt"], ["decode"]]
    (tmp_path / "short.txt").write_text("too short")
    done = models("bench", "smollm2-135m-instruct", "--perplexity", str(tmp_path / "short.txt"))
    assert done.returncode == 1 and "fewer than a chunk" in done.stderr and not done.stdout
    done = models("bench", "smollm2-135m-instruct", "-p", "100000", "-n", "0")
    assert done.returncode == 1 and "context of 8192" in done.stderr


def test_bench_refuses(tmp_path):
    for args in ([], ["m", "-p", "many"], ["m", "-t", "0"], ["m", "n"], ["m", "--precision", "int4"]):
        done = models("bench", *args)
        assert done.returncode == 2 and "usage: ibid models bench" in done.stderr and not done.stdout
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03\0\0\0")
    done = models("bench", str(tmp_path / "broken.gguf"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "GGUF" in done.stderr
    assert models("bench", "no-such-model").returncode == 1
