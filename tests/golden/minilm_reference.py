#!/usr/bin/env python3
"""The sentence encoder once more, in float64 and as plainly as the papers say it.

    minilm_reference.py FOLDER [--fixtures OUT]

FOLDER holds model.safetensors, tokenizer.json and config.json of a BERT encoder. Without
--fixtures it reads one text a line and prints one unit vector a line, as JSON. With it,
it writes minilm.json and wordpiece.json, which the tests compare our encoder with.
Needs numpy and tokenizers; shares nothing with the program it judges.
"""
import argparse
import json
import math
import struct
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

TEXTS = [
    "What time does the library open on Sundays?",
    "On Sunday, when does the library open?",
    "Turn off the lights in the kitchen",
    "a",
    "Schreibe mir bitte ein Gedicht über den Schnee, höchstens 12 Zeilen!",
    "Explain, step by step, why the sum of two odd numbers is always even; then give an example "
    "with numbers above one thousand, and say where the argument would fail for odd minus even.",
]


def read_tensors(path):
    """safetensors: length, JSON, data."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    head, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    kinds = {"F32": np.float32, "F16": np.float16}
    out = {}
    for name, t in head.items():
        if name != "__metadata__" and t["dtype"] in kinds:
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(data[a:b], kinds[t["dtype"]]).reshape(t["shape"])
    return out


class Encoder:
    def __init__(self, folder):
        folder = Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.t = {k: v.astype(np.float64) for k, v in read_tensors(folder / "model.safetensors").items()}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def dense(self, x, name):
        return x @ self.t[name + ".weight"].T + self.t[name + ".bias"]

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        x = (x - mean) / np.sqrt(var + self.config["layer_norm_eps"])
        return x * self.t[name + ".weight"] + self.t[name + ".bias"]

    def attention(self, x, name):
        heads = self.config["num_attention_heads"]
        q, k, v = (
            self.dense(x, f"{name}.self.{part}").reshape(len(x), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return self.dense((p @ v).swapaxes(0, 1).reshape(len(x), -1), f"{name}.output.dense")

    def layer(self, x, name):
        x = self.norm(x + self.attention(x, f"{name}.attention"), f"{name}.attention.output.LayerNorm")
        up = self.dense(x, f"{name}.intermediate.dense")
        up = 0.5 * up * (1 + np.vectorize(math.erf)(up / math.sqrt(2)))
        return self.norm(x + self.dense(up, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def vector(self, text):
        ids = self.ids(text)
        x = self.t["embeddings.word_embeddings.weight"][ids]
        x = x + self.t["embeddings.position_embeddings.weight"][: len(ids)]
        x = x + self.t["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(x, f"encoder.layer.{i}")
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


def tricky_texts():
    """What tokenizers are known to get wrong: one thing a text, then all of it mixed."""
    texts = [
        "", " ", "\t\r\n", "hello", "Hello, World!", "don't won't I'm you're", "e.g. 3.14 1,000.50",
        "snake_case CamelCase kebab-case", "a/b\\c", "http://example.org/x?y=z&a=b#c", "me@example.org",
        "C++ C# F# .NET", "$100 €50 £7 ¥3 ₿1", "100% 50‰ 20° §3 ¶ © ® ™", "½ ¼ ² ³ ⁴ ₂ Ⅷ ⅷ", "1️⃣ 2️⃣",
        "héllo Ünïcode naïve façade", "e\u0301 a\u0308 n\u0303", "ﬁ ﬂ ﬀ ß ẞ æ Æ œ Œ ø Ø ł Ł đ", "İstanbul ISTANBUL ı",
        "ǅ ǆ Ǆ", "ΑΒΓ αβγς Σ ΣΑΣ", "ПРИВЕТ привет Ёё Йй", "中文字符", "中文mixed字符text", "東京は日本の首都です。",
        "한국어 텍스트 각", "ｶﾞｷﾞ ﾊﾟ", "Ｆｕｌｌ ｗｉｄｔｈ １２３", "がぎぐ か\u3099", "नमस्ते दुनिया", "வணக்கம்",
        "สวัสดีครับ", "مرحبا بالعالم", "مُحَمَّد", "שלום עולם", "שָׁלוֹם", "١٢٣ ۱۲۳ १२३", "ກຂຄ ကခဂ កខគ",
        "’quotes‘ “double” „low“ «angle» ‹x›", "dash – em — bar ― minus − hyphen‐", "… ‥ ⋯ · • ‣", "a…b", "^`~|<>=+$",
        "← → ↑ ↓ ⇒ ∀ ∃ ∑ ∫ √ ≈ ≠ ≤ ≥", "😀 😃 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️", "♠ ♥ ♦ ♣ ★ ☆", "a\u00adb", "a\u200bb", "a\u200cb\u200dc",
        "a\u2060b", "a\ufeffb", "\ufeffstart", "a\u00a0b", "a\u2009b\u202fc", "a\u3000b", "a\u2028b\u2029c", "a\u0085b", "a\u000bb\u000cc",
        "a\u0000b", "a\u0007b\u001bc\u007fd", "a\ufffdb", "a\u0080\u009fb", "\ue000private\uf8ff", "\U000f0000x", "a\u180eb",
        "a\u061cb", "a\u200eb\u200fc", "a\u202ab\u202ec", "a\ufff9b", "\U000e0041tag", "\ufe0f", "a\u034fb", "a\u1160b", "a\u3164b",
        "[CLS] [SEP] [MASK] [PAD] [UNK]", "[MASK]", "x[MASK]y", "[mask] [Mask]", "[ MASK ]", "[CLS", "[[SEP]]", "[unused0] [unused99]", "##ing ##s",
        "x" * 99, "x" * 100, "x" * 101, "x" * 150, "ä" * 100, "ä" * 101, "é" * 60, "e\u0301" * 60, "中" * 120, "." * 120, "ab " * 80,
        "supercalifragilisticexpialidocious", "pneumonoultramicroscopicsilicovolcanoconiosis", "zzzzqqqqxxxx", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𝒜𝒷𝒸 𝟙𝟚𝟛", "Ⓐⓑⓒ ①②③",
        "㎏ ㎡ ㍿ ㏂", "㊗ ㈱", "豈 更 車", "𠀀 𪛖 𫝀 𫠠 𬺰", "\u2ceaf \U0002b920 \U0002b81f \U0002b820 \U0002ceaf", "々〆〇", "、。「」・", "ー〜", "ᄀ가", "ㄱㄴㄷ",
        "ᾳ ᾼ ΐ ΰ ῗ", "ŉ ǰ ẖ ẗ", "ﬃ ﬅ", "Å Å Ω Ω K K", "q\u0307\u0323 \u1e69 s\u0323\u0307", "\u0344 \u0340", "\u0f73 \u0f71\u0f72", "ậ ệ ộ ự",
        "𝄞 𝅘𝅥𝅮", "ℵ ℝ ℤ", "ªº", "ˈaɪpʰ ʰʲ", "ꙮ Ꙋ", "ა ბ გ Ა", "Ꭰ ꭰ", "Ա ա և", "Ⴀ ⴀ", "ẛ ſ", "Ǉ ǈ ǉ", "𐐀 𐐨", "𞤀 𞤢", "ꜳ Ꜳ", "Ⅻ ⅻ",
        "tab\tnew\nline\rcr", "  many   spaces  ", "trailing ", " leading", "a.b.c", "...", "?!", "!?!?", "(a)[b]{c}", "\"q\"", "'q'", "a'b'c", "it's", "o'clock",
        "COVID-19 3D-Druck H₂O CO₂ x² E=mc²", "10:30 12/31/2024 2024-12-31", "+49 (0)30 123-456", "1st 2nd 3rd", "0x1F 1e-9", "v1.2.3-rc.4+b5", "<b>html</b> &amp; &#39;",
        "def f(x): return x**2", "{\"k\": [1, 2, {\"n\": null}]}", "SELECT * FROM t WHERE a='b';", "#hashtag @user", "r/place u/me", ":-) ;) <3", "😀word", "word😀word", "a😀", "~tilde", "`code`",
        "\u1abe\u1dc0\u20d0\u20dd\ufe20", "a\u20ddb", "\u0903\u093f \u0bbe", "a\u0489b", "\u0600 \u06dd \u070f", "\u2061\u2062\u2063", "\U0001d173x\U0001d17a", "\u13a0\u1cbd", "\u0378 \u0530 \uffff \U0010ffff", "\U0001fae8 \U0001f6dc \u20c0",
    ]
    # Every script's first letters beside ASCII, and every general kind of code point.
    texts += [f"x{chr(c)}y {chr(c)}" for c in list(range(0x80, 0x100, 5)) + list(range(0x100, 0x3000, 97)) + list(range(0x3000, 0x10000, 811)) if not 0xD800 <= c < 0xE000]
    return texts


def write(path, rows):
    path.write_text("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder")
    args.add_argument("--fixtures", type=Path)
    args = args.parse_args()
    encoder = Encoder(args.folder)
    if args.fixtures is None:
        for line in sys.stdin:
            print(json.dumps(encoder.vector(line.rstrip("\n")).tolist()))
        return
    write(args.fixtures / "minilm.json",
          [{"text": t, "ids": encoder.ids(t), "vector": [float(f"{x:.8g}") for x in encoder.vector(t)]} for t in TEXTS])
    write(args.fixtures / "wordpiece.json", [{"text": t, "ids": encoder.ids(t)} for t in tricky_texts()])


if __name__ == "__main__":
    main()
