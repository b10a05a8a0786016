#!/usr/bin/env python3
"""Logits of small models of every architecture, in NumPy and as the papers say it.

    test_architectures --write FOLDER
    architectures_reference.py FOLDER --fixtures OUT
    architectures_reference.py --gemma MODEL.gguf --fixtures OUT

test_architectures writes the models as files; this reads them with the reader and the
formats of smollm_reference.py and formats_reference.py, runs each architecture's own forward
pass over all tokens at once, and writes architectures.json, which test_architectures compares
with: every eighth logit at some positions, with products of floats and with their inputs
rounded to bytes; and adapters.json, of the models of floats with the adapters beside them, which
are merged into the weights here. With a file of Gemma 3: the likeliest tokens behind the ids in gemma.json, more
than a window holds, into that file.
"""
import argparse
import json
from pathlib import Path

import numpy as np
from smollm_reference import Smollm, Gguf

IDS = [(i * 37 + i // 7) % 265 for i in range(150)]
POSITIONS = [0, 1, 64, 147, 148, 149]
ADAPTED_POSITIONS = [5, 148, 149]


def silu(z):
    return z / (1 + np.exp(-z))


def gelu(z):
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def softmax(s):
    p = np.exp(s - s.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


class Decoder(Smollm):
    neox = False
    gate = staticmethod(silu)

    def __init__(self, path, rounded):
        self.file, self.rounded = Gguf(path), rounded
        self.t = self.file.tensors
        self.arch = self.file.keys["general.architecture"]
        self.heads, self.kv_heads = self.key("attention.head_count"), self.key("attention.head_count_kv")
        self.layers, self.eps = self.key("block_count"), self.key("attention.layer_norm_rms_epsilon")
        self.d, self.width = self.key("embedding_length"), self.key("attention.key_length")
        self.turned = self.key("rope.dimension_count", self.width)

    def key(self, name, default=None):
        return self.file.keys.get(f"{self.arch}.{name}", default)

    def scale(self):
        return self.key("attention.scale", self.width**-0.5)

    def window(self, i):
        return None

    def speeds(self, i):
        """Of each pair, in radians a position; and what is turned is multiplied by."""
        n = self.turned
        speed = float(self.key("rope.freq_base")) ** (-np.arange(0, n, 2) / n)
        if "rope_freqs.weight" in self.t:
            speed = speed / self.t["rope_freqs.weight"]
        if self.key("rope.scaling.type") == "linear":
            speed = speed / self.key("rope.scaling.factor")
        if self.key("rope.scaling.type") == "yarn":
            return self.yarn(speed)
        return speed, 1

    def yarn(self, speed):
        """As `transformers` has it: a ramp between the pairs that turn so and so often."""
        n, stretch = self.turned, self.key("rope.scaling.factor")
        turns = self.key("rope.scaling.yarn_beta_fast", 32), self.key("rope.scaling.yarn_beta_slow", 1)
        length, base = self.key("rope.scaling.original_context_length"), float(self.key("rope.freq_base"))
        fast, slow = (n * np.log(length / (t * 2 * np.pi)) / (2 * np.log(base)) for t in turns)
        first, last = max(np.floor(fast), 0), min(np.ceil(slow), n - 1)
        kept = 1 - np.clip((np.arange(n // 2) - first) / max(last - first, 0.001), 0, 1)
        return speed / stretch * (1 - kept) + speed * kept, (0.1 * np.log(stretch) + 1) * self.key("rope.scaling.attn_factor", 1)

    def place(self, x, i):
        """[token, head, width], turned by positions."""
        found = self.speeds(i)
        if found is None:
            return x
        speed, size = found
        angle = np.outer(np.arange(len(x)), speed)[:, None]
        n = len(speed)
        a, b = (slice(0, n), slice(n, 2 * n)) if self.neox else (slice(0, 2 * n, 2), slice(1, 2 * n, 2))
        out = x.astype(np.float64)
        out[..., a] = (x[..., a] * np.cos(angle) - x[..., b] * np.sin(angle)) * size
        out[..., b] = (x[..., a] * np.sin(angle) + x[..., b] * np.cos(angle)) * size
        return out

    def qkv(self, x, name):
        return [self.product(x, f"{name}.attn_{p}.weight") for p in "qkv"]

    def before_placing(self, x, name):
        return x

    def mix(self, q, k, v, i):
        n = len(q)
        apart = np.arange(n)[:, None] - np.arange(n)
        seen = apart >= 0
        if self.window(i) is not None:
            seen &= apart < self.window(i)
        group = self.heads // self.kv_heads
        s = np.einsum("ihd,jhd->hij", q, k.repeat(group, 1)) * self.scale()
        p = softmax(np.where(seen, s, -np.inf))
        return np.einsum("hij,jhd->ihd", p, v.repeat(group, 1)).reshape(n, -1).astype(np.float32)

    def attention(self, x, i):
        name, n = f"blk.{i}", len(x)
        q, k, v = (m.reshape(n, -1, self.width) for m in self.qkv(x, name))
        q = self.place(self.before_placing(q, f"{name}.attn_q_norm.weight"), i)
        k = self.place(self.before_placing(k, f"{name}.attn_k_norm.weight"), i)
        return self.out(self.mix(q, k, v, i), name)

    def out(self, y, name):
        return self.product(y, f"{name}.attn_output.weight")

    def feed(self, x, i):
        gate, up = (self.product(x, f"blk.{i}.ffn_{p}.weight") for p in ("gate", "up"))
        return self.product((self.gate(gate) * up).astype(np.float32), f"blk.{i}.ffn_down.weight")

    def embed(self, ids):
        return self.t["token_embd.weight"][ids]

    def layer(self, x, i):
        x = x + self.attention(self.norm(x, f"blk.{i}.attn_norm.weight"), i)
        return x + self.feed(self.norm(x, f"blk.{i}.ffn_norm.weight"), i)

    def logits(self, ids, start=0):
        """Of every position from `start` on."""
        x = self.embed(ids)
        for i in range(self.layers):
            x = self.layer(x, i)
        head = "output.weight" if "output.weight" in self.t else "token_embd.weight"
        return self.product(self.norm(x[start:], "output_norm.weight"), head)


class Experts(Decoder):
    """Where there are experts, each token goes through the likeliest few."""

    renormalizes = True

    def product_of(self, x, name, e):
        if f"{name}.{e}" not in self.t:
            self.t[f"{name}.{e}"] = self.t[name][e]
            self.file.floats |= {f"{name}.{e}"} if name in self.file.floats else set()
        return self.product(x, f"{name}.{e}")

    def expert(self, x, name, e):
        gate, up = (self.product_of(x, f"{name}.ffn_{p}_exps.weight", e) for p in ("gate", "up"))
        return self.product_of((silu(gate) * up).astype(np.float32), f"{name}.ffn_down_exps.weight", e)

    def feed(self, x, i):
        name = f"blk.{i}"
        if f"{name}.ffn_gate_inp.weight" not in self.t:
            return super().feed(x, i)
        p = softmax(self.product(x, f"{name}.ffn_gate_inp.weight").astype(np.float64))
        out = np.zeros((len(x), self.d))
        for t in range(len(x)):
            chosen = np.argsort(-p[t], kind="stable")[: self.key("expert_used_count")]
            total = p[t, chosen].sum() if self.renormalizes else 1
            for e in chosen:
                out[t] += p[t, e] / total * self.expert(x[t : t + 1], name, e)[0]
        return out.astype(np.float32)


class Llama(Experts):
    def qkv(self, x, name):
        return [m + self.t.get(f"{name}.attn_{p}.bias", 0) for p, m in zip("qkv", super().qkv(x, name))]

    def out(self, y, name):
        return super().out(y, name) + self.t.get(f"{name}.attn_output.bias", 0)


class Smollm3(Decoder):
    def speeds(self, i):
        return None if i % 4 == 3 else super().speeds(i)


class Qwen2(Decoder):
    neox = True

    def qkv(self, x, name):
        return [m + self.t[f"{name}.attn_{p}.bias"] for p, m in zip("qkv", super().qkv(x, name))]


class Qwen2Moe(Qwen2, Experts):
    renormalizes = False

    def feed(self, x, i):
        name = f"blk.{i}"
        gate, up = (self.product(x, f"{name}.ffn_{p}_shexp.weight") for p in ("gate", "up"))
        shared = self.product((silu(gate) * up).astype(np.float32), f"{name}.ffn_down_shexp.weight")
        part = 1 / (1 + np.exp(-(x @ self.t[f"{name}.ffn_gate_inp_shexp.weight"])))
        return super().feed(x, i) + part[:, None] * shared


class Qwen3(Decoder):
    neox = True

    def before_placing(self, x, name):
        return self.norm(x, name)


class Qwen3Moe(Qwen3, Experts):
    pass


class Gemma3(Qwen3):
    gate = staticmethod(gelu)

    def sliding(self, i):
        pattern = self.key("attention.sliding_window_pattern", 6)
        return bool(self.key("attention.sliding_window")) and i % pattern < pattern - 1

    def window(self, i):
        return self.key("attention.sliding_window") if self.sliding(i) else None

    def speeds(self, i):
        if self.sliding(i):
            n = self.turned
            return 10000.0 ** (-np.arange(0, n, 2) / n), 1
        return super().speeds(i)

    def scale(self):
        if self.layers == 62:  # the model of 27 billion parameters
            return (self.d / self.heads) ** -0.5
        return super().scale()

    def embed(self, ids):
        return super().embed(ids) * np.float32(np.sqrt(self.d))

    def layer(self, x, i):
        a = self.attention(self.norm(x, f"blk.{i}.attn_norm.weight"), i)
        x = x + self.norm(a, f"blk.{i}.post_attention_norm.weight")
        f = self.feed(self.norm(x, f"blk.{i}.ffn_norm.weight"), i)
        return x + self.norm(f, f"blk.{i}.post_ffw_norm.weight")


class Phi3(Decoder):
    neox = True

    def speeds(self, i):
        speed, size = super().speeds(i)
        original = self.key("rope.scaling.original_context_length")
        if "rope_factors_long.weight" in self.t:
            kind = "long" if self.key("context_length") > original else "short"
            speed = speed / self.t[f"rope_factors_{kind}.weight"]
        return speed, self.key("rope.scaling.attn_factor", size)

    def qkv(self, x, name):
        q, kv = self.heads * self.width, self.kv_heads * self.width
        return np.split(self.product(x, f"{name}.attn_qkv.weight"), [q, q + kv], axis=1)

    def feed(self, x, i):
        gate, up = np.split(self.product(x, f"blk.{i}.ffn_up.weight"), 2, axis=1)
        return self.product((silu(gate) * up).astype(np.float32), f"blk.{i}.ffn_down.weight")


class Bitnet(Decoder):
    neox = True

    def out(self, y, name):
        return super().out(self.norm(y, f"{name}.attn_sub_norm.weight"), name)

    def feed(self, x, i):
        gate, up = (self.product(x, f"blk.{i}.ffn_{p}.weight") for p in ("gate", "up"))
        inner = (np.maximum(gate, 0) ** 2 * up).astype(np.float32)
        return self.product(self.norm(inner, f"blk.{i}.ffn_sub_norm.weight"), f"blk.{i}.ffn_down.weight")


ARCHITECTURES = {
    "llama": Llama, "smollm3": Smollm3, "qwen2": Qwen2, "qwen2moe": Qwen2Moe, "qwen3": Qwen3, "qwen3moe": Qwen3Moe,
    "gemma3": Gemma3, "phi3": Phi3, "bitnet": Bitnet,
}


def rows(path, rounded):
    kind = ARCHITECTURES[Gguf(path).keys["general.architecture"]]
    out = kind(path, rounded).logits(IDS)[POSITIONS, ::8]
    return [[float(f"{v:.7g}") for v in row] for row in out]


def adapted_rows(path):
    """W becomes W + alpha / rank B A."""
    adapter = Gguf(path)
    model = ARCHITECTURES[adapter.keys["general.architecture"]](path.with_suffix(".gguf"), False)
    for name in [n.removesuffix(".lora_a") for n in adapter.tensors if n.endswith(".lora_a")]:
        a, b = (adapter.tensors[f"{name}.lora_{part}"].astype(np.float64) for part in "ab")
        a, b = a.reshape(-1, a.shape[-1]), b.reshape(len(b), -1)
        model.t[name] = (model.t[name] + adapter.keys["adapter.lora.alpha"] / len(a) * (b @ a)).astype(np.float32)
    return [[float(f"{v:.7g}") for v in row] for row in model.logits(IDS)[ADAPTED_POSITIONS, ::8]]


def write_gemma(model, path):
    case = json.loads(path.read_text())
    out = Gemma3(model, False).logits(case["ids"], -2)
    case["top"] = [[[int(i), round(float(row[i]), 4)] for i in np.argsort(-row)[:8]] for row in out]
    path.write_text(json.dumps(case, separators=(",", ":")) + "\n")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", type=Path, nargs="?")
    args.add_argument("--gemma", type=Path)
    args.add_argument("--fixtures", type=Path, required=True)
    args = args.parse_args()
    if args.gemma is not None:
        write_gemma(args.gemma, args.fixtures / "gemma.json")
        return
    models = []
    for path in sorted(args.folder.glob("*.gguf")):
        model = {"name": path.stem.split(" ", 1)[1], "ids": IDS, "positions": POSITIONS}
        model |= {"exact": rows(path, False), "rounded": rows(path, True)}
        models.append(json.dumps(model, separators=(",", ":")))
    (args.fixtures / "architectures.json").write_text("[\n" + ",\n".join(models) + "\n]\n")
    adapted = [json.dumps({"name": path.stem.split(" ", 1)[1], "ids": IDS, "positions": ADAPTED_POSITIONS, "exact": adapted_rows(path)}, separators=(",", ":"))
               for path in sorted(args.folder.glob("*.lora"))]
    (args.fixtures / "adapters.json").write_text("[\n" + ",\n".join(adapted) + "\n]\n")


if __name__ == "__main__":
    main()
