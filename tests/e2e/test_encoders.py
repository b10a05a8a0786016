"""Every architecture of encoders against a NumPy forward pass, through `ibid embed`."""
import json
import os
import struct
import subprocess

import numpy as np
import pytest

import encoder_models as models
from client import post, prove, store, user
from conftest import BIN

MODELS = {
    "bert": models.bert,
    "bert-f16": lambda p: models.bert(p, dtype="F16"),
    "bert-cls": lambda p: models.bert(p, {"word_embedding_dimension": 64, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
    "bert-cls-named": lambda p: models.bert(p, {"embedding_dimension": 64, "pooling_mode": "cls", "include_prompt": True}, "cls"),
    "xlm-roberta": models.xlm_roberta,
    "nomic-bert": models.nomic,
    "bert.gguf": models.bert_gguf,
    "bert-cls.gguf": lambda p: models.bert_gguf(p, pooling=2),
    "bert-f16.gguf": lambda p: models.bert_gguf(p, "F16"),
    "bert-q8_0.gguf": lambda p: models.bert_gguf(p, "Q8_0"),
    "nomic-bert.gguf": models.nomic_gguf,
    "xlmr.gguf": models.xlmr_gguf,
    "xlmr-q8_0.gguf": lambda p: models.xlmr_gguf(p, "Q8_0"),
    "nomic-bert-q8_0.gguf": lambda p: models.nomic_gguf(p, "Q8_0"),
    "static": models.Static,
    "static-weights": lambda p: models.Static(p, weights=True, dtype="F16"),
    "static-unigram": lambda p: models.Static(p, models.unigram(bare=True)),
}


def embed(path, texts, *options, **env):
    variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}, **env}
    return subprocess.run([BIN, "embed", "-m", str(path), *options, *texts],
                          env=variables, capture_output=True, text=True, timeout=60)


def vectors(*args, **env):
    run = embed(*args, **env)
    if "IBID_KERNELS: there is no" in run.stderr:
        pytest.skip(run.stderr.strip())
    assert run.returncode == 0, run.stderr
    return np.array([json.loads(line) for line in run.stdout.splitlines()])


def known(model, texts=models.TEXTS):
    pairs = [(t, model.vector(t)) for t in texts]
    return [t for t, v in pairs if v is not None], np.array([v for _, v in pairs if v is not None])


@pytest.mark.parametrize("name", MODELS)
def test_floats_are_the_reference(tmp_path, name):
    model = MODELS[name](tmp_path / name)
    texts, want = known(model)
    got = vectors(model.path, texts, "--precision", "f32")
    assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max(), np.abs(got - want).max()
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("name", MODELS)
def test_bytes_are_close_to_it(tmp_path, name):
    model = MODELS[name](tmp_path / name)
    texts, want = known(model)
    cosine = (vectors(model.path, texts, "--precision", "int8") * want).sum(1)
    assert cosine.min() >= 0.995, cosine


@pytest.mark.parametrize("kernels", ["ref", "avx2", "avxvnni", "avx512vnni"])
def test_kernel_sets_agree(tmp_path, kernels):
    for name in ("nomic-bert", "bert"):
        model = MODELS[name](tmp_path / name)
        texts, want = known(model)
        got = vectors(model.path, texts, "--precision", "f32", IBID_KERNELS=kernels)
        assert np.abs(got - want).max() <= 1e-4 * np.abs(want).max()


def test_a_folder_may_hold_a_gguf(tmp_path):
    model = models.bert_gguf(tmp_path / "m.gguf")
    assert np.allclose(vectors(tmp_path, ["hello"]), vectors(model.path, ["hello"]))
    models.bert_gguf(tmp_path / "n.gguf")
    assert "model.safetensors" in refusal(tmp_path)


def test_a_prefix_is_part_of_the_text(tmp_path):
    model = models.bert(tmp_path / "bert")
    plain = vectors(model.path, ["hello world"], "--precision", "f32")
    got = vectors(model.path, ["hello world"], "--precision", "f32", IBID_ENCODER_PREFIX="query: ")
    want = model.vector("query: hello world")
    assert np.abs(got[0] - want).max() <= 1e-4 * np.abs(want).max() and np.abs(plain - got).max() > 1e-2


def test_the_pooling_may_be_set(tmp_path):
    model = models.bert(tmp_path / "bert")
    model.pooling = "cls"
    got = vectors(model.path, ["hello world"], "--precision", "f32", IBID_ENCODER_POOLING="cls")
    want = model.vector("hello world")
    assert np.abs(got[0] - want).max() <= 1e-4 * np.abs(want).max()


def test_a_static_model_says_what_it_does_not_know(tmp_path):
    run = embed(models.Static(tmp_path / "static").path, ["zebra xylophone"])
    assert run.returncode == 1 and "no word that the encoder knows" in run.stderr


def refusal(path, **env):
    run = embed(path, ["a"], **env)
    assert run.returncode == 1 and run.stdout == "" and run.stderr.count("\n") == 1, run
    return run.stderr


@pytest.mark.parametrize("change,word", [
    ({"model_type": "gpt2"}, "bert, xlm-roberta, nomic-bert, static"),
    ({"model_type": "mpnet"}, "model_type 'mpnet'"),
    ({"hidden_act": "relu"}, "hidden_act 'relu'"),
    ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM"),
    ({"hidden_size": 65}, "multiples of 64"),
    ({"num_attention_heads": 3}, "head"),
    ({"num_hidden_layers": 3}, "encoder.layer.2."),
    ({"vocab_size": 41}, "word_embeddings"),
    ({"type_vocab_size": 0}, "type_vocab_size"),
    ({"position_embedding_type": "relative_key"}, "relative_key"),
])
def test_another_bert_is_refused_by_name(tmp_path, change, word):
    model = models.bert(tmp_path / "bert")
    (model.path / "config.json").write_text(json.dumps(models.bert_config(len(models.WORDS), **change)))
    assert word in refusal(model.path)


@pytest.mark.parametrize("change,word", [
    ({"qkv_proj_bias": True}, "qkv_proj_bias"), ({"rotary_emb_interleaved": True}, "rotary_emb_interleaved"), ({"rotary_emb_fraction": 0.5}, "rotary_emb_fraction"),
    ({"activation_function": "gelu"}, "swiglu"), ({"prenorm": True}, "prenorm"), ({"num_experts": 8}, "num_experts"), ({"rotary_emb_base": 0}, "rotary_emb_base"),
])
def test_another_nomic_is_refused_by_name(tmp_path, change, word):
    model = models.nomic(tmp_path / "nomic")
    (model.path / "config.json").write_text(json.dumps(models.nomic_config(**change)))
    assert word in refusal(model.path)


@pytest.mark.parametrize("change,word", [
    ({"general.architecture": "llama"}, "bert, nomic-bert"), ({"bert.pooling_type": 4}, "pooling_type"), ({"bert.pooling_type": 3}, "pooling_type"),
    ({"bert.attention.causal": True}, "causal"), ({"bert.attention.head_count": 0}, "head_count"), ({"bert.attention.layer_norm_epsilon": 0.0}, "layer_norm_epsilon"),
    ({"bert.block_count": 3}, "blk.2."), ({"bert.block_count": 1}, "blk.1."), ({"tokenizer.ggml.model": "gpt2"}, "'gpt2'"), ({"bert.context_length": 65}, "position_embd"),
    ({"tokenizer.ggml.normalizer.strip_accents": False}, "strip_accents"),
])
def test_another_gguf_is_refused_by_name(tmp_path, change, word):
    tensors = models.matrices(np.random.default_rng(4), models.BERT_GGUF, len(models.WORDS), False)
    models.save_gguf(tmp_path / "m.gguf", models.gguf_keys("bert", **change), tensors, "F32")
    assert word in refusal(tmp_path / "m.gguf")


@pytest.mark.parametrize("change,word", [
    ({"tokenizer.ggml.unknown_token_id": 9999}, "unknown_token_id"), ({"tokenizer.ggml.add_eos_token": False}, "add_eos_token"),
    ({"tokenizer.ggml.scores": [0.0]}, "scores"), ({"tokenizer.ggml.precompiled_charsmap": "x"}, "precompiled_charsmap"),
])
def test_another_unigram_gguf_is_refused_by_name(tmp_path, change, word):
    words = len(models.unigram()["model"]["vocab"])
    tensors = models.matrices(np.random.default_rng(6), models.BERT_GGUF, words, False, types=1)
    models.save_gguf(tmp_path / "m.gguf", models.xlmr_keys(**change), tensors, "F32")
    assert word in refusal(tmp_path / "m.gguf")


def test_what_is_done_behind_the_pooling_is_refused(tmp_path):
    model = models.bert(tmp_path / "bert", {"pooling_mode_max_tokens": True})
    assert "1_Pooling" in refusal(model.path)
    (model.path / "1_Pooling/config.json").write_text("{\"pooling_mode_mean_tokens\": true}")
    (model.path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Dense"}]))
    assert "models.Dense" in refusal(model.path)


@pytest.mark.parametrize("name", ["bert", "bert-q8_0.gguf", "static"])
def test_memory_is_counted_before_it_is_taken(tmp_path, name):
    model = MODELS[name](tmp_path / name)
    assert "KiB" in refusal(model.path, IBID_ENCODER_MEMORY_MAX_BYTES="65536")
    assert embed(model.path, ["a"], IBID_ENCODER_MEMORY_MAX_BYTES="64MiB").returncode == 0


def test_broken_files_are_one_line(tmp_path):
    model = models.bert_gguf(tmp_path / "m.gguf")
    raw = model.path.read_bytes()
    for cut in (5, 40, 700, len(raw) - 1):
        model.path.write_bytes(raw[:cut])
        refusal(model.path)
    static = models.Static(tmp_path / "static")
    weights = static.path / "model.safetensors"
    raw = weights.read_bytes()
    for bad in (b"", raw[:4], raw[:-1], raw + b"x", struct.pack("<Q", 1 << 60) + raw[8:]):
        weights.write_bytes(bad)
        refusal(static.path)


def test_a_static_model_finds_the_same_question(make_ibid, upstream, tmp_path):
    """Through the proxy: all words but one are the same; another question is none."""
    model = models.Static(tmp_path / "static", width=64)
    ibid = make_ibid(upstream, env={"IBID_ENCODER_MODEL": str(model.path), "IBID_CACHE_THRESHOLD": "0.5"})
    prove(ibid, "k")
    one = store(ibid, user("How do I reset my password?"), key="k")
    two = post(ibid, user("how do I reset my password"), key="k")
    assert (two.source, two.text) == ("semantic", one.text), two.headers
    assert post(ibid, user("the cats sat on the mat"), key="k").source == "upstream"
    r = post(ibid, user("zebra xylophone"), key="k")
    assert r.source == "upstream" and "detail=text_unknown" in r.headers["cache-status"]
