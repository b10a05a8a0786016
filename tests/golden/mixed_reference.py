#!/usr/bin/env python3
"""Logits of small models that mix types of weights, in NumPy.

    test_mixed --write FOLDER
    mixed_reference.py FOLDER --fixtures OUT

test_mixed writes the models, random bytes, as files; this reads them with the reader, the
formats and the forward pass of smollm_reference.py and formats_reference.py, and writes
mixed.json, which test_mixed compares with: logits after a prompt and one more token, with
products of floats and with their inputs rounded to bytes.
"""
import argparse
import json
from pathlib import Path

from smollm_reference import Smollm

IDS = [(i * 37 + i // 7) % 265 for i in range(71)]


def logits(path, rounded):
    rows = Smollm(path, rounded=rounded).logits(IDS, len(IDS) - 2)
    return [[float(f"{v:.6g}") for v in row] for row in rows]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder", type=Path)
    args.add_argument("--fixtures", type=Path, required=True)
    args = args.parse_args()
    rows = []
    for path in sorted(args.folder.glob("mixed-*.gguf")):
        row = {"ids": IDS, "exact": logits(path, False), "rounded": logits(path, True)}
        rows.append(json.dumps(row, separators=(",", ":")))
    (args.fixtures / "mixed.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
