#!/usr/bin/env python3
"""The table of types of weights; bench/quant.sh starts it, and says what is measured."""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TYPES = ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_NL", "Q4_0", "IQ2_XS", "TQ2_0"]
NAMES = {"smollm": "SmolLM2-135M", "gemma": "Gemma-3-270M", "encoder": "MiniLM"}
PROMPT, DECODE = 256, 64
MIB = 1 << 20


def say(a, text):
    if not a.quiet:
        print(f"quant: {text}", file=sys.stderr, flush=True)


def run(command):
    """Its output, and the most memory it had, in MiB."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if child.returncode:
            raise SystemExit(f"quant: {' '.join(map(str, command[:3]))}: {err.read().decode().strip()[-400:]}")
        return out.read().decode(), usage.ru_maxrss * 1024 / MIB


# --- decoders -----------------------------------------------------------------------------------


def base_file(a, name, model):
    """The model's weights as F16: what all types are made from."""
    path = a.work / f"{name}-F16.gguf"
    if not path.exists():
        say(a, f"{name}: F16")
        run([a.ibid, "models", "quantize", model, path, "F16", "--requantize", "-q"])
    return path


def imatrix(a, name, model):
    path = a.work / f"{name}.imatrix"
    if not path.exists():
        say(a, f"{name}: importance matrix")
        text = a.work / "imatrix.txt"
        text.write_text("\n\n".join(p.read_text() for p in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]))
        # Made on the way to any type. The file as it was pulled has the same weights as the F16
        # one, and faster kernels.
        with tempfile.TemporaryDirectory(dir=a.work) as there:
            run([a.ibid, "models", "quantize", model, Path(there) / "out.gguf", "Q8_0", "--requantize", "--imatrix", text, "--save-imatrix", path, "-q"])
    return path


def file_of(a, name, model, kind):
    if kind == "as pulled":
        return Path(model)
    base = base_file(a, name, model)
    path = a.work / f"{name}-{kind}.gguf"
    matrix = imatrix(a, name, model)
    if not path.exists():
        say(a, f"{name}: {kind}")
        run([a.ibid, "models", "quantize", base, path, kind, "--imatrix", matrix, "-q"])
    return path


def decoder_quality(a, path):
    out, ram = run([a.ibid, "models", "bench", path, "--perplexity", a.text, "-c", 512, "-t", 2, "--json", "-q"])
    return {"perplexity": json.loads(out)["perplexity"], "ram": ram, "file": path.stat().st_size / MIB}


def decoder_speed(a, path):
    r = json.loads(run([a.ibid, "models", "bench", path, "-p", PROMPT, "-n", DECODE, "-r", 1, "--forget", "--json", "-q"])[0])
    return r["prompt_tokens_per_s"], r["decode_tokens_per_s"]


def measure_decoder(a, name, model, kept):
    kinds = ["as pulled", *a.types]
    files = {k: file_of(a, name, model, k) for k in kinds}
    for k in kinds:
        if "quality" in a.only:
            say(a, f"{name}: perplexity of {k}")
            kept.setdefault(k, {}).update(decoder_quality(a, files[k]))
            save(a)
    if "speed" in a.only:
        rates = {k: [] for k in kinds}
        for i in range(a.rounds):  # in turn, so that a noisy second hits all alike
            say(a, f"{name}: speed, round {i + 1} of {a.rounds}")
            for k in kinds:
                rates[k].append(decoder_speed(a, files[k]))
        for k in kinds:
            prompt, decode = (statistics.median(r[i] for r in rates[k]) for i in (0, 1))
            kept.setdefault(k, {}).update({"prompt": prompt, "decode": decode})
        save(a)


# --- the encoder --------------------------------------------------------------------------------


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out, i = [0.0] * len(values), 0
    while i < len(order):
        j = i
        while j < len(order) and values[order[j]] == values[order[i]]:
            j += 1
        for k in order[i:j]:
            out[k] = (i + j - 1) / 2
        i = j
    return out


def spearman(a, b):
    return statistics.correlation(ranks(a), ranks(b))


def embed(a, folder, precision, texts):
    out = []
    for i in range(0, len(texts), 256):
        text, _ = run([a.ibid, "embed", "-m", folder, "--precision", precision, *texts[i : i + 256]])
        out += [json.loads(line) for line in text.splitlines()]
    return out


def measure_encoder(a, model, kept):
    folder = Path(model).parent
    with open(a.stsb, encoding="utf-8", newline="") as f:
        rows = [(x, y, float(score)) for x, y, score in csv.reader(f)]
    for precision in ("f32", "int8"):
        r = kept.setdefault(precision, {})
        if "quality" in a.only:
            say(a, f"encoder: STSb in {precision}")
            left, right = (embed(a, folder, precision, [row[i] for row in rows]) for i in (0, 1))
            cosines = [sum(u * v for u, v in zip(x, y)) for x, y in zip(left, right)]
            _, ram = run([a.ibid, "embed", "-m", folder, "--precision", precision, rows[0][0]])
            r.update({"spearman": spearman(cosines, [row[2] for row in rows]), "ram": ram, "file": Path(model).stat().st_size / MIB})
        if "speed" in a.only:
            out, _ = run([a.ibid, "models", "bench", folder, "--precision", precision, "-r", a.rounds, "--json", "-q"])
            r["ms_p50"] = json.loads(out)["ms_p50"]
        save(a)


# --- the table ----------------------------------------------------------------------------------


def save(a):
    (a.work / "results.json").write_text(json.dumps(a.results, indent=1))


def cell(value, form):
    return "" if value is None else format(value, form)


def print_tables(a):
    for name in ("smollm", "gemma"):
        kept = a.results.get(name)
        if not kept:
            continue
        base = kept.get("F16", {}).get("perplexity")
        print(f"\n{NAMES[name]}\n\n| weights | file, MiB | RAM, MiB | perplexity | loss to F16 | prompt of {PROMPT}, tokens/s | decode {DECODE}, tokens/s |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for k, r in kept.items():
            loss = r["perplexity"] / base - 1 if base and "perplexity" in r else None
            print(f"| {k} | {cell(r.get('file'), '.0f')} | {cell(r.get('ram'), '.0f')} | {cell(r.get('perplexity'), '.2f')} | {cell(loss, '+.1%')} "
                  f"| {cell(r.get('prompt'), '.0f')} | {cell(r.get('decode'), '.0f')} |")
    if a.results.get("encoder"):
        print(f"\n{NAMES['encoder']}\n\n| computed in | file, MiB | RAM, MiB | Spearman, STSb test | ms a text of 16, 32, 128 tokens |\n|---|---:|---:|---:|---|")
        for k, r in a.results["encoder"].items():
            times = r.get("ms_p50")
            print(f"| {k} | {cell(r.get('file'), '.0f')} | {cell(r.get('ram'), '.0f')} | {cell(r.get('spearman'), '.4f')} "
                  f"| {', '.join(format(times[n], '.2f') for n in ('16', '32', '128') if n in times) if times else ''} |")


def main():
    p = argparse.ArgumentParser()
    for name in ("ibid", "work"):
        p.add_argument(f"--{name}", required=True, type=Path)
    for name in ("smollm", "gemma", "encoder", "stsb"):
        p.add_argument(f"--{name}")
    p.add_argument("--only", action="append", choices=["smollm", "gemma", "encoder", "quality", "speed"], default=[])
    p.add_argument("--types", type=str.split, default=TYPES)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--text", type=Path, default=ROOT / "bench/engine/ppl.txt")
    p.add_argument("--json", action="store_true")
    p.add_argument("--quiet", action="store_true")
    a = p.parse_args()
    a.only += [] if {"quality", "speed"} & set(a.only) else ["quality", "speed"]
    models = [m for m in ("smollm", "gemma", "encoder") if getattr(a, m) and (m in a.only or not {"smollm", "gemma", "encoder"} & set(a.only))]
    try:
        a.results = json.loads((a.work / "results.json").read_text())
    except FileNotFoundError:
        a.results = {}
    for m in models:
        kept = a.results.setdefault(m, {})
        if m == "encoder":
            measure_encoder(a, a.encoder, kept)
        else:
            measure_decoder(a, m, getattr(a, m), kept)
    if a.json:
        print(json.dumps(a.results))
    else:
        print_tables(a)


main()
