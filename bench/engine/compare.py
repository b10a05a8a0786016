#!/usr/bin/env python3
"""Our engine and the references in turn on the same files; bench/engine.sh starts it.

A row is one kind of work. A round runs ours, then the reference; a row's ratio is the median
of the rounds' ratios, and its spread their least and most. Quality (perplexity, cosine) is
compared once. Exit status 1: an answer of ours is worse than its bound; timings never decide.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TEXT = HERE / "ppl.txt"
PERPLEXITY_OFF, COSINE_MIN = 0.005, 0.995
SPIN = "while True: pass"


def run_json(command, env=None):
    """The last line of its output that is JSON."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=os.environ | (env or {}))
    if done.returncode:
        raise SystemExit(f"engine: {' '.join(map(str, command))}: {done.stderr.strip()[-400:]}")
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])


class Engines:
    def __init__(self, a):
        self.ibid, self.llama, self.python = a.ibid, a.llama, sys.executable
        self.encoder, self.work = a.encoder, a.work

    def our_rate(self, model, what, threads, tokens, depth):
        prompt, generate = (tokens, 0) if what == "prompt" else (0, tokens)
        r = run_json([self.ibid, "models", "bench", model, "-p", prompt, "-n", generate, "-d", depth, "-t", threads, "-r", 1, "--forget", "--json", "--quiet"])
        return r[f"{what}_tokens_per_s"]

    def llama_rate(self, model, what, threads, tokens, depth):
        prompt, generate = (tokens, 0) if what == "prompt" else (0, tokens)
        return run_json([self.llama / "llama-bench", "-m", model, "-p", prompt, "-n", generate, "-d", depth, "-t", threads, "-r", 1, "-o", "jsonl"])["avg_ts"]

    def our_perplexity(self, model):
        return run_json([self.ibid, "models", "bench", model, "--perplexity", TEXT, "-c", 512, "-t", 2, "--json", "--quiet"])["perplexity"]

    def llama_perplexity(self, model):
        done = subprocess.run([self.llama / "llama-perplexity", "-m", model, "-f", TEXT, "-c", "512", "-t", "2"], capture_output=True, text=True)
        found = re.search(r"Final estimate: PPL.*= *([0-9.]+) \+/-", done.stdout + done.stderr)
        if not found:
            raise SystemExit(f"engine: llama-perplexity on {model}: {done.stderr.strip()[-400:]}")
        return float(found[1])

    def our_encoder(self):
        return run_json([self.ibid, "models", "bench", self.encoder, "-r", 1, "--json", "--quiet"])

    def onnx_encoder(self, threads):
        return run_json([self.python, HERE / "onnx_encoder.py", self.encoder, self.work / "onnx-files", "--threads", threads, "--seconds", 0.3])

    def our_cosine(self):
        """The least over the texts of the float64 reference."""
        sys.path.insert(0, str(ROOT / "tests/golden"))
        import minilm_reference as reference
        exact = reference.Encoder(self.encoder)
        out = subprocess.run([self.ibid, "embed", "-m", f"{self.encoder}/", *reference.TEXTS], capture_output=True, text=True, check=True).stdout
        ours = [json.loads(line) for line in out.splitlines()]
        return min(float(sum(a * b for a, b in zip(v, exact.vector(t)))) for v, t in zip(ours, reference.TEXTS))


class Row:
    """`higher`: tokens a second; otherwise milliseconds."""

    def __init__(self, work, threads, reference, higher, floor=None):
        self.work, self.threads, self.reference, self.higher, self.floor = work, threads, reference, higher, floor
        self.ours, self.theirs = [], []

    def add(self, ours, theirs):
        self.ours.append(ours)
        self.theirs.append(theirs)

    def ratios(self):
        return [a / b if self.higher else b / a for a, b in zip(self.ours, self.theirs)]

    def json(self):
        r = self.ratios()
        return {"work": self.work, "threads": self.threads, "reference": self.reference, "unit": "tokens/s" if self.higher else "ms",
                "ours": round(statistics.median(self.ours), 3), "theirs": round(statistics.median(self.theirs), 3), "rounds": len(r), "floor": self.floor,
                "ratio": round(statistics.median(r), 2), "ratio_least": round(min(r), 2), "ratio_most": round(max(r), 2)}


def say(a, text):
    if not a.quiet:
        print(f"engine: {text}", file=sys.stderr, flush=True)


def decoder_rows(e, a, name, model, loads):
    """loads: (what, threads, tokens, depth, floor)"""
    rows = []
    for what, threads, tokens, depth, floor in loads:
        row = Row(f"{name}, {what} {tokens}" + (f" at depth {depth}" if depth else ""), threads, "llama.cpp", True, floor)
        for i in range(a.rounds):
            say(a, f"{row.work}, threads: {threads}, round {i + 1} of {a.rounds}")
            row.add(e.our_rate(model, what, threads, tokens, depth), e.llama_rate(model, what, threads, tokens, depth))
        rows.append(row)
    return rows


def smollm(e, a):
    both = [(w, t, n, 0, f) for w, n, f in (("decode", 128, {1: 2, 2: 1.6}), ("prompt", 512, {1: 3, 2: 3})) for t, f in f.items()]
    return decoder_rows(e, a, "SmolLM2-135M Q4_1", a.smollm, both)


def depth(e, a):
    return decoder_rows(e, a, "SmolLM2-135M Q4_1", a.smollm, [("decode", 2, 32, 2048, 3)])


def gemma(e, a):
    both = [(w, t, n, 0, f) for w, n, f in (("decode", 128, 1.6), ("prompt", 512, 1.8)) for t in (1, 2)]
    return decoder_rows(e, a, "Gemma-3-270M Q4_K_M", a.gemma, both)


def encoder(e, a):
    rows = {}
    for threads in (1, 2):
        for i in range(a.rounds):
            say(a, f"encoder, threads of ONNX Runtime: {threads}, round {i + 1} of {a.rounds}")
            ours, theirs = e.our_encoder(), e.onnx_encoder(threads)
            for n in ("16", "32", "128", "8x16"):
                work = f"MiniLM, {'8 texts of 16' if n == '8x16' else n} tokens"
                row = rows.setdefault((threads, n), Row(work, threads, "ONNX Runtime int8", False, 1.3 if threads == 1 else None))
                row.add(ours["ms_p50"][n], theirs["ms_p50"][n])
    return list(rows.values())


def spinning(core, measure):
    with subprocess.Popen(["taskset", "-c", str(core), sys.executable, "-c", SPIN]) as spinner:
        try:
            return measure()
        finally:
            spinner.kill()


def contention(e, a):
    """Two threads with one core taken, against one thread and no competitor."""
    rows = [Row("SmolLM2-135M Q4_1, decode 128: two threads, one core taken, over one thread", 2, who, True, floor)
            for who, floor in (("ibid itself", .9), ("llama.cpp itself", None))]
    for i in range(a.rounds):
        say(a, f"contention, round {i + 1} of {a.rounds}")
        for row, rate in zip(rows, (e.our_rate, e.llama_rate)):
            alone = rate(a.smollm, "decode", 1, 128, 0)
            row.add(spinning(1, lambda: rate(a.smollm, "decode", 2, 128, 0)), alone)
    return rows


def together(e, a):
    """Eight answers in one pass over the weights beside one, and answers with guesses beside those without."""
    rows = []
    for threads in (1, 2):
        row = Row("SmolLM2-135M Q4_1, 8 answers at once, 64 tokens each", threads, "ibid, one answer", True, 3)
        for i in range(a.rounds):
            say(a, f"{row.work}, threads: {threads}, round {i + 1} of {a.rounds}")
            r = run_json([e.ibid, "models", "bench", a.smollm, "-b", 8, "-n", 64, "-r", 1, "-t", threads, "--json", "--quiet"])
            row.add(r["batch_tokens_per_s"], r["one_tokens_per_s"])
        rows.append(row)
    return rows


def quality(e, a):
    out = []
    for name, model in (("SmolLM2-135M Q4_1", a.smollm), ("Gemma-3-270M Q4_K_M", a.gemma)):
        if model:
            say(a, f"perplexity, {name}")
            ours, theirs = e.our_perplexity(model), e.llama_perplexity(model)
            out.append({"what": f"perplexity, {name}", "ours": ours, "theirs": theirs, "bound": f"within {PERPLEXITY_OFF:.1%}",
                        "ok": ours <= theirs * (1 + PERPLEXITY_OFF) and ours >= theirs * (1 - PERPLEXITY_OFF)})
    if a.encoder:
        ours, theirs = e.our_cosine(), e.onnx_encoder(1)["cosine_min"]
        out.append({"what": "cosine to float64, MiniLM int8, the least", "ours": round(ours, 5), "theirs": theirs, "bound": f"at least {COSINE_MIN}", "ok": ours >= COSINE_MIN})
    return out


PARTS = {"encoder": (encoder, "encoder"), "smollm": (smollm, "smollm"), "depth": (depth, "smollm"),
         "gemma": (gemma, "gemma"), "contention": (contention, "smollm"),
         "together": (together, "smollm")}


def cpu_name():
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return names[0] if names else platform.machine()


def table(result):
    print(f"{result['cpu']}, {result['cores']} cores; {result['kernels']}; {result['date']}\n")
    print("| work | threads | reference | theirs | ours | ratio | spread | floor |\n|---|---:|---|---:|---:|---:|---|---:|")
    for r in result["rows"]:
        floor = f"{r['floor']:g}" if r["floor"] else ""
        print(f"| {r['work']} | {r['threads']} | {r['reference']} | {r['theirs']:.4g} {r['unit']} | {r['ours']:.4g} | {r['ratio']:.2f} | {r['ratio_least']:.2f} to {r['ratio_most']:.2f} | {floor} |")
    if result["quality"]:
        print("\n| quality | reference | ours | bound | |\n|---|---:|---:|---|---|")
        for q in result["quality"]:
            print(f"| {q['what']} | {q['theirs']:.5g} | {q['ours']:.5g} | {q['bound']} | {'' if q['ok'] else '**beyond it**'} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ibid", type=Path, required=True)
    p.add_argument("--llama", type=Path, required=True, help="folder of its programs")
    p.add_argument("--work", type=Path, required=True)
    for name in ("smollm", "gemma", "encoder"):
        p.add_argument("--" + name, type=Path, help="the model; left out without it")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--only", action="append", choices=[*PARTS, "quality"])
    p.add_argument("--json", action="store_true")
    p.add_argument("--quiet", action="store_true")
    a = p.parse_args()
    e, wanted = Engines(a), a.only or [*PARTS, "quality"]
    rows = [row for name, (part, needs) in PARTS.items() if name in wanted and getattr(a, needs) for row in part(e, a)]
    result = {"date": datetime.date.today().isoformat(), "cpu": cpu_name(), "cores": os.cpu_count(), "rows": [r.json() for r in rows],
              "quality": quality(e, a) if "quality" in wanted else []}
    result["kernels"] = run_json([a.ibid, "models", "bench", a.smollm or a.gemma, "-p", 1, "-n", 0, "-r", 1, "--json", "--quiet"])["kernels"] if a.smollm or a.gemma else ""
    if a.json:
        print(json.dumps(result))
    else:
        table(result)
    sys.exit(0 if all(q["ok"] for q in result["quality"]) else 1)


if __name__ == "__main__":
    main()
