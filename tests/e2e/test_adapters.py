"""LoRA adapters of the built-in model: names of their own, answers of their own, entries of their own."""
import concurrent.futures
import struct

import numpy as np
import pytest

from client import post, serving, user
from conftest import DECODER, needs_decoder
from test_cli import run

pytestmark = needs_decoder
NAME = "smollm2-135m-instruct"
D, KV, FFN, LAYERS = 576, 192, 1536, 30
SHAPES = {"attn_q": (D, D), "attn_v": (KV, D), "attn_output": (D, D), "ffn_up": (FFN, D), "ffn_down": (D, FFN)}


def word(text):
    return struct.pack("<Q", len(text)) + text.encode()


def save(path, seed, rank=8, arch="llama", layers=LAYERS, drop=None):
    """As convert_lora_to_gguf.py writes it: A [rank][cols] and B [rows][rank] of each matrix."""
    rng, tensors = np.random.default_rng(seed), {}
    for i in range(layers):
        for what, (rows, cols) in SHAPES.items():
            tensors[f"blk.{i}.{what}.weight.lora_a"] = rng.normal(0, cols**-0.5, (rank, cols)).astype(np.float32)
            tensors[f"blk.{i}.{what}.weight.lora_b"] = rng.normal(0, 0.04, (rows, rank)).astype(np.float32)
    tensors.pop(drop, None)
    keys = {"general.architecture": arch, "general.type": "adapter", "adapter.type": "lora"}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys) + 1)
    head += b"".join(word(k) + struct.pack("<I", 8) + word(v) for k, v in keys.items()) + word("adapter.lora.alpha") + struct.pack("<If", 6, 16.0)
    at, data = 0, b""
    for name, v in tensors.items():
        head += word(name) + struct.pack("<IQQIQ", 2, v.shape[1], v.shape[0], 0, at)
        data += v.tobytes() + bytes(-v.nbytes % 32)
        at = len(data)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("tuned")
    one, two = save(tmp / "one.gguf", 1), save(tmp / "two.gguf", 2)
    with serving(tmp, upstream=False, local=True, env={"IBID_LOCAL_ADAPTERS": f"support={one} legal={two}"}) as both:
        yield both[0]


def ask(ibid, model, text="Name a colour.", headers=(("x-ibid-cache", "no-cache, no-store"),), **fields):
    return post(ibid, user(text, model=model, max_tokens=12, **fields), list(headers))


def test_adapters_are_listed_beside_their_model(tuned):
    list_ = tuned.request("GET", "/v1/models").json["data"]
    assert [(m["id"], m.get("parent")) for m in list_] == [(NAME, None), ("support", NAME), ("legal", NAME)]
    assert tuned.request("GET", "/v1/models/legal").json["parent"] == NAME
    assert tuned.metric("ibid_local_adapters") == 2


def test_each_has_its_own_answer_alone_and_beside_the_others(tuned):
    names = [NAME, "support", "legal"]
    alone = {n: ask(tuned, n) for n in names}
    assert all(r.status == 200 and r.source == "local" and r.json["model"] == n for n, r in alone.items())
    assert len({r.text for r in alone.values()}) == 3
    assert ask(tuned, f"{NAME}:legal").text == alone["legal"].text and ask(tuned, "some-model").text == alone[NAME].text
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda n: (n, ask(tuned, n).text), names * 4))
    assert got == [(n, alone[n].text) for n in names * 4]


def test_an_answer_of_one_is_never_served_for_another(tuned):
    stop = {"stop": [" ", ",", ".", "\n"], "headers": ()}
    first = {n: ask(tuned, n, "Count: one, two, three.", **stop) for n in (NAME, "support", "legal")}
    assert {r.source for r in first.values()} == {"local"}
    kept = [n for n, r in first.items() if r.json["choices"][0]["finish_reason"] == "stop" and r.text]
    assert kept, "all began with a stop string, or went on"
    for n in kept:
        again = ask(tuned, n, "Count: one, two, three.", **stop)
        assert again.source != "local" and again.text == first[n].text and again.json["model"] == n


def test_generate_takes_one(tuned, tmp_path):
    model, adapter = str(next(DECODER.glob("*.gguf"))), str(save(tmp_path / "one.gguf", 1))
    args = ["generate", "-m", model, "-p", "Name a colour.", "-n", "12", "-q"]
    plain, with_it = run(*args), run(*args, "--adapter", adapter)
    assert with_it.returncode == 0 and with_it.stdout.strip() == ask(tuned, "support").text.strip() != plain.stdout.strip()


@pytest.mark.parametrize("fault, says", [
    ({"arch": "qwen2"}, "for the architecture 'qwen2', the model is 'llama'"),
    ({"layers": 31}, "'blk.30.attn_output.weight.lora_a' is for a matrix that the model has not got"),
    ({"drop": "blk.3.ffn_up.weight.lora_b"}, "tensor 'blk.3.ffn_up.weight.lora_b' is missing"),
])
def test_what_does_not_fit_is_told_in_one_line(tmp_path, fault, says):
    bad = save(tmp_path / "bad.gguf", 1, **fault)
    done = run("generate", "-m", str(next(DECODER.glob("*.gguf"))), "-p", "x", "--adapter", str(bad))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and says in done.stderr, done.stderr


@pytest.mark.parametrize("setting, says", [("support", "this is not NAME=PATH"), (f"{NAME}=x.gguf", "this name is taken"), ("a=/nowhere.gguf", "adapter 'a': cannot open '/nowhere.gguf'")])
def test_a_model_without_one_of_its_adapters_does_not_answer_for_it(tmp_path, setting, says):
    with serving(tmp_path, upstream=False, local=True, env={"IBID_LOCAL_ADAPTERS": setting}) as both:
        assert says in both[0].read_log()
        assert ask(both[0], "support").status >= 500
