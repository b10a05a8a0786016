#!/usr/bin/env python3
"""all-MiniLM-L6-v2 in ONNX Runtime: milliseconds by number of tokens, as JSON.

    onnx_encoder.py MODEL_FOLDER WORK_FOLDER [--threads N] [--precision int8|f32] [--seconds S]

No package carries an ONNX file of it in full precision: the graph is written here from the
safetensors file, with the fused operators that ONNX Runtime's own optimizer makes of an
export, and quantized by its quantize_dynamic (per channel, signed). Both files stay in
WORK_FOLDER. `cosine_min`: against float64 (tests/golden/minilm_reference.py), the least of
its texts. PyPI: onnxruntime, onnx, numpy, tokenizers.
"""
import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/golden"))
import minilm_reference as reference  # noqa: E402

LENGTHS = {"8": (1, 8), "16": (1, 16), "32": (1, 32), "128": (1, 128), "256": (1, 256), "8x16": (8, 16)}
CONTRIB = "com.microsoft"  # the domain of the fused operators
RUNS_MIN, RUNS_MAX, RUNS_COLD = 12, 1500, 3


class Graph:
    """BERT as one input of ids, [texts][tokens], and one output, [texts][tokens][d]."""

    def __init__(self, tensors, config):
        import onnx
        self.onnx, self.t = onnx, tensors
        self.heads, self.layers, self.eps = config["num_attention_heads"], config["num_hidden_layers"], config["layer_norm_eps"]
        self.nodes, self.constants = [], []

    def constant(self, name, value):
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind, inputs, name, domain="", **attributes):
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def tensor(self, name, turned=False):
        value = self.t[name]
        return self.constant(name, value.T if turned else value)

    def product(self, x, name, out):
        return self.node("MatMul", [x, self.tensor(name + ".weight", turned=True)], out)

    def embeddings(self):
        words = self.node("Gather", [self.tensor("embeddings.word_embeddings.weight"), "input_ids"], "words")
        places = self.t["embeddings.position_embeddings.weight"] + self.t["embeddings.token_type_embeddings.weight"][0]
        shape = self.node("Shape", ["input_ids"], "shape")
        bounds = [self.constant(n, np.array([v], np.int64)) for n, v in (("from", 1), ("to", 2), ("zero", 0))]
        length = self.node("Slice", [shape, *bounds[:2]], "length")
        placed = self.node("Slice", [self.constant("places", places), bounds[2], length], "placed")
        norm = [self.tensor(f"embeddings.LayerNorm.{n}") for n in ("weight", "bias")]
        return self.node("LayerNormalization", [self.node("Add", [words, placed], "summed"), *norm], "hidden", axis=-1, epsilon=self.eps)

    def add_and_norm(self, x, rest, product, norm, out):
        names = (norm + ".weight", norm + ".bias", product + ".bias")
        return self.node("SkipLayerNormalization", [x, rest, *map(self.tensor, names)], out, CONTRIB, epsilon=self.eps)

    def layer(self, x, i, out):
        p = f"encoder.layer.{i}."
        parts = [p + f"attention.self.{n}" for n in ("query", "key", "value")]
        weights = self.constant(p + "qkv", np.concatenate([self.t[n + ".weight"].T for n in parts], 1))
        biases = self.constant(p + "qkv.bias", np.concatenate([self.t[n + ".bias"] for n in parts]))
        a = self.node("Attention", [x, weights, biases, "mask"], p + "attended", CONTRIB, num_heads=self.heads)
        o = p + "attention.output.dense"
        y = self.add_and_norm(self.product(a, o, p + "mixed"), x, o, p + "attention.output.LayerNorm", p + "middle")
        up = p + "intermediate.dense"
        g = self.node("BiasGelu", [self.product(y, up, p + "wide"), self.tensor(up + ".bias")], p + "gelu", CONTRIB)
        down = p + "output.dense"
        return self.add_and_norm(self.product(g, down, p + "narrow"), y, down, p + "output.LayerNorm", out)

    def write(self, path):
        helper, kinds = self.onnx.helper, self.onnx.TensorProto
        x = self.embeddings()
        self.node("Cast", ["attention_mask"], "mask", to=kinds.INT32)
        for i in range(self.layers):
            x = self.layer(x, i, "out" if i + 1 == self.layers else f"hidden.{i}")
        inputs = [helper.make_tensor_value_info(n, kinds.INT64, ["texts", "tokens"]) for n in ("input_ids", "attention_mask")]
        output = helper.make_tensor_value_info("out", kinds.FLOAT, ["texts", "tokens", "d"])
        graph = helper.make_graph(self.nodes, "encoder", inputs, [output], self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
        self.onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def files(folder, work):
    plain, int8 = work / "encoder-f32.onnx", work / "encoder-int8.onnx"
    if int8.exists():
        return {"f32": plain, "int8": int8}
    from onnxruntime.quantization import QuantType, quantize_dynamic
    work.mkdir(parents=True, exist_ok=True)
    tensors = {n.removeprefix("bert."): v for n, v in reference.read_tensors(folder / "model.safetensors").items()}
    Graph(tensors, json.loads((folder / "config.json").read_text())).write(plain)
    part = work / "encoder-int8.part"
    # DefaultTensorType 1 (float): shape inference does not know the fused operators.
    quantize_dynamic(plain, part, op_types_to_quantize=["Attention", "MatMul", "Gather"], per_channel=True,
                     weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": 1})
    os.replace(part, int8)
    return {"f32": plain, "int8": int8}


def vector(session, ids):
    v = session.run(None, feed(np.array([ids], np.int64)))[0][0].mean(0)
    return v / np.linalg.norm(v)


def feed(ids):
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def time_one(session, texts, tokens, seconds):
    ids = np.random.default_rng(1).integers(1000, 29000, (texts, tokens)).astype(np.int64)
    inputs, ms, end = feed(ids), [], time.perf_counter() + seconds
    while len(ms) < RUNS_MIN + RUNS_COLD or (len(ms) < RUNS_MAX and time.perf_counter() < end):
        start = time.perf_counter()
        session.run(None, inputs)
        ms.append((time.perf_counter() - start) * 1e3)
    ms = sorted(ms[RUNS_COLD:])
    return ms[len(ms) // 2], ms[0]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("work", type=Path)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--precision", choices=("int8", "f32"), default="int8")
    p.add_argument("--seconds", type=float, default=0.45, help="of a length")
    p.add_argument("--only", choices=LENGTHS, action="append", help="a length; all without it")
    a = p.parse_args()
    import onnxruntime
    onnxruntime.set_default_logger_severity(3)
    logging.disable(logging.WARNING)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = a.threads, 1
    session = onnxruntime.InferenceSession(str(files(a.model, a.work)[a.precision]), options, providers=["CPUExecutionProvider"])
    exact = reference.Encoder(a.model)
    cosines = [float(np.dot(vector(session, exact.ids(t)), exact.vector(t))) for t in reference.TEXTS]
    times = {name: time_one(session, *LENGTHS[name], a.seconds) for name in a.only or LENGTHS}
    print(json.dumps({"version": onnxruntime.__version__, "weights": a.precision, "threads": a.threads, "cosine_min": round(min(cosines), 6),
                      "ms_p50": {n: round(v[0], 4) for n, v in times.items()}, "ms_least": {n: round(v[1], 4) for n, v in times.items()}}))


if __name__ == "__main__":
    main()
