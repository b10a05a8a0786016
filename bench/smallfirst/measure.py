"""The built-in model first, on tasks that a program can check, through the running binary: what each device does to the
answers, whether the model knows when it is right, and what share of the questions it can keep at what price.

Halves: of each kind's tasks four go to one half, four to the other, and so on. What is tested was never learned from."""
import argparse
import hashlib
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import server
import tasks

MODELS = ["smollm2-135m-instruct", "gemma-3-270m"]
ENCODER = "all-minilm-l6-v2"
SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
LOSS = 0.02
SUMS = r"\d+ *[-+*/] *\d+"
DRAWS = 2000
SYSTEM = ("You are the assistant of Hill and Sons, a shop for lamps. Answer briefly. The shop is open from nine to five on weekdays and closed on holidays. Lamps are "
          "sent by post within two days. Broken lamps may be sent back within thirty days, with the receipt. Never promise a delivery date. Never speak about other shops. "
          "If somebody asks for a discount, say that there is none before spring. If somebody is angry, stay calm. Do not use slang. Do not use emoji. Sign letters with "
          "the name of the shop. Prices are in dollars and contain taxes. Employees are not named. The founder of the shop was Edward Hill, who opened it in 1921. ") * 2


# --- figures --------------------------------------------------------------------------------

def mean(v):
    return sum(v) / len(v)


def interval(values, statistic=mean, draws=DRAWS):
    """95 %, percentile bootstrap (Efron 1979)."""
    r, n = random.Random(1), len(values)
    found = sorted(statistic([values[r.randrange(n)] for _ in range(n)]) for _ in range(draws))
    return found[int(0.025 * draws)], found[int(0.975 * draws)]


def area(rows, score):
    right, wrong = ([score(r) for r in rows if r["right_local"] == v] for v in (True, False))
    return sum((a > b) + 0.5 * (a == b) for a in right for b in wrong) / len(right) / len(wrong) if right and wrong else math.nan


def half(rows, which):
    return [r for i, r in enumerate(rows) if i // 4 % 2 == which]


# --- what is learned, with the program's own commands ------------------------------------------

def run(*args):
    done = subprocess.run([server.IBID, *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"smallfirst: {' '.join(args)}: {done.stderr}")
    return done.stdout


def write_lines(path, rows):
    pathlib.Path(path).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


def outcomes(path, rows, by_label=False):
    """By the checker, or as ibid labels them itself: by what the upstream answered."""
    return write_lines(path, [{"signs": r["signs"], "small": r["label"] if by_label else float(r["right_local"]), "large": 1.0 if by_label else float(r["right_upstream"]), **({"group": r["group"]} if "group" in r else {})}
                              for r in rows if not by_label or r["label"] is not None])


def learn_cascade(d, learned, tested, by_label=False):
    """P(right) of each tested answer, and whether it is given out."""
    rows = outcomes(f"{d}/outcomes", learned, by_label)
    report = json.loads(run("tune", "cascade", "--json", "--loss-max", str(LOSS), "--test", outcomes(f"{d}/tested", tested), "--sure", f"{d}/sure", rows))
    sure = [float(x) for x in pathlib.Path(f"{d}/sure").read_text().split()]
    return sure, [x >= report["held_out"]["line"] for x in sure]


def learn_router(d, rows, tested, encoder):
    """P(the small model is enough) of each tested question, by `ibid tune router` on the others and the running server."""
    labels = write_lines(f"{d}/labels", [{"prompt": r["prompt"], "small": float(r["right_local"]), "large": float(r["right_upstream"])} for r in rows])
    run("tune", "router", "--out", f"{d}/router.json", "--json", *(["-m", encoder] if encoder != "off" else ["--no-encoder"]), labels)
    with server.ibid(rows[0]["model"], tested, encoder=encoder, confidence_min=0, classifier=f"{d}/router.json", upstream_share=1) as b:
        found = [b.ask(server.user(t["prompt"]), {"x-ibid-cache": "no-cache, no-store"})[0]["x-ibid-route"] for t in tested]
    return [float(f.split("enough=")[1].split(";")[0]) for f in found]


def with_router(d, rows, encoder):
    """What the router says is a sign, too. Of the answers that are learned from, by one that was not learned from them."""
    quarters = [[r for i, r in enumerate(rows) if i // 4 % 2 == which] for which in (0, 1)]
    enough = {r["prompt"]: e for which in (0, 1) for r, e in zip(quarters[which], learn_router(d, quarters[1 - which], quarters[which], encoder))}
    return [{**r, "signs": {**r["signs"], "enough": enough[r["prompt"]]}} for r in rows]


# --- the curve ----------------------------------------------------------------------------------

def right_at(rows, scores, share):
    """Right answers when that share of the questions, those with the highest scores, is answered here."""
    order = sorted(range(len(rows)), key=lambda i: -scores[i])
    keep = set(order[:round(share * len(rows))])
    return mean([r["right_local"] if i in keep else r["right_upstream"] for i, r in enumerate(rows)])


def blindly(rows, share):
    return mean([share * r["right_local"] + (1 - share) * r["right_upstream"] for r in rows])


def at_best(rows, share):
    """If it were known beforehand which answers are better here, or not worse."""
    gains = sorted((r["right_local"] - r["right_upstream"] for r in rows), reverse=True)
    return mean([r["right_upstream"] for r in rows]) + sum(gains[:round(share * len(rows))]) / len(rows)


def draw_curve(rows):
    """`rows` have "by_cascade" and "by_router". Of each share: the three ways, and the gain of the first with its interval."""
    def gain(share, other):
        return lambda drawn: right_at(drawn, [r["by_cascade"] for r in drawn], share) - (
            blindly(drawn, share) if other is None else right_at(drawn, [r[other] for r in drawn], share))
    out = []
    for s in SHARES:
        point = {"share": s, "cascade": right_at(rows, [r["by_cascade"] for r in rows], s), "router": right_at(rows, [r["by_router"] for r in rows], s), "random": blindly(rows, s), "best": at_best(rows, s)}
        point["over_random"] = interval(rows, gain(s, None), 400)
        point["over_router"] = interval(rows, gain(s, "by_router"), 400)
        out.append(point)
    return out


def print_curve(points):
    print("\n| answered here | small first | router alone | at random | at best | small first over random (95 %) | over the router (95 %) |\n|---:|---:|---:|---:|---:|---:|---:|")
    for p in points:
        print(f"| {p['share']:.1f} | {p['cascade']:.3f} | {p['router']:.3f} | {p['random']:.3f} | {p['best']:.3f} | {p['cascade'] - p['random']:+.3f} ({p['over_random'][0]:+.3f} to {p['over_random'][1]:+.3f}) "
              f"| {p['cascade'] - p['router']:+.3f} ({p['over_router'][0]:+.3f} to {p['over_router'][1]:+.3f}) |")


# --- devices ------------------------------------------------------------------------------------

def text_first(listed):
    """The same tasks with what is to be done at their end, where they have two parts."""
    out = []
    for t in listed:
        what, blank, text = t["prompt"].partition("\n\n")
        out.append({**t, "prompt": f"{text}\n\n{what}"} if blank and "?" in what else t)
    return out


def devices(listed, taught, examples_file):
    """Name: the tasks, the setting without the device, the setting with it."""
    profile = lambda **kw: {"prompts": [{"name": "bench", **kw}]}
    examples = {"examples_file": examples_file, "examples": 4}
    return {
        "solved examples of the operator (4)": (listed, {}, profile(**examples)),
        "none for sums (4 for the others)": (listed, profile(**examples), {"routes": [{"name": "sums", "regex": SUMS, "to": "classifier"}],
                                                                           "prompts": [{"name": "bare", "routes": "sums"}, {"name": "bench", **examples}]}),
        "stored examples (4)": (listed, {}, {"taught": taught, "encoder": ENCODER, "examples": 4, "cache": {"floor": 0.3}}),
        "tags": (listed, {}, profile(style="tags")),
        "tags, with examples": (listed, profile(**examples), profile(style="tags", **examples)),
        "task first, of tasks that end in it": (text_first(listed), {}, profile(order="task_first")),
        "system prompt cut to 200 bytes": (listed, {"system": SYSTEM}, {"system": SYSTEM, **profile(system_bytes_max=200)}),
        "vote of 5, with examples": (listed, profile(**examples), {**profile(**examples), "vote": 5}),
        "think step by step": (listed, {}, profile(think="on")),
    }


# --- the whole ------------------------------------------------------------------------------------

class Runs:
    """Each setting is run once a model."""

    def __init__(self, model, keep):
        self.model, self.keep, self.known = model, keep, {}

    def rows(self, listed, setting):
        known = {k: len(v) if k == "taught" else [{**p, "examples_file": pathlib.Path(p.get("examples_file", "")).name} for p in v] if k == "prompts" else v for k, v in setting.items()}
        name = json.dumps([[t["prompt"] for t in listed[:40]], len(listed), known], sort_keys=True)
        if name not in self.known:
            kept = pathlib.Path(self.keep, f"{self.model}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.json") if self.keep else None
            if kept and kept.exists():
                self.known[name] = json.loads(kept.read_text())["rows"]
                return self.known[name]
            self.known[name] = [{**r, "model": self.model} for r in server.attempts(self.model, listed, **setting)]
            if kept:
                kept.write_text(json.dumps({"setting": name, "rows": self.known[name]}))
        return self.known[name]


def measure_devices(runs, listed, taught, examples_file, only, begins=()):
    print("\n| device | right without | with | gain (95 %) | by kind |\n|---|---:|---:|---:|---|")
    for name, (these, plain, changed) in devices(listed, taught, examples_file).items():
        if only and name not in only or begins and not name.startswith(tuple(begins)):
            continue
        before, after = runs.rows(these, plain), runs.rows(these, changed)
        gain = [a["right_local"] - b["right_local"] for a, b in zip(after, before)]
        low, high = interval(gain)
        kinds = ", ".join(f"{k} {mean([g for g, b in zip(gain, before) if b['kind'] == k]):+.2f}" for k in dict.fromkeys(b["kind"] for b in before))
        none = mean([float(a["signs"] is None) for a in after])
        name += f" (no answer: {none:.2f})" if none else ""
        print(f"| {name} | {mean([b['right_local'] for b in before]):.3f} | {mean([a['right_local'] for a in after]):.3f} | {mean(gain):+.3f} ({low:+.3f} to {high:+.3f}) | {kinds} |", flush=True)


def measure_curve(rows, encoder):
    """Learned on one half and tested on the other, both ways."""
    tested = []
    with tempfile.TemporaryDirectory() as d:
        for which in (0, 1):
            learned, these = half(rows, which), half(rows, 1 - which)
            router = learn_router(d, learned, these, encoder)
            both, asked = with_router(d, learned, encoder), [{**r, "signs": {**r["signs"], "enough": e}} for r, e in zip(these, router)]
            found = zip(these, router, *learn_cascade(d, learned, these), *learn_cascade(d, both, asked), *learn_cascade(d, both, asked, by_label=True))
            names = ("by_router", "by_signs", "stays_by_signs", "by_cascade", "stays", "by_label", "stays_by_label")
            tested += [{**r, **dict(zip(names, values))} for r, *values in found]
    print(f"\n{len(tested)} answers, {mean([r['right_local'] for r in tested]):.3f} right; the upstream's {mean([r['right_upstream'] for r in tested]):.3f}")
    print("\n| judged by | area under the curve |\n|---|---:|")
    for name, score in (("chance of a token on the average", lambda r: r["signs"]["log_p"]), ("the router", lambda r: r["by_router"]),
                        ("the cascade, without the router", lambda r: r["by_signs"]), ("the cascade", lambda r: r["by_cascade"]), ("the cascade, learned from what upstreams answered", lambda r: r["by_label"])):
        print(f"| {name} | {area(tested, score):.3f} |")
    print_curve(draw_curve(tested))
    print(f"\n| line for a loss of {LOSS} | given out | right answers lost (95 %) |\n|---|---:|---:|")
    for name, stays in (("without the router", "stays_by_signs"), ("learned by the checker", "stays"), ("learned from what upstreams answered", "stays_by_label")):
        lost = [float(r[stays] and r["right_upstream"] and not r["right_local"]) - float(r[stays] and r["right_local"] and not r["right_upstream"]) for r in tested]
        low, high = interval(lost)
        print(f"| {name} | {mean([float(r[stays]) for r in tested]):.3f} | {mean(lost):+.4f} ({low:+.4f} to {high:+.4f}) |")


def measure_default(model, n, examples_file):
    """What ships, as a client sees it: tasks that nothing was learned from, `cascade: default`, nothing else set."""
    listed = list(tasks.tasks(n=n, seed=3))
    setting = {"prompts": [{"name": "bench", "examples_file": examples_file, "examples": 4}]}
    print("\n| as it ships | given out | right | the upstream alone | lost (95 %) |\n|---|---:|---:|---:|---:|")
    for name, extra in (("without examples", {}), ("4 examples of the operator", setting)):
        with server.ibid(model, listed, confidence_min=0, cascade="default", outcomes_file="", outcomes="numbers", **extra) as b:
            said = [b.ask(server.user(t["prompt"]), {"x-ibid-cache": "no-cache, no-store"}) for t in listed]
        right = [float(tasks.is_right(t, s[1])) for t, s in zip(listed, said)]
        up = [float(tasks.is_right(t, t["strong"])) for t in listed]
        here = mean([float(s[0]["x-ibid-source"] == "local") for s in said])
        low, high = interval([u - r for u, r in zip(up, right)])
        print(f"| {name} | {here:.3f} | {mean(right):.3f} | {mean(up):.3f} | {mean(up) - mean(right):+.4f} ({low:+.4f} to {high:+.4f}) |", flush=True)


def main():
    o = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    o.add_argument("--quick", action="store_true", help="100 tasks, one model, solved examples only")
    o.add_argument("--all", action="store_true", help="all devices, else those that help")
    o.add_argument("--device", action="append", help="only the devices whose names begin so, and no curve")
    o.add_argument("--tasks", type=int, default=200, help="of each of the four kinds (200)")
    o.add_argument("--model", action="append", help="instead of " + " and ".join(MODELS))
    o.add_argument("--keep", help="a folder for all answers, their signs and labels; what is there already is not asked again")
    o.add_argument("--out", help="also write the calibration that is learned from all answers of all models: deploy/cascade.json")
    o = o.parse_args()
    models = [m for m in o.model or MODELS if server.have(m)]
    if not models:
        print(f"smallfirst: {server.IBID} or the models are missing (ibid models pull NAME)")
        sys.exit(77)
    models = models[:1] if o.quick else models
    n = 25 if o.quick else o.tasks
    encoder = ENCODER if server.have(ENCODER) else "off"
    listed = list(tasks.tasks(n=n))
    asked = {t["prompt"] for t in listed}
    taught = [t for t in tasks.tasks(n=25, seed=1) if t["prompt"] not in asked]
    shown = "solved examples of the operator (4)"
    only = {shown} if o.quick else None if o.all or o.device else {shown, "stored examples (4)"}
    everything = []
    if o.keep:
        pathlib.Path(o.keep).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as d:
        lessons = write_lines(f"{d}/examples.jsonl", [{"prompt": t["prompt"], "answer": t["right"][0]} for t in taught])
        for model in models:
            runs = Runs(model, o.keep)
            print(f"\n## {model}, {len(listed)} tasks")
            measure_devices(runs, listed, taught, lessons, only, o.device)
            if o.device:
                continue
            rows = runs.rows(listed, {"prompts": [{"name": "bench", "examples_file": lessons, "examples": 4}]})
            everything += [{**r, "group": f"{model} {how}"} for how, these in (("with examples", rows), ("without", runs.rows(listed, {}))) for r in these]
            print("\nWith 4 examples of the operator:")
            measure_curve(rows, encoder)
            if not o.out:
                measure_default(model, min(n, 100), lessons)
        if o.out:
            print("\n" + run("tune", "cascade", "--out", o.out, "--models", " ".join(models), outcomes(f"{d}/outcomes", everything)))


if __name__ == "__main__":
    main()
