"""Tiny encoders of random weights, written as people's files are, and their vectors in float64.

Shares nothing with the program: forward passes as plainly as the papers say them, tokens by the
`tokenizers` library, safetensors and GGUF written from their descriptions."""
import json
import math
import struct

import numpy as np
from tokenizers import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "b", "##b", "c", "##c", "the", "cat", "dog", "##s", "sat", "on", "mat", "hello",
         "world", ",", ".", "?", "how", "do", "i", "reset", "my", "pass", "##word", "can", "query", ":", "search", "_", "\u00e9t\u00e9", "caf\u00e9", "cafe", "\u4e2d", "2"]
TEXTS = ["the cats sat on the mat.", "hello world", "How do I reset my password?", "", "caf\u00e9 \u4e2d a, b zebra", "a " * 40, "cababc 2 ? [SEP] dogs"]


def wordpiece(bare=False):
    special = [{"id": i, "content": WORDS[i], "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": False} for i in range(5)]
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": None,
        "post_processor": None if bare else {"type": "TemplateProcessing", "single": template, "pair": template, "special_tokens": {
            name: {"id": name, "ids": [WORDS.index(name)], "tokens": [name]} for name in ("[CLS]", "[SEP]")}},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": {w: i for i, w in enumerate(WORDS)}},
    }


def unigram(bare=False):
    pieces = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0]] + [["\u2581" + w, -2.0 - i / 7] for i, w in enumerate(WORDS[5:]) if w[0] != "#"]
    pieces += [[c, -6.0 - i / 9] for i, c in enumerate("\u2581abcdehlmnoprstuw,.?")]
    template = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "decoder": None,
        "added_tokens": [{"id": i, "content": pieces[i][0], "special": True, "normalized": False, "single_word": False, "lstrip": False, "rstrip": False} for i in range(4)],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": None if bare else {"type": "TemplateProcessing", "single": template, "pair": template, "special_tokens": {
            "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}},
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False, "vocab": pieces},
    }


# --- files ----------------------------------------------------------------------------------


def save_safetensors(path, tensors, dtype="F32"):
    kind = {"F32": np.float32, "F16": np.float16}[dtype]
    head, data = {}, b""
    for name, v in tensors.items():
        raw = np.ascontiguousarray(v.astype(kind)).tobytes()
        head[name] = {"dtype": dtype, "shape": list(v.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def q8_0(v):
    """Blocks of 32: a half-precision scale and bytes. Returns the bytes, and the values they are."""
    rows = v.reshape(-1, 32)
    scale = (np.abs(rows).max(1) / 127).astype(np.float16)
    codes = np.rint(rows / np.maximum(scale.astype(np.float64), 1e-30)[:, None]).clip(-127, 127).astype(np.int8)
    raw = b"".join(s.tobytes() + c.tobytes() for s, c in zip(scale, codes))
    return raw, (codes * scale.astype(np.float64)[:, None]).reshape(v.shape)


def gguf_value(v):
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    if isinstance(v[0], str):
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text, v))
    if isinstance(v[0], float):
        return struct.pack("<IIQ", 9, 6, len(v)) + struct.pack(f"<{len(v)}f", *v)
    return struct.pack("<IIQ", 9, 5, len(v)) + struct.pack(f"<{len(v)}i", *v)


def save_gguf(path, keys, tensors, kind):
    """Vectors stay F32, as the converter leaves them. Returns the values that are in the file."""
    infos, data, kept = b"", b"", {}
    for name, v in tensors.items():
        as_kind = kind if v.ndim == 2 else "F32"
        if as_kind == "Q8_0":
            raw, kept[name] = q8_0(v)
        else:
            values = v.astype({"F32": np.float32, "F16": np.float16}[as_kind])
            raw, kept[name] = values.tobytes(), values.astype(np.float64)
        infos += struct.pack("<Q", len(name)) + name.encode() + struct.pack(f"<I{v.ndim}QIQ", v.ndim, *v.shape[::-1], {"F32": 0, "F16": 1, "Q8_0": 8}[as_kind], len(data))
        data += raw + bytes(-len(raw) % 32)
    pairs = b"".join(struct.pack("<Q", len(k)) + k.encode() + gguf_value(v) for k, v in keys.items())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + pairs + infos
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return kept


# --- architectures --------------------------------------------------------------------------

D, FFN, HEADS, LAYERS, POSITIONS = 64, 128, 2, 2, 64


def matrices(rng, names, words, rotary, types=2, first=0):
    """Weights under the names of `names`, as in its file."""
    t, r = {}, lambda *shape: rng.normal(0, 0.25, shape)

    def norm(name):
        t[name + ".weight"], t[name + ".bias"] = 1 + rng.normal(0, 0.2, D), rng.normal(0, 0.1, D)

    def dense(name, rows, cols):
        t[name + ".weight"] = r(rows, cols)
        if not rotary:
            t[name + ".bias"] = rng.normal(0, 0.1, rows)

    t[names["words"] + ".weight"] = r(words, D)
    if not rotary:
        t[names["positions"] + ".weight"] = r(POSITIONS + first, D)
    t[names["types"] + ".weight"] = r(types, D)
    norm(names["norm"])
    for i in range(LAYERS):
        at = f"{names['layer']}{i}."
        for part in names["qkv"]:
            dense(at + part, D * 3 // len(names["qkv"]), D)
        dense(at + names["out"], D, D)
        for part in names["up"]:
            dense(at + part, FFN, D)
        dense(at + names["down"], D, FFN)
        norm(at + names["norm1"])
        norm(at + names["norm2"])
    return t


BERT = dict(words="embeddings.word_embeddings", positions="embeddings.position_embeddings", types="embeddings.token_type_embeddings", norm="embeddings.LayerNorm",
            layer="encoder.layer.", qkv=["attention.self.query", "attention.self.key", "attention.self.value"], out="attention.output.dense", up=["intermediate.dense"],
            down="output.dense", norm1="attention.output.LayerNorm", norm2="output.LayerNorm")
NOMIC = dict(words="embeddings.word_embeddings", types="embeddings.token_type_embeddings", norm="emb_ln", layer="encoder.layers.", qkv=["attn.Wqkv"], out="attn.out_proj",
             up=["mlp.fc11", "mlp.fc12"], down="mlp.fc2", norm1="norm1", norm2="norm2")
GGUF = dict(words="token_embd", positions="position_embd", types="token_types", norm="token_embd_norm", layer="blk.", out="attn_output", down="ffn_down",
            norm1="attn_output_norm", norm2="layer_output_norm")
BERT_GGUF = {**GGUF, "qkv": ["attn_q", "attn_k", "attn_v"], "up": ["ffn_up"]}
NOMIC_GGUF = {**GGUF, "qkv": ["attn_qkv"], "up": ["ffn_up", "ffn_gate"]}


class Model:
    """One model: its folder or file, and its vectors."""

    def __init__(self, path, tensors, names, tokenizer, pooling="mean", rotary=False, first=0, eps=1e-12, base=1000.0):
        self.path, self.t, self.names, self.pooling = path, tensors, names, pooling
        self.rotary, self.first, self.eps, self.base = rotary, first, eps, base
        self.tokenizer = Tokenizer.from_str(json.dumps(tokenizer))

    def dense(self, x, name):
        y = x @ self.t[name + ".weight"].T
        return y + self.t[name + ".bias"] if name + ".bias" in self.t else y

    def norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps)
        return x * self.t[name + ".weight"] + self.t[name + ".bias"]

    def turned(self, x):
        """[head, position, width] by NEOX rotary positions."""
        half = x.shape[-1] // 2
        angle = np.arange(x.shape[1])[:, None] * self.base ** (-np.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)

    def layer(self, x, at):
        n = self.names
        qkv = np.concatenate([self.dense(x, at + part) for part in n["qkv"]], -1)
        q, k, v = (p.reshape(len(x), HEADS, -1).swapaxes(0, 1) for p in np.split(qkv, 3, -1))
        if self.rotary:
            q, k = self.turned(q), self.turned(k)
        s = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        p = np.exp(s - s.max(-1, keepdims=True))
        mixed = ((p / p.sum(-1, keepdims=True)) @ v).swapaxes(0, 1).reshape(len(x), -1)
        x = self.norm(x + self.dense(mixed, at + n["out"]), at + n["norm1"])
        up = self.dense(x, at + n["up"][0])
        if self.rotary:
            gate = self.dense(x, at + n["up"][1])
            up = up * gate / (1 + np.exp(-gate))
        else:
            up = 0.5 * up * (1 + np.vectorize(math.erf)(up / math.sqrt(2)))
        return self.norm(x + self.dense(up, at + n["down"]), at + n["norm2"])

    def vector(self, text):
        ids, n = self.tokenizer.encode(text).ids, self.names
        x = self.t[n["words"] + ".weight"][ids] + self.t[n["types"] + ".weight"][0]
        if not self.rotary:
            x = x + self.t[n["positions"] + ".weight"][self.first:self.first + len(ids)]
        x = self.norm(x, n["norm"])
        for i in range(LAYERS):
            x = self.layer(x, f"{n['layer']}{i}.")
        x = x[0] if self.pooling == "cls" else x.mean(0)
        return x / np.linalg.norm(x)


def folder(path, config, tensors, tokenizer, pooling=None, dtype="F32"):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer.json").write_text(json.dumps(tokenizer))
    if pooling:
        (path / "1_Pooling").mkdir()
        (path / "1_Pooling/config.json").write_text(json.dumps(pooling))
    save_safetensors(path / "model.safetensors", tensors, dtype)
    return path


def bert_config(words, **changes):
    return {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": D, "intermediate_size": FFN, "num_attention_heads": HEADS,
            "num_hidden_layers": LAYERS, "max_position_embeddings": POSITIONS, "vocab_size": words, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0, **changes}


def bert(path, pooling=None, mode="mean", dtype="F32"):
    t, tokens = matrices(np.random.default_rng(1), BERT, len(WORDS), False), wordpiece()
    if dtype == "F16":
        t = {k: v.astype(np.float16).astype(np.float64) for k, v in t.items()}
    return Model(folder(path, bert_config(len(WORDS)), t, tokens, pooling, dtype), t, BERT, tokens, mode)


def xlm_roberta(path):
    tokens = unigram()
    words = len(tokens["model"]["vocab"])
    t = matrices(np.random.default_rng(2), BERT, words, False, types=1, first=2)
    config = bert_config(words, model_type="xlm-roberta", architectures=["XLMRobertaModel"], max_position_embeddings=POSITIONS + 2, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
    return Model(folder(path, config, {"roberta." + k: v for k, v in t.items()}, tokens), t, BERT, tokens, first=2, eps=1e-5)


def nomic_config(**changes):
    return {"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "activation_function": "swiglu", "n_embd": D, "n_inner": FFN, "n_head": HEADS, "n_layer": LAYERS,
            "n_positions": 2048, "vocab_size": len(WORDS), "type_vocab_size": 2, "layer_norm_epsilon": 1e-12, "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
            "prenorm": False, "rotary_emb_fraction": 1.0, "rotary_emb_base": 1000, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "causal": False, **changes}


def nomic(path):
    t, tokens = matrices(np.random.default_rng(3), NOMIC, len(WORDS), True), wordpiece()
    return Model(folder(path, nomic_config(), t, tokens), t, NOMIC, tokens, rotary=True)


def gguf_keys(architecture, **changes):
    phantom = [w if i < 5 else w[2:] if w.startswith("##") else "\u2581" + w for i, w in enumerate(WORDS)]
    a = architecture
    keys = {"general.architecture": a, f"{a}.embedding_length": D, f"{a}.feed_forward_length": FFN, f"{a}.attention.head_count": HEADS, f"{a}.block_count": LAYERS,
            f"{a}.context_length": POSITIONS, f"{a}.attention.layer_norm_epsilon": 1e-12, f"{a}.attention.causal": False, f"{a}.pooling_type": 1,
            "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": phantom, "tokenizer.ggml.token_type": [3] * 5 + [1] * (len(WORDS) - 5), "tokenizer.ggml.token_type_count": 2}
    if a == "nomic-bert":
        keys[f"{a}.rope.freq_base"] = 1000.0
    return {**keys, **changes}


def bert_gguf(path, kind="F32", pooling=1):
    t = matrices(np.random.default_rng(4), BERT_GGUF, len(WORDS), False)
    kept = save_gguf(path, gguf_keys("bert", **{"bert.pooling_type": pooling}), t, kind)
    return Model(path, kept, BERT_GGUF, wordpiece(), "cls" if pooling == 2 else "mean")


def xlmr_keys(**changes):
    """As llama.cpp's converter writes XLM-RoBERTa: a bert with another tokenizer."""
    pieces = unigram()["model"]["vocab"]
    return gguf_keys("bert", **{"bert.attention.layer_norm_epsilon": 1e-5, "tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": [t for t, _ in pieces],
                                "tokenizer.ggml.scores": [s for _, s in pieces], "tokenizer.ggml.token_type": [3, 3, 3, 2] + [1] * (len(pieces) - 4),
                                "tokenizer.ggml.token_type_count": 1, "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 2,
                                "tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.add_space_prefix": True, "tokenizer.ggml.remove_extra_whitespaces": True,
                                "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True, **changes})


def xlmr_gguf(path, kind="F32"):
    tokens = unigram()
    tokens["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": False, "strip_right": True},
                                                                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]}
    t = matrices(np.random.default_rng(6), BERT_GGUF, len(tokens["model"]["vocab"]), False, types=1)
    return Model(path, save_gguf(path, xlmr_keys(), t, kind), BERT_GGUF, tokens, eps=1e-5)


def nomic_gguf(path, kind="F32"):
    kept = save_gguf(path, gguf_keys("nomic-bert"), matrices(np.random.default_rng(5), NOMIC_GGUF, len(WORDS), True), kind)
    return Model(path, kept, NOMIC_GGUF, wordpiece(), rotary=True)


class Static:
    """model2vec: the mean of the rows of known words, weighted where there are weights."""

    def __init__(self, path, tokenizer=None, weights=False, dtype="F32", width=48, seed=6):
        rng = np.random.default_rng(seed)
        tokenizer = tokenizer or wordpiece(bare=True)
        vocab = tokenizer["model"]["vocab"]
        self.unknown = tokenizer["model"].get("unk_id", 1)
        self.table, self.weights = rng.normal(0, 1, (len(vocab), width)), rng.uniform(0.1, 2, len(vocab)) if weights else np.ones(len(vocab))
        if dtype == "F16":
            self.table, self.weights = (v.astype(np.float16).astype(np.float64) for v in (self.table, self.weights))
        tensors = {"embeddings": self.table, **({"weights": self.weights} if weights else {})}
        config = {"model_type": "model2vec", "architectures": ["StaticModel"], "tokenizer_name": "x", "hidden_dim": width, "normalize": True}
        self.path = folder(path, config, tensors, tokenizer, dtype=dtype)
        self.tokenizer = Tokenizer.from_str(json.dumps(tokenizer))

    def vector(self, text):
        ids = [i for i in self.tokenizer.encode(text, add_special_tokens=False).ids if i != self.unknown]
        if not ids:
            return None
        v = (self.table[ids] * self.weights[ids][:, None]).mean(0)
        return v / np.linalg.norm(v)
