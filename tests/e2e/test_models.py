"""`ibid models show`, `bench` and `quantize`: what files say, figures of real models, and refusals."""
import json
import pathlib
import struct

import pytest

from conftest import DECODER, ENCODER, MODELS, ROOT, needs_decoder, needs_encoder
from test_cli import run

TEXT = ROOT / "bench/engine/ppl.txt"


def models(*args, **more):
    return run("models", *args, IBID_MODEL_DIR=MODELS, **more)


def of_json(*args):
    done = models(*args, "--json", "--quiet", timeout=300)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


def gguf(path, **texts):
    """A file of keys alone, all of them texts."""
    word = lambda t: struct.pack("<Q", len(t)) + t.encode()
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(texts)) + b"".join(word(k.replace("__", ".")) + struct.pack("<I", 8) + word(v) for k, v in texts.items()) + bytes(64))
    return str(path)


@needs_decoder
def test_show_says_what_a_model_would_need():
    r = of_json("show", "smollm2-135m-instruct", "--tensors")
    assert (r["architecture"], r["tokenizer"], r["pre_tokenizer"], r["chat_template"], r["supported"]) == ("llama", "gpt2", "smollm", "chatml", True)
    assert (r["layers"], r["dimensions"], r["heads"], r["kv_heads"], r["vocabulary"], r["context"]) == (30, 576, 9, 3, 49152, 8192)
    assert r["parameters"] == 134515008 and r["id"].startswith("xxh3:")
    assert sum(t["bytes"] for t in r["tensors"]) == r["weights_bytes"] < r["file_bytes"] and r["token_bytes"] > 0 and 2**20 < r["tokenizer_bytes"] < 2**24
    assert {t["name"]: (t["type"], t["shape"]) for t in r["tensors"]}["blk.0.attn_k.weight"] == ("Q4_1", [576, 192])
    said = models("show", "smollm2-135m-instruct", "--tensors").stdout
    assert f"id: {r['id']}" in said and "chat template: chatml" in said and said.count("tensor: ") == len(r["tensors"])


@needs_encoder
def test_show_of_an_encoder():
    r = of_json("show", "all-minilm-l6-v2")
    assert (r["architecture"], r["dimensions"]) == ("bert", 384) and f"id: {r['id']}" in models("show", "all-minilm-l6-v2").stdout


def test_show_goes_as_far_as_it_can(tmp_path):
    path = gguf(tmp_path / "other.gguf", general__architecture="mamba", tokenizer__ggml__model="none")
    r = of_json("show", path)
    assert (r["architecture"], r["supported"], r["session_bytes"]) == ("mamba", False, 0) and "mamba" in r["why"]
    assert "not supported: " in models("show", path).stdout


def test_show_names_the_place_of_what_is_broken(tmp_path):
    whole = gguf(tmp_path / "whole.gguf", general__architecture="llama")
    data = open(whole, "rb").read()
    for at in (3, 6, 20, 30, 60):
        (tmp_path / "cut.gguf").write_bytes(data[:at])
        done = models("show", str(tmp_path / "cut.gguf"))
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cut.gguf" in done.stderr and not done.stdout
    assert "byte" in done.stderr


@needs_decoder
def test_a_decoder_is_timed():
    r = of_json("bench", "smollm2-135m-instruct", "-p", "32", "-n", "4", "-d", "16", "-t", "2", "-r", "2")
    assert (r["architecture"], r["weights"], r["threads"], r["prompt"], r["generate"], r["depth"]) == ("llama", "Q4_1", 2, 32, 4, 16)
    for what in ("prompt", "decode"):
        assert 0 < r[f"{what}_tokens_per_s_least"] <= r[f"{what}_tokens_per_s"] <= r[f"{what}_tokens_per_s_most"]
    r = of_json("bench", next(DECODER.glob("*.gguf")), "-p", "0", "-n", "2", "-r", "1")
    assert "prompt_tokens_per_s" not in r and r["decode_tokens_per_s"] > 0


@pytest.mark.skipif(not pathlib.Path(MODELS, "gemma-3-270m").exists(), reason="model not there: ibid models pull gemma-3-270m")
def test_a_base_model_without_a_chat_template_is_shown_and_timed():
    r = of_json("show", "gemma-3-270m")
    assert (r["architecture"], r["chat_template"], r["supported"]) == ("gemma3", "", True) and r["session_bytes"] > 0
    assert "local.chat_template" in models("show", "gemma-3-270m").stdout
    assert of_json("bench", "gemma-3-270m", "-p", "8", "-n", "2", "-r", "1", "--forget")["decode_tokens_per_s"] > 0


@needs_encoder
def test_an_encoder_is_timed():
    r = of_json("bench", "all-minilm-l6-v2", "-r", "1")
    assert list(r["ms_p50"]) == ["8", "16", "32", "128", "256", "8x16"]
    assert all(0 < r["ms_least"][n] <= ms for n, ms in r["ms_p50"].items()) and r["ms_p50"]["8"] < r["ms_p50"]["256"]
    assert of_json("bench", str(ENCODER.parent), "--precision", "f32", "-r", "1")["weights"] == "f32"


@needs_decoder
@pytest.mark.timeout(600)
def test_perplexity_is_that_of_the_reference():
    r = of_json("bench", "smollm2-135m-instruct", "--perplexity", TEXT, "-c", "512", "-t", "2")
    assert r["chunks"] == 3 and r["tokens"] == 3 * 255
    # llama-perplexity of llama.cpp 0c1e57098bba says 16.8104 of this text.
    assert r["perplexity"] == pytest.approx(16.8104, rel=0.005) and r["perplexity_error"] == pytest.approx(1.706, rel=0.01)


@needs_decoder
def test_tables_for_people(tmp_path):
    done = models("bench", "smollm2-135m-instruct", "-p", "8", "-n", "2", "-r", "1", "--forget")
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


@needs_decoder
def test_quantize_refuses(tmp_path):
    model, out = str(next(DECODER.glob("*.gguf"))), tmp_path / "out.gguf"
    for args, says in ((["Q4_0"], "--requantize"), (["IQ2_XS", "--requantize"], "say --imatrix"), (["Q4_1", "--requantize"], "to: F16, Q8_0"),
                       (["Q4_0", "--requantize", "--imatrix", str(tmp_path / "none.txt")], "none.txt"), (["Q4_0", "--requantize", "--imatrix", model], "no importance matrix")):
        done = models("quantize", model, str(out), *args)
        assert done.returncode == 1 and done.stderr.count("\n") == 1 and says in done.stderr and not list(tmp_path.iterdir())
    out.write_text("mine")
    done = models("quantize", model, str(out), "Q4_0", "--requantize")
    assert done.returncode == 1 and "is there already" in done.stderr and out.read_text() == "mine"
    assert models("quantize", model, "Q4_0").returncode == 2


@needs_decoder
@pytest.mark.timeout(600)
def test_an_importance_matrix_is_made_once(tmp_path):
    model, text, kept = str(next(DECODER.glob("*.gguf"))), tmp_path / "text.txt", tmp_path / "text.imatrix"
    text.write_text(TEXT.read_text()[:3000])
    for args in (["--imatrix", str(text), "--save-imatrix", str(kept)], ["--imatrix", str(kept)]):
        out = tmp_path / "out.gguf"
        done = models("quantize", model, str(out), "Q8_0", "--requantize", *args, timeout=400)
        assert done.returncode == 0 and "210 of them by the importance of their columns" in done.stderr, done.stderr
        out.unlink()
    data = kept.read_bytes()
    assert data.startswith(b"GGUF") and b"text.txt" in data and b"blk.29.ffn_down.weight.in_sum2" in data and str(tmp_path).encode() not in data
    done = models("quantize", model, str(out), "Q8_0", "--requantize", "--imatrix", str(kept), "--save-imatrix", str(tmp_path / "again"))
    assert done.returncode == 1 and "importance matrix already" in done.stderr and not out.exists()
    assert models("quantize", model, str(out), "Q8_0", "--save-imatrix", str(kept)).returncode == 2


@needs_decoder
@pytest.mark.timeout(600)
def test_quantize_keeps_what_a_model_says(tmp_path):
    model, out = next(DECODER.glob("*.gguf")), tmp_path / "out.gguf"
    done = models("quantize", str(model), str(out), "Q8_0", "--requantize", timeout=400)
    assert done.returncode == 0 and "211 tensors quantized, 61 kept" in done.stderr and list(tmp_path.iterdir()) == [out]
    before, after = of_json("show", str(model), "--tensors"), of_json("show", str(out), "--tensors")
    for key in ("architecture", "tokenizer", "pre_tokenizer", "chat_template", "layers", "context", "vocabulary", "parameters"):
        assert before[key] == after[key], key
    assert [(t["name"], t["shape"]) for t in before["tensors"]] == [(t["name"], t["shape"]) for t in after["tensors"]]
    assert {t["type"] for t in after["tensors"]} == {"F32", "Q8_0"} and after["supported"]
    r = of_json("bench", str(out), "--perplexity", TEXT, "-c", "512", "-t", "2")
    assert r["perplexity"] == pytest.approx(16.8104, rel=0.02)


@needs_decoder
def test_how_fast_a_model_is_here_is_kept_and_the_router_knows_it(make_ibid, upstream, tmp_path):
    """Its own folder of models: what others measure there is not what is looked at."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / DECODER.name).symlink_to(DECODER)
    env = {"IBID_MODEL_DIR": str(folder)}
    done = run("models", "bench", DECODER.name, "-p", "8", "-n", "2", "-r", "1", "-q", **env)
    assert done.returncode == 0, done.stderr
    (known,) = json.loads((folder / "speeds.json").read_text())["models"]
    assert known["decode_tokens_per_s"] > 0 and known["threads"] == 1
    row = next(x for x in run("models", "list", **env).stdout.splitlines() if x.startswith(DECODER.name))
    assert f"{known['prompt_tokens_per_s']:.0f}, {known['decode_tokens_per_s']:.0f} ({known['measured']}" in row
    # A second a token: an answer would be late, and nobody has to wait to find out.
    known["decode_tokens_per_s"] = 1
    (folder / "speeds.json").write_text(json.dumps({"models": [known]}))
    ibid = make_ibid(upstream, local=True, env=env, config="route: {models: auto, classifier: off, confidence_min: 0.01, deadline_ms: 3000}\n")
    far, near = (ibid.chat("Name a colour.", model="auto", max_tokens=n, headers={"x-ibid-cache": "no-cache, no-store"}) for n in (40, 2))
    assert far.headers["x-ibid-route"].startswith("upstream; reason=deadline")
    assert near.headers["x-ibid-route"].startswith(("local; reason=first", "upstream; reason=escalated"))
    shown = next(m for m in ibid.admin("/admin/v1/models", ibid.token()).json["models"])
    assert shown["measured"]["tokens_per_s"] == 1 and shown["context_max"] == 2048 and shown["json"] and not shown["tools"]
