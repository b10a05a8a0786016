#!/usr/bin/env python3
"""Tokenizers of every family against the PyPI library `tokenizers`, on many texts.

    tokenizer_parity.py [--texts N] [--size N] [--family NAME]... [--model FILE.gguf]

For each family a vocabulary is trained from the evaluation data with the family's own
pre-tokenizer (tests/golden/tokenizer_reference.py); with --model the file's own vocabulary is
used instead. Texts: those of the evaluation data, random ones of all of Unicode, and every
assigned character between letters. 50,000 unless said otherwise. Needs build/release and
IBID_EVAL (default ../shared/eval); exits 77 with a word without them. Exit status 1: a text
differs.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/golden"), str(ROOT / "bench/quality")]
BUILD = Path(os.environ.get("IBID_BUILD", ROOT / "build/release"))
PROGRAM = BUILD / "bin/quality_tokenize"
LEARN, SHOWN = 20000, 5


def skip(word):
    print(f"tokenizer_parity: {word}")
    sys.exit(77)


def characters():
    """Every assigned character, a few to a text."""
    all_ = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    few = [c for c in all_ if not 0x3400 <= ord(c) < 0xD7B0 and not 0x17000 <= ord(c) < 0x18D00 and not 0x20000 <= ord(c) < 0x32000]
    return [f"a{c}b {c}{c} 1{c}" for c in few]


def compare(name, theirs, keys_file, texts, encoder=False):
    run = subprocess.run([PROGRAM, keys_file, *(["encoder"] if encoder else [])], input="".join(json.dumps(t) + "\n" for t in texts).encode(), stdout=subprocess.PIPE, check=True)
    ours = [list(map(int, line.split())) for line in run.stdout.decode().splitlines()]
    wrong = [(t, a, e) for t, a, e in zip(texts, ours, theirs) if a != e]
    tokens = sum(map(len, ours))
    print(f"{name}: {len(texts) - len(wrong)} of {len(texts)} texts the same as of `tokenizers` ({tokens} tokens)", flush=True)
    for text, a, e in wrong[:SHOWN]:
        print(f"    {ascii(text[:80])}: ours {a[:12]}, theirs {e[:12]}")
    return len(ours) == len(texts) and not wrong


def check_family(family, learn_from, size, texts):
    from tokenizer_reference import gguf, ids_of, keys_of_xlmr, learn, learn_xlmr

    encoder = family.startswith("xlm-r")
    if encoder:
        reference = learn_xlmr(family == "xlm-r-words", learn_from, size)
        content = gguf(keys_of_xlmr(reference)) if family == "xlm-r-gguf" else reference.to_str().encode()
        theirs = [e.ids for e in reference.encode_batch(texts)]
    else:
        reference, keys = learn(family, learn_from, size)
        content, theirs = gguf(keys), ids_of(reference, family, texts)
    with tempfile.NamedTemporaryFile(suffix=".json" if encoder and family != "xlm-r-gguf" else ".gguf") as f:
        f.write(content)
        f.flush()
        return compare(family, theirs, f.name, texts, encoder)


def of_model(path):
    """(family, the library's tokenizer) from a GGUF file."""
    from smollm_reference import Gguf
    from tokenizer_reference import byte_level, sentence_piece
    from tokenizers import AddedToken

    keys = Gguf(path).keys
    tokens = keys["tokenizer.ggml.tokens"]
    if keys["tokenizer.ggml.model"] == "gpt2":
        family = keys["tokenizer.ggml.pre"]
        merges = [tuple(m.split(" ", 1)) for m in keys["tokenizer.ggml.merges"]]
        return family, byte_level(family, {t: i for i, t in enumerate(tokens)}, merges)
    family = "llama" if keys.get("tokenizer.ggml.add_space_prefix", True) else "gemma"
    types = keys["tokenizer.ggml.token_type"]
    out = sentence_piece(family, tokens, keys["tokenizer.ggml.scores"], types)
    # Of Gemma: runs of spaces and newlines, tags.
    out.add_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 4])
    return family, out


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--texts", type=int, default=50000)
    args.add_argument("--size", type=int, default=4000)
    args.add_argument("--family", action="append")
    args.add_argument("--model")
    args = args.parse_args()
    folder = Path(os.environ.get("IBID_EVAL", ROOT / "../shared/eval"))
    if not (folder / "dev").exists():
        skip(f"{folder}/dev is not there: set IBID_EVAL")
    if not (BUILD / "build.ninja").exists():
        skip(f"{BUILD} is not there: cmake --preset release")
    try:
        from encoder_parity import texts_of
        from tokenizer_reference import FAMILIES, TEXTS, ids_of, random_texts
    except ImportError as e:
        skip(f"{e} (tests/e2e/requirements.txt)")
    subprocess.run(["ninja", "-C", BUILD, "quality_tokenize"], check=True, stdout=subprocess.DEVNULL)
    real, single = texts_of(folder), characters()
    made = max(args.texts - len(real) - len(single), args.texts // 5)
    texts = TEXTS + real[: max(args.texts - made - len(single) - len(TEXTS), 0)] + random_texts(made, 2) + single
    print(f"{len(texts)} texts: {made} random, {len(single)} of single characters, the rest of the evaluation data")
    if args.model:
        family, reference = of_model(args.model)
        sys.exit(0 if compare(family, ids_of(reference, family, texts), args.model, texts) else 1)
    good = True
    for family in args.family or [*FAMILIES, "xlm-r", "xlm-r-words", "xlm-r-gguf"]:
        good = check_family(family, real[:LEARN], args.size, texts) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
