#!/usr/bin/env python3
"""The built-in model against llama.cpp's recorded greedy answers, and against NumPy.

    decoder_parity.py [--kernels ref|avx2|avxvnni|avx512vnni] [--no-numpy]

Each recorded token is fed in turn, so one flip does not hide what follows it. Where our
likeliest token is another, the recorded lead over the runner-up must be small.

Logits are compared with the NumPy forward pass twice. With products of floats, to many
digits: what the file says and what is made of it. With the kernels that serve, whose
inputs are rounded to bytes as the format has it: that costs some percent in this model,
whoever does it, so their distance from the unrounded logits is held against NumPy's own
distance with the same rounding. Needs build/release/bin/engine_probe,
the model, and IBID_ANCHORS (default ../shared/anchors); exits 77 with a word without
them. Exit status 1: a figure is beyond its bound.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
SMALL_LEAD = 0.5  # logits: two percent of the largest
EXACT_MAX = 1e-2  # relative, of a row of logits
COST_MAX = 1.3  # what rounding costs us, against what it costs NumPy
EXACT_PROMPTS, EXACT_FORCED = 3, 3


def skip(word):
    print(f"decoder_parity: {word}")
    sys.exit(77)


def rows_of(probe, model, kernels, prompt, forced):
    """Logits after the prompt and after each forced id."""
    args = [probe, "logits", model, "1"] + ([kernels] if kernels else [])
    line = " ".join(map(str, [len(prompt), *prompt, *forced])) + "\n"
    run = subprocess.run(args, input=line.encode(), stdout=subprocess.PIPE)
    if run.returncode:
        sys.exit(run.returncode)
    return np.frombuffer(run.stdout, np.float32).reshape(len(forced) + 1, -1)


def apart(a, b):
    """Relative distance of two lists of rows, row by row."""
    return np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--kernels", default="")
    args.add_argument("--no-numpy", action="store_true")
    args = args.parse_args()
    probe = ROOT / "build/release/bin/engine_probe"
    models = Path(os.environ.get("IBID_MODEL_DIR", Path.home() / ".cache/ibid/models"))
    model = models / "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
    golden = Path(os.environ.get("IBID_ANCHORS", ROOT / "../shared/anchors")) / "golden/smollm2-135m-q4_1.greedy64.jsonl"
    for path, word in ((probe, "is not built"), (model, "is not there: ibid models pull smollm2-135m-instruct"),
                       (golden, "is not there: set IBID_ANCHORS")):
        if not path.exists():
            skip(f"{path} {word}")
    prompts = [json.loads(line) for line in golden.read_text().splitlines()]
    bad = against_llama(prompts, probe, model, args.kernels)
    if not args.no_numpy:
        bad = against_numpy(prompts, probe, model, args.kernels) or bad
    sys.exit(1 if bad else 0)


def against_llama(prompts, probe, model, kernels):
    tokens = same = before = 0
    off, leads = [], [0.0]
    for p in prompts:
        rows = rows_of(probe, model, kernels, p["prompt_ids"], p["ids"][:-1])
        other = np.flatnonzero(rows.argmax(1) != p["ids"])
        tokens, same = tokens + len(rows), same + len(rows) - len(other)
        before += int(other[0]) if len(other) else len(rows)
        leads += [p["lead"][i] for i in other]
        off += list(np.abs(rows[np.arange(len(rows)), p["ids"]] - p["logit"]) / np.abs(rows).max(1))
    print(f"llama.cpp ({kernels or 'kernels of this machine'}): {len(prompts)} prompts, {same} of {tokens} tokens the same, {before} "
          f"before the first other one of each; largest lead at another {max(leads):.3f} (bound {SMALL_LEAD}); logit of its token "
          f"off by {np.median(off):.4f} of the largest (median), {max(off):.4f} (most)")
    return max(leads) > SMALL_LEAD


def against_numpy(prompts, probe, model, kernels):
    from smollm_reference import Smollm
    plain, rounded = Smollm(model), Smollm(model)
    plain.rounded = False
    exact, ours, theirs, same_ids, tops = [], [], [], 0, 0
    for i, p in enumerate(prompts):
        same_ids += plain.ids(p["prompt"], special=True) == p["prompt_ids"]
        forced, start = p["ids"][:-1], len(p["prompt_ids"]) - 1
        want = plain.logits(p["prompt_ids"] + forced, start)
        if i < EXACT_PROMPTS:
            n = EXACT_FORCED
            rows = rows_of(probe, model, "exact", p["prompt_ids"], forced[:n])
            exact += list(apart(rows, want[: n + 1]))
            tops += int((rows.argmax(1) == want[: n + 1].argmax(1)).sum())
        ours += list(apart(rows_of(probe, model, kernels, p["prompt_ids"], forced), want))
        theirs += list(apart(rounded.logits(p["prompt_ids"] + forced, start), want))
    cost, own = float(np.median(ours)), float(np.median(theirs))
    print(f"NumPy, products of floats: logits apart by {max(exact):.2e} at most (bound {EXACT_MAX}), likeliest token the same in {tops} of "
          f"{len(exact)}; prompts tokenized the same: {same_ids} of {len(prompts)}")
    print(f"NumPy, inputs as bytes: rounding moves our logits by {cost:.4f} (median), NumPy's by {own:.4f}: {cost / own:.2f} times (bound {COST_MAX})")
    return max(exact) > EXACT_MAX or same_ids != len(prompts) or tops != len(exact) or cost > COST_MAX * own


if __name__ == "__main__":
    main()
