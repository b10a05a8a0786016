#!/usr/bin/env python3
"""The built-in model once more, in NumPy and as plainly as the papers say it.

    smollm_reference.py MODEL.gguf [--fixtures OUT]

Without --fixtures it reads one JSON string a line and prints token ids and the likeliest
next tokens. With it, it writes smollm.json, which test_decoder compares our decoder with.
Needs numpy and tokenizers; shares nothing with the program it judges: its own reader of
GGUF, its own unpacking of blocks (formats_reference.py), its own forward pass, and the
tokenizers library.
"""
import argparse
import json
import struct
import sys
from pathlib import Path

import numpy as np
from formats_reference import FORMATS, unpack
from tokenizers import Tokenizer, models, pre_tokenizers

PROMPTS = [
    "The capital of France is",
    "def fibonacci(n):\n    if n <= 1:\n",
    "In 1969, 2 people",
    "a",
    "<|im_start|>user\nName a colour.<|im_end|>\n<|im_start|>assistant\n",
]
TEXTS = [
    "", " ", "  two  spaces ", "\n\n\ttab", "don't I'LL we've", "1234 3.14 x2y ½²", "naïve façade Ünïcode",
    "中文字符 東京", "👍🏽 👨‍👩‍👧", "a\u00a0b\u3000c\u200bd", "snake_case(x)=[1,2];", "<|im_start|>", "   \n   x", "\r\n\r\n",
    "'s 't 're", "x'ss", "٣٤ Ⅷ ⅷ", "e\u0301", "!!!???...", " \u00e9", "0", "\t\t\tif (a) {\n\t\t\t}\n", "ﬁ ǅ ß",
]
FORWARD_IDS = 3  # rows of logits a prompt, each with the likeliest token before it


class Gguf:
    """https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"""

    SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

    def __init__(self, path):
        self.raw, self.at = Path(path).read_bytes(), 0
        magic, version, tensors, pairs = self.take("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError("no GGUF")
        self.keys = {}
        for _ in range(pairs):
            name = self.string()
            (kind,) = self.take("I")
            self.keys[name] = self.value(kind)
        infos = []
        for _ in range(tensors):
            name = self.string()
            (dims,) = self.take("I")
            infos.append((name, self.take(f"{dims}Q"), *self.take("IQ")))
        align = self.keys.get("general.alignment", 32)
        start = -(-self.at // align) * align
        self.tensors = {n: self.tensor(shape, kind, start + offset) for n, shape, kind, offset in infos}
        self.floats = {n for n, _, kind, _ in infos if FORMATS[kind][1] == 1}

    def take(self, fmt):
        out = struct.unpack_from("<" + fmt, self.raw, self.at)
        self.at += struct.calcsize("<" + fmt)
        return out

    def string(self):
        (n,) = self.take("Q")
        self.at += n
        return self.raw[self.at - n : self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            of, n = self.take("IQ")
            return [self.value(of) for _ in range(n)]
        return self.take(self.SCALARS[kind])[0]

    def tensor(self, shape, kind, at):
        _, values, size, *_ = FORMATS[kind]
        n = int(np.prod(shape))
        raw = np.frombuffer(self.raw, np.uint8, n // values * size, at).reshape(-1, size)
        return unpack(kind, raw).reshape(shape[::-1])


class Smollm:
    def __init__(self, path, rounded=True):
        """rounded: inputs of products as blocks of 32 bytes, unless weights are plain floats."""
        self.file, self.rounded = Gguf(path), rounded
        k, self.t = self.file.keys, self.file.tensors
        self.heads, self.kv_heads = k["llama.attention.head_count"], k["llama.attention.head_count_kv"]
        self.layers, self.eps = k["llama.block_count"], k["llama.attention.layer_norm_rms_epsilon"]
        self.base, self.turned = k["llama.rope.freq_base"], k["llama.rope.dimension_count"]
        if k["tokenizer.ggml.pre"] != "smollm":
            raise ValueError("another pre-tokenizer")
        vocabulary = {t: i for i, t in enumerate(k["tokenizer.ggml.tokens"])}
        merges = [tuple(m.split(" ", 1)) for m in k["tokenizer.ggml.merges"]]
        self.tokenizer = Tokenizer(models.BPE(vocabulary, merges))
        self.tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        self.control = {t: i for t, i in vocabulary.items() if k["tokenizer.ggml.token_type"][i] == 3}

    def ids(self, text, special=False):
        """special: control tokens written out are those tokens."""
        if not special:
            return self.tokenizer.encode(text, add_special_tokens=False).ids
        out, start, at = [], 0, 0
        while at < len(text):
            found = max((t for t in self.control if text.startswith(t, at)), key=len, default=None)
            if found is None:
                at += 1
                continue
            out += self.ids(text[start:at]) + [self.control[found]]
            start = at = at + len(found)
        return out + self.ids(text[start:])

    def product(self, x, name):
        if self.rounded and name not in self.file.floats:
            b = x.reshape(len(x), -1, 32)
            d = np.abs(b).max(-1, keepdims=True) / np.float32(127)
            q = np.rint(np.divide(b, d, out=np.zeros_like(b), where=d > 0))
            x = (q * d.astype(np.float16).astype(np.float32)).reshape(x.shape)
        return x @ self.t[name].T

    def norm(self, x, name):
        scale = 1 / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + self.eps)
        return (x * scale).astype(np.float32) * self.t[name]

    def turn(self, x):
        """[token, head, width]: pairs (2i, 2i + 1) by position * base^(-2i / turned)."""
        half = self.turned // 2
        angle = np.outer(np.arange(len(x)), float(self.base) ** (-2 * np.arange(half) / self.turned))
        c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
        out = x.astype(np.float64)
        a, b = x[..., 0 : self.turned : 2], x[..., 1 : self.turned : 2]
        out[..., 0 : self.turned : 2], out[..., 1 : self.turned : 2] = a * c - b * s, a * s + b * c
        return out

    def attention(self, x, name):
        n = len(x)
        q, k, v = (self.product(x, f"{name}.attn_{p}.weight") for p in "qkv")
        q = self.turn(q.reshape(n, self.heads, -1))
        k = self.turn(k.reshape(n, self.kv_heads, -1)).repeat(self.heads // self.kv_heads, 1)
        v = v.reshape(n, self.kv_heads, -1).repeat(self.heads // self.kv_heads, 1)
        s = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(q.shape[-1])
        s = np.where(np.tril(np.ones((n, n), bool)), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        y = np.einsum("hij,jhd->ihd", p, v).reshape(n, -1).astype(np.float32)
        return self.product(y, f"{name}.attn_output.weight")

    def feed(self, x, name):
        gate, up = (self.product(x, f"{name}.ffn_{p}.weight") for p in ("gate", "up"))
        return self.product(gate / (1 + np.exp(-gate)) * up, f"{name}.ffn_down.weight")

    def logits(self, ids, start):
        """Of every position from `start` on."""
        x = self.t["token_embd.weight"][ids]
        for i in range(self.layers):
            x = x + self.attention(self.norm(x, f"blk.{i}.attn_norm.weight"), f"blk.{i}")
            x = x + self.feed(self.norm(x, f"blk.{i}.ffn_norm.weight"), f"blk.{i}")
        head = "output.weight" if "output.weight" in self.t else "token_embd.weight"
        return self.product(self.norm(x[start:], "output_norm.weight"), head)


def fixture(model, text):
    ids = model.ids(text, special=True)
    n, out = len(ids), []
    for _ in range(FORWARD_IDS):
        row = model.logits(ids, len(ids) - 1)[0]
        top = np.argsort(-row)[:8]
        out.append([[int(i), round(float(row[i]), 3)] for i in top])
        ids = ids + [int(top[0])]
    return {"text": text, "ids": ids[:n], "top": out}


def write(path, rows):
    path.write_text("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model")
    args.add_argument("--fixtures", type=Path)
    args = args.parse_args()
    model = Smollm(args.model, rounded=False)
    if args.fixtures is not None:
        write(args.fixtures / "smollm.json",
              [fixture(model, t) for t in PROMPTS] + [{"text": t, "plain": model.ids(t)} for t in TEXTS])
        return
    for line in sys.stdin:
        ids = model.ids(json.loads(line), special=True)
        row = model.logits(ids, len(ids) - 1)[0]
        print(json.dumps({"ids": ids, "top": [[int(i), float(row[i])] for i in np.argsort(-row)[:8]]}))


if __name__ == "__main__":
    main()
