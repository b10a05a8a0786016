#!/usr/bin/env python3
"""Tokenizers of each family by the PyPI library `tokenizers`, and as GGUF files.

    tokenizer_reference.py --fixtures tests/golden/tokenizers.json

writes what test_tokenizer compares ours with: small vocabularies, trained here, and the
library's ids of tricky texts. bench/quality/tokenizer_parity.py does the same with larger
vocabularies and many texts.
"""
import argparse
import base64
import json
import random
import struct
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TAIL = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# The expressions of the models' own tokenizer.json.
EXPRESSIONS = {
    "llama-bpe": WORD + r"|\p{N}{1,3}" + REST,
    "qwen2": WORD + r"|\p{N}" + REST,
    "gpt-4o": rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{TAIL}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{TAIL}"
    + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "tekken": rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"
    + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
EXPRESSIONS["smaug-bpe"] = EXPRESSIONS["dbrx"] = EXPRESSIONS["llama-bpe"]
# DeepSeek's, one after the other; each digit is a piece behind them.
LISTED_LETTERS = (
    "A-Za-z\xb5\xc0-\xd6\xd8-\xf6\xf8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481"
    "\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d"
    "\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"
    "\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3"
    "\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943"
)
ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
SEQUENCES = {
    "deepseek-llm": [r"[\r\n]", rf"\s?[{LISTED_LETTERS}]+", "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+", r"\s+$", ASIAN],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", ASIAN],
}
BYTE_LEVEL = ["gpt-2", "smollm", "llama-bpe", "smaug-bpe", "dbrx", "qwen2", "gpt-4o", "tekken", "deepseek-llm", "deepseek-coder"]
WHOLE_FIRST = ["llama-bpe", "smaug-bpe", "tekken"]
SENTENCE_PIECE = ["llama", "gemma"]
UNIGRAM = ["t5"]
FAMILIES = BYTE_LEVEL + SENTENCE_PIECE + UNIGRAM
MARK = "\u2581"

TEXTS = [
    "", " ", "  two  spaces ", "\n\n\ttab", "don't I'LL we've she'S O'\u017f x'd'm", "1234 3.14 x2y \u00bd\u00b2 1234567", "na\u00efve fa\u00e7ade \u00dcn\u00efcode",
    "\u4e2d\u6587\u5b57\u7b26 \u6771\u4eac", "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467", "a\u00a0b\u3000c\u200bd\u2028e\x85f",
    "snake_case(x)=[1,2];", "   \n   x", "\r\n\r\n", "'s 't 're", "x'ss", "\u0663\u0664 \u2167 \u2177", "e\u0301 E\u0301a\u0308 \u212b \u1e9b\u0323 \ufb01", "!!!???...\n\nx", " \u00e9",
    "0", "\t\t\tif (a) {\n\t\t\t}\n", "\u01c5 \u00df \u02b0\u02b1 \u00aaA\u00aaB CamelCase HTTPServer iPhone XMLa\u0301", "http://a.b/c//d ///\n//", "a\u0301\u0301 \u0301x \u0301",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22 \u05e2\u05d1\u05e8\u05d9\u05ea \u0627\u0644\u0639\u0631\u0628\u064a\u0629", MARK + "x " + MARK + " " + MARK + MARK + "y", "a" * 70 + " " * 40 + "-" * 40,
    "l'\u00c9t\u00e9 \ufb01n\u3000\u3001\u3002 \u3000x \uff21\uff11\uff01 \u201cq\u201d \u10d0\u10d1 \U0001d400x \ua7b5", "a  \n  b\t \u2167\u4e00\u0e51 1\uac002  ",
    "<s>", "</s> <0x41> <unk>", "the  quick\tbrown\n\n\nfox  jumps   over 12 lazy dogs",
]
LEARN = [
    "The quick brown fox jumps over the lazy dog and the other foxes they've seen.", "It's 1999, and we'll have 2024 people in the 12 rooms of the house.",
    "def function(value):\n    return value + 1  # comment\n", "for (int i = 0; i < 10; i++) {\n\tprintf(\"%d\\n\", i);\n}\n", "L'\u00e9t\u00e9 \u00e0 la fa\u00e7ade na\u00efve, d\u00e9j\u00e0 vu.",
    "\u4e2d\u6587\u5b57\u7b26\u548c\u6771\u4eac\u90fd\u662f\u5b57\u7b26", "HTTPServer XMLHttpRequest getElementById CamelCase", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u041f\u0440\u0438\u0432\u0435\u0442.",
    "  spaces   and\n\n\nlines  \n and the rest of the text ", "!!! ... ??? /// -- == != <= >=", "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902 \u0932\u093f\u0916\u093e", "aaaa aaaaaa aaaaaaaa",
]


def random_texts(n, seed):
    """Characters of all planes, of blocks that have much to tell apart, and of ASCII."""
    draw = random.Random(seed)
    blocks = [(0, 0x80), (0x80, 0x250), (0x2b0, 0x370), (0x370, 0x590), (0x590, 0x800), (0x900, 0xe80), (0x1c80, 0x2070), (0x2070, 0x2c00),
              (0x3000, 0x3400), (0x4e00, 0x4f00), (0xa640, 0xa720), (0xac00, 0xad00), (0xf900, 0xfb50), (0xfe00, 0x10000), (0x10000, 0x11000), (0x1d400, 0x1d800), (0x1f000, 0x20000), (0, 0x110000)]
    common = " \n\t'.0aA\u0301"
    out = []
    for _ in range(n):
        few = draw.sample(blocks, 3)
        text = ""
        for _ in range(draw.randint(1, 40)):
            c = ord(draw.choice(common)) if draw.random() < 0.3 else draw.randrange(*draw.choice(few))
            text += "" if 0xD800 <= c < 0xE000 else chr(c)
        out.append(text)
    return out


def split(family):
    """The library's pre-tokenizer."""
    level = lambda regex: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
    if family == "gpt-2":
        return level(True)
    if family == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level(True)])
    isolated = lambda expression: pre_tokenizers.Split(Regex(expression), "isolated")
    if family in SEQUENCES:
        return pre_tokenizers.Sequence([*map(isolated, SEQUENCES[family]), pre_tokenizers.Digits(individual_digits=True), level(False)])
    return pre_tokenizers.Sequence([isolated(EXPRESSIONS[family]), level(False)])


def byte_level(family, vocab, merges):
    out = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=family in WHOLE_FIRST))
    out.pre_tokenizer = split(family)
    if family == "qwen2":
        out.normalizer = normalizers.NFC()
    return out


def learn_byte_level(family, texts, size):
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = split(family)
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    model = json.loads(learner.to_str())["model"]
    merges = [tuple(m) for m in model["merges"]]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    keys = {"model": "gpt2", "pre": family, "tokens": tokens, "types": [1] * len(tokens), "merges": [" ".join(m) for m in merges]}
    return byte_level(family, model["vocab"], merges), keys


def sentence_piece(family, tokens, scores, types):
    """As the files of Hugging Face are made from SentencePiece's: a piece can be made of every
    two pieces that give it, the better piece first."""
    normal = {t: i for i, t in enumerate(tokens)}
    pairs = [(scores[i], t[:k], t[k:]) for t, i in normal.items() for k in range(1, len(t)) if t[:k] in normal and t[k:] in normal and types[i] in (1, 4)]
    pairs.sort(key=lambda p: (p[0], len(p[1])), reverse=True)
    out = Tokenizer(models.BPE(vocab=normal, merges=[p[1:] for p in pairs], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    steps = ([normalizers.Prepend(MARK)] if family == "llama" else []) + [normalizers.Replace(" ", MARK)]
    out.normalizer = normalizers.Sequence(steps)
    return out


def learn_sentence_piece(family, texts, size):
    learner = Tokenizer(models.BPE(unk_token="<unk>"))
    learner.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always")
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, limit_alphabet=200, show_progress=False))
    vocab = json.loads(learner.to_str())["model"]["vocab"]
    learnt = sorted((t for t in vocab if t != "<unk>"), key=vocab.get)
    pieces = [t for t in learnt if len(t) > 1] + [MARK * n for n in (2, 3, 4)] + [t for t in learnt if len(t) == 1]
    pieces = list(dict.fromkeys(pieces))
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + pieces
    scores = [0.0] * 259 + [-float(i) for i in range(len(pieces))]
    keys = {"model": "llama", "tokens": tokens, "types": [2, 3, 3] + [6] * 256 + [1] * len(pieces), "scores": scores, "prefix": family == "llama"}
    return sentence_piece(family, tokens, scores, keys["types"]), keys


def charsmap(pairs):
    """SentencePiece's precompiled map: a double array (Darts) of strings, and what they become."""
    texts, at, root = b"", {}, {}
    for key, value in sorted(pairs.items()):
        node = root
        for byte in key.encode():
            node = node.setdefault(byte, {})
        if value not in at:
            at[value] = len(texts)
            texts += value.encode() + b"\0"
        node[-1] = at[value]
    units, used, first = [0], set(), 1
    todo = [(root, 0, 0)]  # a node, its place, its label
    taken = {0}
    while todo:
        node, place, label = todo.pop()
        labels = [max(b, 0) for b in node]
        while first in taken:
            first += 1
        # A child stands at the node's base, with its label's bits turned. An offset is at most
        # 21 bits, or 29 of which the last 8 are 0; no two nodes share a base.
        base = first
        while base in used or any(base ^ b in taken for b in labels) or not ((base ^ place) < 1 << 21 or (base ^ place) & 255 == 0):
            base += 1
        # Places far behind are full, or as good as that.
        first = max(first, base - 512)
        used.add(base)
        taken.update(base ^ b for b in labels)
        units.extend([0] * (max(base | 255, place) + 1 - len(units)))
        offset = base ^ place
        units[place] = (offset << 10 if offset < 1 << 21 else offset << 2 | 1 << 9) | (-1 in node) << 8 | label
        for byte, child in node.items():
            if byte < 0:
                units[base] = child | 1 << 31
            else:
                todo.append((child, base ^ byte, byte))
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + texts


def folded(characters):
    """NFKC of characters and of what they are made of; white space becomes a space."""
    pairs = {c: " " for c in "\t\n\r\x0b\x0c\u00a0\u2028\u3000"} | {"\0": "", "\u200b": ""}
    del pairs["\0"]
    for c in characters:
        whole = unicodedata.normalize("NFKC", c)
        for key in (c, unicodedata.normalize("NFD", c)):
            if key != whole and key not in pairs:
                pairs[key] = whole
    return pairs


def learn_unigram(family, texts, size):
    some = len(texts) < 1000
    points = range(0xA0, 0x250) if some else range(0xA0, 0x10000)
    characters = [chr(c) for c in points if not 0xD800 <= c < 0xF900 and not 0x3400 <= c < 0xA000]
    small = folded(characters[:24] + ["\u00e9", "\ufb01", "\u212b"] if some else characters)
    map_ = charsmap(small)
    learner = Tokenizer(models.Unigram())
    learner.normalizer = normalizers.Sequence([normalizers.Precompiled(map_), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    learner.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always")
    learner.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=size, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    pieces = [(t, struct.unpack("<f", struct.pack("<f", s))[0]) for t, s in json.loads(learner.to_str())["model"]["vocab"]]
    # A control token is not found in a text here, whatever the text says.
    reference = Tokenizer(models.Unigram([(f"\ue000{i}\ue001" if i < 3 else t, s) for i, (t, s) in enumerate(pieces)], unk_id=2))
    reference.normalizer, reference.pre_tokenizer = learner.normalizer, learner.pre_tokenizer
    keys = {"model": "t5", "tokens": [t for t, _ in pieces], "types": [3, 3, 2] + [1] * (len(pieces) - 3), "scores": [s for _, s in pieces], "prefix": True, "map": list(map_)}
    return reference, keys


def learn_xlmr(words, texts, size):
    """An encoder's tokenizer, to be written as tokenizer.json. `words`: white space parts them."""
    out = Tokenizer(models.Unigram())
    map_ = normalizers.Precompiled(charsmap(folded(["\u00e9", "\u00e0", "\ufb01", "\u212b", "\u00bd", "\uff21"])))
    out.normalizer = map_ if words else normalizers.Sequence([map_, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), MARK)])
    space = pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="always")
    out.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), space]) if words else space
    out.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=size, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    out.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    state = json.loads(out.to_str())
    state["model"]["vocab"].append(["<mask>", 0.0])
    # A GGUF has floats.
    state["model"]["vocab"] = [[t, struct.unpack("<f", struct.pack("<f", s))[0]] for t, s in state["model"]["vocab"]]
    out = Tokenizer.from_str(json.dumps(state))
    out.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return out


def keys_of_xlmr(reference):
    """What llama.cpp's converter writes of it."""
    state = json.loads(reference.to_str())
    tokens, scores = zip(*state["model"]["vocab"])
    map_ = base64.b64decode(state["normalizer"]["normalizers"][0]["precompiled_charsmap"])
    types = [{"<unk>": 2}.get(t, 3 if t in ("<s>", "<pad>", "</s>", "<mask>") else 1) for t in tokens]
    return {"model": "t5", "tokens": tokens, "types": types, "scores": scores, "prefix": True, "map": list(map_), "ids": {"bos": 0, "eos": 2, "unknown": 3}}


def learn(family, texts, size):
    """(the library's tokenizer, what its GGUF says)"""
    return (learn_byte_level if family in BYTE_LEVEL else learn_unigram if family in UNIGRAM else learn_sentence_piece)(family, texts, size)


def ids_of(tokenizer, family, texts):
    # An empty text has no tokens; Prepend would make it a space.
    return [e.ids if t else [] for t, e in zip(texts, tokenizer.encode_batch(texts, add_special_tokens=False))]


def gguf(keys):
    """A file with a tokenizer and nothing else."""
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    array = lambda kind, items: struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)
    pairs = {"tokenizer.ggml.model": struct.pack("<I", 8) + text(keys["model"]),
             "tokenizer.ggml.tokens": array(8, [text(t) for t in keys["tokens"]]),
             "tokenizer.ggml.token_type": array(5, [struct.pack("<i", t) for t in keys["types"]])}
    if "pre" in keys:
        pairs["tokenizer.ggml.pre"] = struct.pack("<I", 8) + text(keys["pre"])
        pairs["tokenizer.ggml.merges"] = array(8, [text(m) for m in keys["merges"]])
    if "scores" in keys:
        pairs["tokenizer.ggml.scores"] = array(6, [struct.pack("<f", s) for s in keys["scores"]])
        pairs["tokenizer.ggml.add_space_prefix"] = struct.pack("<IB", 7, keys["prefix"])
    if "map" in keys:
        pairs["tokenizer.ggml.precompiled_charsmap"] = array(0, [bytes(keys["map"])]).replace(struct.pack("<Q", 1), struct.pack("<Q", len(keys["map"])), 1)
    pairs |= {f"tokenizer.ggml.{k}_token_id": struct.pack("<II", 4, v) for k, v in keys.get("ids", {}).items()}
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(text(k) + v for k, v in pairs.items()) + bytes(32)


def fixtures():
    texts = [t for t in TEXTS + random_texts(20, 1) if len(t) < 100] + TEXTS[26:27]
    out = []
    for family in FAMILIES:
        reference, keys = learn(family, LEARN * 3, 380)
        out.append({"family": family, **keys, "cases": [{"text": t, "ids": i} for t, i in zip(texts, ids_of(reference, family, texts))]})
    more = ["a <mask> b", " \t <mask><mask>", "<s> x </s>", "<mask", "  <unk>"]
    for words in (True, False):
        reference = learn_xlmr(words, LEARN * 3, 200)
        cases = [{"text": t, "ids": reference.encode(t).ids} for t in texts + more]
        out.append({"family": "xlm-r", "json": reference.to_str(), "cases": cases})
        if not words:
            out.append({"family": "xlm-r in GGUF", **keys_of_xlmr(reference), "cases": cases})
    return out


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--fixtures", required=True)
    args = args.parse_args()
    with open(args.fixtures, "w", encoding="utf-8") as f:
        f.write("[" + ",\n".join(json.dumps(x, ensure_ascii=True, separators=(",", ":")) for x in fixtures()) + "]\n")


if __name__ == "__main__":
    sys.exit(main())
