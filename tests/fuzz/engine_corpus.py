#!/usr/bin/env python3
"""Writes the seeds of fuzz_gguf, fuzz_safetensors, fuzz_adapter, fuzz_importance, fuzz_tokenizer and fuzz_json.

    tests/fuzz/engine_corpus.py [FOLDER]

FOLDER is tests/fuzz/corpus if none is named. The same bytes each time. Files that a bug left
behind ("crash-…" and the like) are of other names and stay.
"""
import base64
import json
import struct
import sys
from pathlib import Path

# --- GGUF ---------------------------------------------------------------------------------

BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 20: (32, 18), 30: (1, 2), 39: (32, 17),
          10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50),
          21: (256, 110), 22: (256, 82), 23: (256, 136), 29: (256, 56), 34: (256, 54), 35: (256, 66)}  # values, bytes
WIDE = [kind for kind, (values, _) in BLOCKS.items() if values == 256]


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(s)) + s


def value(v):
    """(kind, bytes) of a Python value; a tuple is (kind, bytes) already."""
    if isinstance(v, tuple):
        return v
    if isinstance(v, bool):
        return 7, struct.pack("<B", v)
    if isinstance(v, int):
        return 4, struct.pack("<I", v)
    if isinstance(v, float):
        return 6, struct.pack("<f", v)
    if isinstance(v, (str, bytes)):
        return 8, text(v)
    kinds = [value(x) for x in v]
    kind = 5 if kinds and kinds[0][0] == 4 else kinds[0][0] if kinds else 8
    return 9, struct.pack("<IQ", kind, len(v)) + b"".join(b for _, b in kinds)


def gguf(keys, tensors, version=3, counts=None, alignment=32):
    data, infos = b"", b""
    for name, kind, shape, content in tensors:
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
        data += content + bytes(-len(content) % alignment)
    pairs = b"".join(text(k) + struct.pack("<I", value(v)[0]) + value(v)[1] for k, v in keys.items())
    n = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", version, *n) + pairs + infos
    return head + bytes(-len(head) % alignment) + data


def weights(kind, shape):
    values, size = BLOCKS[kind]
    count = 1
    for n in shape:
        count *= n
    block = {0: struct.pack("<f", 0.25), 1: b"\x00\x34"}.get(kind, b"\x00\x24" + bytes((i * 37) & 255 for i in range(size - 2)))
    return block * (count // values)


BYTES = [b for b in [*range(33, 127), *range(161, 173), *range(174, 256)]]


def char_of(byte):
    """GPT-2's character of a byte."""
    return chr(byte) if byte in BYTES else chr(256 + [b for b in range(256) if b not in BYTES].index(byte))


def bpe(pre, controls, chat):
    words = [char_of(b) for b in b"abdehlorw 12\n.'!"] + ["he", "ll", "hell", char_of(32) + "w", "or"]
    tokens = [*controls, *words]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(controls) + [1] * len(words),
        "tokenizer.ggml.merges": ["h e", "l l", "he ll", char_of(32) + " w", "o r"],
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.chat_template": chat,
    }


CHATML = ["<|endoftext|>", "<|im_end|>", "<|im_start|>"]
SMOLLM3 = """<|im_start|> reasoning_mode ## Custom Instructions if xml_tools or python_tools
{%- elif reasoning_mode == "/think" -%}{{- "Think \\"well\\".\\n\\n" -}}"""
USER, ASSISTANT, ENDING = "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
# Families that have no seed of an architecture's.
CHATS = [
    ("mistral-v7", "tekken", ["<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"],
     "{%- set default_system_message = \"or \" + today + '\\\\n' %} '[INST]' '[SYSTEM_PROMPT]' must alternate"),
    ("deepseek", "deepseek-llm", ["<s>", "</s>", USER, ASSISTANT, ENDING], f"'{USER}' '{ASSISTANT}<think>'"),
    ("deepseek-llm", "deepseek-coder", ["<s>", "</s>"], "'Assistant: ' + message['content'] + eos_token"),
    ("deepseek-coder", "deepseek-coder", ["<s>", "</s>", "<|EOT|>"], "if not ns.found -%}\n{{'he wor'}} ### Instruction: <|EOT|>"),
]
LLAMA3 = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]


def pieces(chat, prefix=True, **changes):
    """SentencePiece's BPE."""
    mark = "\u2581"
    words = [mark, *"abdehlorw12", mark + "w", "he", "ll", "hell", mark + mark, "or", mark + "wor", "\u00e9"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(0, 256, 3)), "[INST]", "<|user|>", "  ", *words]
    types = [2, 3, 3] + [6] * 86 + [3, 3, 4] + [1] * len(words)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": [0.0] * 92 + [-float(i) for i in range(len(words))],
        "tokenizer.ggml.add_space_prefix": prefix,
        "tokenizer.chat_template": chat,
        **changes,
    }


def charsmap():
    """SentencePiece's precompiled map of one string: "A" becomes "a"."""
    units = [0] * 68
    units[0], units[0x40], units[2] = 1 << 10, 0x42 << 10 | 1 << 8 | 0x41, 1 << 31
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"a\0"


def llama(tokenizer, kind, layers=1, down=None, **changes):
    """`down`: types of ffn_down by layer, whose rows are then as long as their blocks."""
    d, ffn, heads, kv = 32, 256 if down else 32, 2, 1
    words = len(tokenizer["tokenizer.ggml.tokens"])
    keys = {
        "general.architecture": "llama",
        "llama.embedding_length": d,
        "llama.feed_forward_length": ffn,
        "llama.block_count": layers,
        "llama.context_length": 48,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": d // heads,
        **tokenizer,
        **changes,
    }
    shapes = {"token_embd": (kind, (d, words)), "output_norm": (0, (d,))}
    for i in range(layers):
        matrices = {"attn_q": (d, d), "attn_k": (d, d // heads * kv), "attn_v": (d, d // heads * kv), "attn_output": (d, d),
                    "ffn_gate": (d, ffn), "ffn_up": (d, ffn), "ffn_down": (ffn, d)}
        shapes.update({f"blk.{i}.{name}": (down[i] if down and name == "ffn_down" else kind, shape) for name, shape in matrices.items()})
        shapes.update({f"blk.{i}.{name}": (0, (d,)) for name in ("attn_norm", "ffn_norm")})
    return keys, [(f"{name}.weight", k, shape, weights(k, shape)) for name, (k, shape) in shapes.items()]


def small(arch, tokenizer, kind=2, norms=(), biases=(), fused=False, experts=0, shared=False, factors=(), **changes):
    """A decoder of one layer of another architecture: its norms with their widths, biases, experts, rope factors."""
    keys, tensors = llama(tokenizer, kind)
    keys = {k.replace("llama.", f"{arch}."): v for k, v in keys.items()} | {"general.architecture": arch, f"{arch}.attention.key_length": 16}
    d = ffn = 32
    gone, more = {"attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"} if fused else set(), {}
    if fused:
        more |= {"attn_qkv.weight": (kind, (d, 2 * d)), "ffn_up.weight": (kind, (d, 2 * ffn))}
    if experts:
        keys |= {f"{arch}.expert_count": experts, f"{arch}.expert_used_count": 2, f"{arch}.expert_feed_forward_length": ffn}
        gone |= {"ffn_gate", "ffn_up", "ffn_down"}
        more |= {f"ffn_{p}_exps.weight": (kind, (d, ffn, experts)) for p in ("gate", "up", "down")} | {"ffn_gate_inp.weight": (0, (d, experts))}
    if shared:
        keys[f"{arch}.expert_shared_feed_forward_length"] = ffn
        more |= {f"ffn_{p}_shexp.weight": (kind, (d, ffn)) for p in ("gate", "up", "down")} | {"ffn_gate_inp_shexp.weight": (0, (d,))}
    more |= {f"{name}.weight": (0, (n,)) for name, n in norms} | {f"{name}.bias": (0, (n,)) for name, n in biases}
    tensors = [t for t in tensors if t[0].split(".")[-2] not in gone]
    tensors += [(f"blk.0.{name}", k, shape, weights(k, shape)) for name, (k, shape) in more.items()]
    tensors += [(f"{name}.weight", 0, (8,), struct.pack("<8f", *[2.0] * 8)) for name in factors]
    return gguf(keys | {f"{arch}.{k.replace('__', '.')}": v for k, v in changes.items()}, tensors)


def architecture_seeds():
    words = bpe("smollm", CHATML, "<|im_start|>")
    heads, posts = [("attn_q_norm", 16), ("attn_k_norm", 16)], [("post_attention_norm", 32), ("post_ffw_norm", 32)]
    qkv = [("attn_q", 32), ("attn_k", 16), ("attn_v", 16)]
    yarn = {"rope__scaling__type": "yarn", "rope__scaling__factor": 4.0, "rope__scaling__original_context_length": 16}
    long = {"rope__scaling__type": "longrope", "rope__scaling__original_context_length": 16, "rope__scaling__attn_factor": 1.2}
    yield "yarn", small("llama", words, **yarn, rope__scaling__yarn_beta_fast=16.0)
    yield "rope-freqs", small("llama", words, factors=["rope_freqs"], biases=[*qkv, ("attn_output", 32)])
    yield "mixtral", small("llama", words, experts=4)
    yield "smollm3", small("smollm3", bpe("smaug-bpe", CHATML, SMOLLM3))
    yield "qwen2-yarn", small("qwen2", words, kind=8, biases=qkv, **yarn)
    yield "qwen2moe", small("qwen2moe", words, biases=qkv, experts=3, shared=True)
    yield "qwen3", small("qwen3", words, norms=heads)
    yield "qwen3moe", small("qwen3moe", words, norms=heads, experts=4)
    yield "gemma3", small("gemma3", words, norms=heads + posts, attention__sliding_window=4, rope__scaling__type="linear", rope__scaling__factor=8.0)
    yield "phi3", small("phi3", bpe("dbrx", [*CHATML, "<|im_sep|>"], "<|im_start|><|im_sep|>"), fused=True, factors=["rope_factors_long", "rope_factors_short"], **long)
    yield "bitnet", small("bitnet", bpe("llama-bpe", ["<|begin_of_text|>", "<|eot_id|>"], "role|capitalize <|eot_id|> Assistant: "), norms=[("attn_sub_norm", 32), ("ffn_sub_norm", 32)])
    for name, pre, controls, chat in CHATS:
        yield name, gguf(*llama(bpe(pre, controls, chat), 2))


def encoder_gguf(architecture, kind, **changes):
    """A BERT or nomic-bert, tokens as llama.cpp's converter writes them."""
    d, a = 64, architecture
    tokens = changes.get("tokenizer.ggml.tokens") or ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581hello", "\u2581world", "\u2581a", "b", "\u25811", "2", "\u2581,"]
    keys = {
        "general.architecture": a, f"{a}.embedding_length": d, f"{a}.feed_forward_length": d, f"{a}.block_count": 1, f"{a}.attention.head_count": 2,
        f"{a}.context_length": 16, f"{a}.attention.layer_norm_epsilon": 1e-12, f"{a}.attention.causal": False, f"{a}.pooling_type": 1, f"{a}.rope.freq_base": 1000.0,
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3] * 4 + [1] * (len(tokens) - 4),
        "tokenizer.ggml.token_type_count": 1, **changes,
    }
    rotary = a == "nomic-bert"
    parts = {"attn_qkv": 3 * d} if rotary else {"attn_q": d, "attn_k": d, "attn_v": d}
    parts.update({"attn_output": d, "ffn_up": d, "ffn_down": d, **({"ffn_gate": d} if rotary else {})})
    shapes = {"token_embd.weight": (kind, (d, len(tokens))), "token_types.weight": (0, (d, 1))}
    if not rotary:
        shapes["position_embd.weight"] = (kind, (d, 16))
    for name, rows in parts.items():
        shapes[f"blk.0.{name}.weight"] = (kind, (d, rows))
        if not rotary:
            shapes[f"blk.0.{name}.bias"] = (0, (rows,))
    for norm in ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm"):
        shapes.update({f"{norm}.weight": (0, (d,)), f"{norm}.bias": (0, (d,))})
    return gguf(keys, [(name, k, shape, weights(k, shape)) for name, (k, shape) in shapes.items()])


def gguf_seeds():
    chatml = bpe("smollm", CHATML, "{{'<|im_start|>' + role}}")
    llama3 = bpe("llama-bpe", LLAMA3, "<|start_header_id|>Cutting Knowledge Date")
    whole = gguf(*llama(chatml, 2))
    keys, tensors = llama(chatml, 2)
    yield "q4_0", whole
    yield "q4_1", gguf(*llama(llama3, 3))
    yield "q8_0", gguf(*llama(bpe("gpt-2", CHATML, "<|im_start|>"), 8))
    yield "f16", gguf(*llama(chatml, 1))
    for kind, name in ((6, "q5_0"), (7, "q5_1"), (20, "iq4_nl"), (30, "bf16"), (39, "mxfp4")):
        yield name, gguf(*llama(chatml, kind))
    for i in range(0, len(WIDE), 3):
        yield f"wide-{i // 3}", gguf(*llama(chatml, 2, layers=len(WIDE[i:i + 3]), down=WIDE[i:i + 3]))
    yield "bert", encoder_gguf("bert", 2)
    yield "bert-cls", encoder_gguf("bert", 8, **{"bert.pooling_type": 2})
    yield "nomic-bert", encoder_gguf("nomic-bert", 2)
    yield "qwen2", gguf(*llama(bpe("qwen2", CHATML, "<|im_start|>last_query_index</think>"), 2))
    yield "gpt-4o", gguf(*llama(bpe("gpt-4o", CHATML, "<|im_start|>system\\nx<|im_end|>"), 2))
    yield "llama2", gguf(*llama(pieces("[INST] <<SYS>>"), 2))
    yield "mistral", gguf(*llama(pieces("' [INST] ' |trim + eos_token", prefix=False), 2))
    yield "zephyr", gguf(*llama(pieces("'<|user|>\\n' + message['content'] + eos_token"), 2))
    map_ = charsmap()
    t5 = {"tokenizer.ggml.model": "t5", "tokenizer.ggml.precompiled_charsmap": (9, struct.pack("<IQ", 0, len(map_)) + map_)}
    yield "t5", gguf(*llama(pieces("'<|user|>\\n' + message['content'] + eos_token", **t5), 2))
    yield "scores-nan", gguf(*llama(pieces("[INST]", **{"tokenizer.ggml.scores": [float("nan")] * 112}), 2))
    yield "scores-few", gguf(*llama(pieces("[INST]", **{"tokenizer.ggml.scores": [0.0]}), 2))
    yield from architecture_seeds()
    xlmr = {k: v for k, v in pieces("", **t5).items() if k != "tokenizer.chat_template"}
    yield "xlmr", encoder_gguf("bert", 2, **xlmr, **{f"tokenizer.ggml.{k}_token_id": i for i, k in enumerate(("unknown", "bos", "eos"))})
    yield "v2", gguf(*llama(chatml, 2), version=2)
    yield "aligned", gguf({**keys, "general.alignment": 64}, tensors, alignment=64)
    yield "kinds", gguf({f"k{k}": (k, bytes(n)) for k, n in enumerate([1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8])}, [])
    yield "arrays", gguf({"s": ["", "a", b"\xff"], "i": [1, 2], "f": [0.5], "e": [], "b": [True, False]}, [])
    yield "empty", gguf({}, [])
    yield "cut", whole[: len(whole) * 2 // 3]
    yield "counts", gguf({}, [], counts=(65536, 65536))
    yield "long-array", gguf({"a": (9, struct.pack("<IQ", 4, 1 << 24))}, [])
    yield "wide", gguf({}, [("t", 0, (1 << 33, 1 << 33, 1 << 33, 1 << 33), b"")])
    yield "outside", gguf(keys, tensors[:-1] + [("last", 0, (1 << 20,), b"")])
    yield "layers", gguf({**keys, "llama.block_count": 256, "llama.context_length": 131072}, tensors)
    yield "no-heads", gguf({**keys, "llama.attention.head_count": 0}, tensors)
    yield "odd-heads", gguf({**keys, "llama.attention.head_count": 33}, tensors)


# --- adapters and importances -------------------------------------------------------------


def adapter(parts, alpha=4.0, **changes):
    """Of tests/tiny_llama.c: (matrix, rows, cols, rank, type)."""
    keys = {"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora", "adapter.lora.alpha": alpha, **changes}
    tensors = []
    for name, rows, cols, rank, kind in parts:
        tensors += [(f"blk.{name}.weight.lora_a", kind, (cols, rank), weights(kind, (cols, rank))),
                    (f"blk.{name}.weight.lora_b", 0, (rank, rows), weights(0, (rank, rows)))]
    return keys, tensors


def adapter_seeds():
    some = [("0.attn_q", 64, 64, 5, 0), ("0.attn_k", 32, 64, 2, 1), ("1.ffn_up", 96, 64, 1, 8), ("1.ffn_down", 64, 96, 3, 2), ("1.attn_output", 64, 64, 32, 30)]
    keys, tensors = adapter(some)
    yield "some", gguf(keys, tensors)
    yield "one", gguf(*adapter(some[:1]))
    yield "alpha-0", gguf(*adapter(some[1:2], alpha=0.0))
    yield "alpha-nan", gguf(*adapter(some[:1], alpha=float("nan")))
    yield "rank-256", gguf(*adapter([("0.ffn_gate", 96, 64, 256, 8)]))
    yield "rank-257", gguf(*adapter([("0.ffn_gate", 96, 64, 257, 8)]))
    yield "no-pair", gguf(keys, tensors[:-1])
    yield "other-shape", gguf(*adapter([("0.attn_q", 64, 32, 2, 0)]))
    yield "other-architecture", gguf(*adapter(some[:1], **{"general.architecture": "qwen2"}))
    yield "no-tensors", gguf(keys, [])
    yield "cut", gguf(keys, tensors)[:-700]


def imatrix(parts, **changes):
    """(tensor, columns, matrices, how many went into each)"""
    keys = {"general.type": "imatrix", "imatrix.datasets": ["text"], "imatrix.chunk_count": 3, "imatrix.chunk_size": 512, **changes}
    tensors = []
    for name, cols, n, counts in parts:
        tensors += [(f"{name}.in_sum2", 0, (cols, n), struct.pack(f"<{cols * n}f", *(i / 3 for i in range(cols * n)))),
                    (f"{name}.counts", 0, (1, n), struct.pack(f"<{n}f", *counts))]
    return keys, tensors


def importance_seeds():
    one, all_ = ("blk.0.attn_q.weight", 64, 1, [1536.0]), ("blk.0.ffn_up_exps.weight", 32, 4, [512.0, 0.0, 1.0, 3.0])
    keys, tensors = imatrix([one, all_])
    yield "some", gguf(keys, tensors)
    yield "one", gguf(*imatrix([one]))
    yield "twice", gguf(keys, [*tensors, ("blk.0.attn_q.weight.in_sum2x", 0, (1,), bytes(4))])
    yield "no-counts", gguf(keys, tensors[:1])
    yield "counts-few", gguf(keys, [tensors[2], ("blk.0.ffn_up_exps.weight.counts", 0, (1, 1), bytes(4))])
    yield "negative", gguf(*imatrix([("a", 2, 1, [-1.0])]))
    yield "infinite", gguf(*imatrix([("a", 2, 1, [float("inf")])]))
    yield "other-type", gguf(keys, [("a.in_sum2", 1, (64, 1), bytes(128)), ("a.counts", 0, (1, 1), bytes(4))])
    yield "no-tensors", gguf(keys, [])
    yield "model", gguf({"general.type": "model"}, [])


# --- safetensors --------------------------------------------------------------------------

WIDTH = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1}


def header(tensors, extra=None):
    out, at = dict(extra or {}), 0
    for name, (dtype, shape) in tensors.items():
        size = WIDTH[dtype]
        for n in shape:
            size *= n
        out[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return json.dumps(out, separators=(",", ":")).encode(), at


def safetensors(tensors, extra=None):
    head, size = header(tensors, extra)
    return struct.pack("<Q", len(head)) + head + bytes(i * 7 & 63 for i in range(size))


def encoder():
    """What fuzz_safetensors.c loads: 51,840 bytes of data."""
    d, out = 64, {}
    norm = lambda name: out.update({f"{name}.weight": ("F16", (d,)), f"{name}.bias": ("F16", (d,))})
    for part, rows in (("word", 4), ("position", 4), ("token_type", 1)):
        out[f"embeddings.{part}_embeddings.weight"] = ("F16", (rows, d))
    norm("embeddings.LayerNorm")
    for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense"):
        out[f"encoder.layer.0.{part}.weight"] = ("F16", (d, d))
        out[f"encoder.layer.0.{part}.bias"] = ("F16", (d,))
    norm("encoder.layer.0.attention.output.LayerNorm")
    norm("encoder.layer.0.output.LayerNorm")
    return out


def safetensors_seeds():
    some = {"a": ("F32", (2, 3)), "bert.b": ("BF16", (5,)), "c": ("F16", (3,)), "d": ("I64", (1,)), "e": ("BOOL", ()), "f": ("U8", (0,))}
    whole = safetensors(some, {"__metadata__": {"format": "pt"}})
    head, size = header(encoder())
    assert size == 51840
    yield "some", whole
    yield "cut", whole[:-3]
    yield "behind", whole + b"."
    yield "hole", safetensors(some).replace(b"[24,34]", b"[25,35]")
    yield "overlap", safetensors(some).replace(b"[24,34]", b"[20,30]")
    yield "wide", safetensors(some).replace(b"[2,3]", b"[4294967296,4294967296]")
    yield "no-tensors", safetensors({})
    yield "header-long", struct.pack("<Q", 1 << 40) + b"{}"
    yield "header-short", b"\x01\0\0\0\0\0\0"
    yield "nested", struct.pack("<Q", 40) + b"[" * 40
    yield "many-values", struct.pack("<Q", 4001) + b"[" + b"1," * 1999 + b"1]"
    yield "encoder", head
    yield "static", safetensors({"embeddings": ("F16", (8, 12)), "weights": ("F32", (8,))})
    yield "encoder-no-bias", head.replace(b"LayerNorm.bias", b"LayerNorm.bits")


# --- tokenizer.json -----------------------------------------------------------------------

TEXTS = {
    "ascii": "Hello, abab a.a!",
    "accents": "\u00e9 e\u0301 \u0130 \u1e9b\u0323 \ufb01",
    "ideographs": "a\u4e00\u4e01b \U00020000 \uac00",
    "controls": "a\0b\x7f\u200d\u00ad\ufeff\ufffd\u2028 a",
    "specials": "[CLS][UNK]a[SEP",
    "long-word": "a" * 120 + " " + "ab" * 50,
    "emoji": "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "broken": b"\xe2\x82 \xff a \xed\xa0\x80",
}


def wordpiece(**changes):
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "##a", "ab", "##b", ",", "hello", "##", "\u00e9"]
    special = [{"id": i, "content": pieces[i], "special": True, "normalized": False} for i in range(4)]
    out = {
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": {p: i for i, p in enumerate(pieces)}},
    }
    out.update(changes)
    return json.dumps(out, ensure_ascii=False, separators=(",", ":")).encode()


def unigram(**changes):
    pieces = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581", -2.0], ["a", -2.5], ["b", -3.0], ["\u2581ab", -3.5], ["ab", -4.0], ["<mask>", 0.0]]
    map_ = charsmap()
    out = {
        "added_tokens": [{"id": i, "content": pieces[i][0], "lstrip": i == 9} for i in (0, 1, 2, 3, 9)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": base64.b64encode(map_).decode()},
                                                           {"type": "Strip", "strip_left": False, "strip_right": True},
                                                           {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": {"type": "TemplateProcessing"},
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False, "vocab": pieces},
    }
    out.update(changes)
    return json.dumps(out, ensure_ascii=False, separators=(",", ":")).encode()


def tokenizer_seeds():
    for name, t in TEXTS.items():
        yield f"text-{name}", t.encode() if isinstance(t, str) else t
    yield "wordpiece", wordpiece() + b"\0" + TEXTS["ascii"].encode()
    yield "wordpiece-cased", wordpiece(normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                                                   "strip_accents": False, "lowercase": False}) + b"\0" + TEXTS["accents"].encode()
    yield "wordpiece-no-vocab", wordpiece(model={"type": "WordPiece"})
    yield "wordpiece-id", wordpiece().replace(b'"##b":7', b'"##b":99')
    words = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}]}
    yield "unigram", unigram() + "\0 ab  AbA <mask> x\u00e9\u0301 ".encode()
    yield "unigram-words", unigram(pre_tokenizer=words, normalizer=None) + "\0 ab\n\tb\u3000 <mask>".encode()
    yield "unigram-map", unigram(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////w=="})
    yield "unigram-unknown", unigram(model={"type": "Unigram", "unk_id": 9, "vocab": [["a", 1e308]]})
    yield "wordpiece-values", b'{"a":[' + b"1," * 2000 + b"1]}"


# --- requests and answers -----------------------------------------------------------------


def json_seeds():
    request = {"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q \u00e9\u2028\U0001f600\"\\"}]}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "f",
              "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes\n", "refusal": None}, "logprobs": None, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": ""}]
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    packed = lambda v: json.dumps(v, separators=(",", ":")).encode()
    yield "request", packed(request)
    yield "request-parts", packed({**request, "messages": [{"role": "user", "content": parts}]})
    yield "request-tools", packed({**request, "tools": [{"type": "function"}], "messages": request["messages"] + [
        {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]})
    yield "request-all", packed({**request, "stream": True, "stream_options": {"include_usage": True}, "n": 1, "temperature": 0.0, "top_p": 1,
                                 "seed": 18446744073709551615, "max_tokens": 5, "stop": ["a", "b"], "store": False, "user": "u"})
    yield "request-numbers", packed(request)[:-1] + b',"x":[1.0,1e0,-0,0.10,1E400,123456789012345678901234567890,1e-7,-1.5E+3]}'
    yield "request-ten-choices", packed({**request, "n": 10})
    yield "request-many-keys", packed({**request, "x": {f"k{i}": i for i in range(40, 0, -1)}})
    yield "request-escapes", packed(request)[:-1] + b',"x":"\\ud83d\\ude00\\u0000\\u001f\\/\\b"}'
    yield "request-surrogate", packed(request)[:-1] + b',"x":"\\ud83d"}'
    yield "request-low-surrogate", packed(request).replace(b"\\ud83d", b"\\u083d")
    yield "request-low-surrogate-key", packed(request)[:-1] + b',"\\udc00":1,"\\udc01":2}'
    yield "request-hangul", packed(request).replace(b"\\u00e9", "\ud7a3\ue000".encode())
    yield "request-duplicate", packed(request)[:-1] + b',"model":"n"}'
    yield "request-deep", packed(request)[:-1] + b',"x":' + b"[" * 30 + b"]" * 30 + b"}"
    yield "request-too-deep", packed(request)[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}"
    yield "request-cut", packed(request)[:-4]
    yield "request-not-utf8", packed(request).replace(b"\\u00e9", b"\xe9")
    yield "answer", packed(answer)
    yield "answer-spaced", json.dumps(answer, indent=1).encode()
    yield "answer-extra", packed({**answer, "service_tier": "x", "choices": [{**answer["choices"][0], "logprobs": {"content": [{"token": "a"}]},
                                  "message": {"role": "assistant", "content": "a", "reasoning_content": "b", "annotations": []}}]})
    yield "answer-no-usage", packed({k: v for k, v in answer.items() if k != "usage"})
    yield "answer-no-model", packed({k: v for k, v in answer.items() if k != "model"})
    yield "answer-call", packed({**answer, "choices": [{**answer["choices"][0], "message": {"role": "assistant", "content": None, "tool_calls": [call]}}]})
    yield "answer-two", packed({**answer, "choices": answer["choices"] * 2})
    yield "answer-length", packed({**answer, "choices": [{**answer["choices"][0], "finish_reason": "length"}]})
    yield "answer-error", packed({"error": {"message": "no", "type": "t", "code": None}})


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "corpus"
    for part, seeds in (("gguf", gguf_seeds), ("safetensors", safetensors_seeds), ("adapter", adapter_seeds), ("importance", importance_seeds), ("tokenizer", tokenizer_seeds), ("json", json_seeds)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name, content in seeds():
            (folder / part / name).write_bytes(content)


if __name__ == "__main__":
    main()
