#!/usr/bin/env python3
"""The encoder against its references: word pieces, vectors, and STS benchmark.

    encoder_parity.py [--kernels ref|avx2|avxvnni|avx512vnni] [--all]

Word pieces: 10,000 texts of the evaluation data (--all: every text) against the PyPI
`tokenizers` library. Vectors: against tests/golden/minilm_reference.py in float64 and the
recorded ones of IBID_ANCHORS. STSb test: Spearman's rank correlation of the cosine with
people's scores, in the order of MTEB. Needs build/release/bin/engine_probe, the model, and
IBID_EVAL (default ../shared/eval); exits 77 with a word without them. Exit status 1: a
figure is beyond its bound.
"""
import argparse
import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
TEXTS, VECTORS = 10000, 200
COSINE_MIN = {"f32": 0.9999, "int8": 0.995}
SPEARMAN, SPEARMAN_OFF = 0.8203, {"f32": 0.0005, "int8": 0.005}


def skip(word):
    print(f"encoder_parity: {word}")
    sys.exit(77)


def probe(args, texts):
    run = subprocess.run([ROOT / "build/release/bin/engine_probe", *args], stdout=subprocess.PIPE,
                         input="".join(json.dumps(t) + "\n" for t in texts).encode())
    if run.returncode:
        sys.exit(run.returncode)
    return run.stdout


def texts_of(folder):
    """Every text of the evaluation data, in an order that no file has."""
    out = set()
    for path in sorted(folder.glob("dev/*/*.jsonl.gz")):
        for line in gzip.open(path, "rt", encoding="utf-8"):
            row = json.loads(line)
            out.update(v for k, v in row.items() if k in ("text", "q1", "q2", "prompt", "raw", "resolved") and isinstance(v, str))
    for path in sorted(folder.glob("tasks/*.jsonl")):
        for line in open(path, encoding="utf-8"):
            row = json.loads(line)
            out.update([row["prompt"]] if "prompt" in row else row.get("turns", []))
    return sorted(out, key=lambda t: hashlib.sha1(t.encode()).digest())


def ranks(a):
    """From 0 on; equal values share the mean of theirs."""
    _, place, count = np.unique(a, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[place]


def check_tokens(reference, model, folder, everything):
    texts = texts_of(folder)
    texts = texts if everything else texts[:TEXTS]
    ours = [list(map(int, line.split())) for line in probe(["tokens", model], texts).decode().splitlines()]
    same = sum(a == e.ids for a, e in zip(ours, reference.tokenizer.encode_batch(texts)))
    other = sum(not t.isascii() for t in texts)
    print(f"word pieces: {same} of {len(texts)} texts the same as of `tokenizers` ({other} of them beyond ASCII)")
    return same == len(texts)


def check_vectors(reference, vectors_of, precision, pairs, anchors):
    texts = [p[0] for p in pairs[:VECTORS]]
    want = np.array([reference.vector(t) for t in texts])
    cosines = list((vectors_of(texts) * want).sum(1))
    word = f"{len(texts)} of STSb"
    if anchors.exists():
        recorded = json.loads(anchors.read_text())
        vectors = np.array([r["unit_vector"] for r in recorded])
        cosines += list((vectors_of([r["text"] for r in recorded]) * vectors).sum(1) / np.linalg.norm(vectors, axis=1))
        word += f" and {len(recorded)} recorded"
    low, need = min(cosines), COSINE_MIN[precision]
    print(f"{precision}: cosine to the reference vectors {low:.6f} at least, {np.mean(cosines):.6f} in the mean ({word}; bound {need})")
    return low >= need


def check_spearman(vectors_of, precision, pairs):
    a, b = (vectors_of([p[i] for p in pairs]) for i in (0, 1))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    rho = np.corrcoef(ranks(cosine), ranks(np.array([float(p[2]) for p in pairs])))[0, 1]
    print(f"{precision}: STSb test, {len(pairs)} pairs: Spearman {rho:.4f} (published {SPEARMAN}, bound +-{SPEARMAN_OFF[precision]})")
    return abs(rho - SPEARMAN) <= SPEARMAN_OFF[precision]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--kernels", default="")
    args.add_argument("--all", action="store_true")
    args = args.parse_args()
    models = Path(os.environ.get("IBID_MODEL_DIR", Path.home() / ".cache/ibid/models"))
    model = models / "all-minilm-l6-v2"
    folder = Path(os.environ.get("IBID_EVAL", ROOT / "../shared/eval"))
    anchors = Path(os.environ.get("IBID_ANCHORS", ROOT / "../shared/anchors")) / "golden/minilm-l6-v2.json"
    for path, word in ((ROOT / "build/release/bin/engine_probe", "is not built"), (model / "model.safetensors", "is not there: ibid models pull all-minilm-l6-v2"),
                       (folder / "encoder/stsb-en-test.csv", "is not there: set IBID_EVAL")):
        if not path.exists():
            skip(f"{path} {word}")
    try:
        from minilm_reference import Encoder
    except ImportError as e:
        skip(f"{e} (tests/e2e/requirements.txt)")
    reference = Encoder(model)
    pairs = list(csv.reader(open(folder / "encoder/stsb-en-test.csv", encoding="utf-8", newline="")))
    print(f"kernels: {args.kernels or 'those of this machine'}")
    good = check_tokens(reference, model, folder, args.all)
    for precision in ("f32", "int8"):
        options = [model, precision] + ([args.kernels] if args.kernels else [])
        vectors_of = lambda texts: np.frombuffer(probe(["vectors", *options], texts), np.float32).reshape(len(texts), -1)
        good = check_vectors(reference, vectors_of, precision, pairs, anchors) and good
        good = check_spearman(vectors_of, precision, pairs) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
