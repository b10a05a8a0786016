#!/usr/bin/env python3
"""Every type of weights once more, in NumPy: blocks of bytes to the floats they stand for.

    formats_reference.py --fixtures OUT   writes formats.json, which test_formats compares with
    formats_reference.py --check          compares with the package gguf

Needs numpy, and of the package gguf (0.19.0, MIT) the grids of the IQ types, which are
constants of the format. Shares nothing with the program it judges. unpack() serves
smollm_reference.py as well.
"""
import argparse
import json
from pathlib import Path

import numpy as np

F = np.float32


def half(b):
    return np.ascontiguousarray(b).view(np.float16).astype(F)


def u16(b):
    return np.ascontiguousarray(b).view(np.uint16).astype(np.int64)


def u32(b):
    return np.ascontiguousarray(b).view(np.uint32).astype(np.int64)


def nibbles(b):
    """[n, 16] -> [n, 32]: low halves first."""
    return np.concatenate([b & 15, b >> 4], 1)


def pairs(b):
    """[n, k] -> [n, 2 k]: of each byte the low half, then the high one."""
    return np.stack([b & 15, b >> 4], 2).reshape(len(b), -1)


def planes(b, run, bits, count):
    """Runs of bytes, each `count` times over, `bits` higher every time."""
    runs = b.reshape(len(b), -1, 1, run) >> (bits * np.arange(count)).reshape(1, 1, -1, 1)
    return (runs & ((1 << bits) - 1)).reshape(len(b), -1)


def scaled(codes, d, m=None):
    """code * d + m, in floats; d and m a group of values."""
    n = len(codes)
    d = d.astype(F).reshape(n, -1, 1)
    v = codes.astype(F).reshape(n, d.shape[1], -1) * d
    if m is not None:
        v = v + m.astype(F).reshape(n, -1, 1)
    return v.reshape(n, -1)


def ints(b):
    return b.astype(np.int64)


def q4_0(b):
    return scaled(nibbles(ints(b[:, 2:])) - 8, half(b[:, :2]))


def q4_1(b):
    return scaled(nibbles(ints(b[:, 4:])), half(b[:, :2]), half(b[:, 2:4]))


def fifth(b):
    return np.unpackbits(b, axis=1, bitorder="little").astype(np.int64) * 16


def q5_0(b):
    return scaled(nibbles(ints(b[:, 6:])) + fifth(b[:, 2:6]) - 16, half(b[:, :2]))


def q5_1(b):
    return scaled(nibbles(ints(b[:, 8:])) + fifth(b[:, 4:8]), half(b[:, :2]), half(b[:, 2:4]))


def q8_0(b):
    return scaled(np.ascontiguousarray(b[:, 2:]).view(np.int8), half(b[:, :2]))


def q2_k(b):
    s, d, dmin = ints(b[:, :16]), half(b[:, 80:82]), half(b[:, 82:84])
    return scaled(planes(ints(b[:, 16:80]), 32, 2, 4), d * (s & 15).astype(F), -(dmin * (s >> 4).astype(F)))


def q3_k(b):
    s = ints(b[:, 96:108])
    low = np.concatenate([s[:, :8] & 15, s[:, :8] >> 4], 1)
    high = np.concatenate([s[:, 8:] >> k & 3 for k in (0, 2, 4, 6)], 1)
    third = planes(ints(b[:, :32]), 32, 1, 8)
    codes = planes(ints(b[:, 32:96]), 32, 2, 4) - np.where(third == 0, 4, 0)
    return scaled(codes, half(b[:, 108:110]) * (low + 16 * high - 32).astype(F))


def six_bits(b):
    s = ints(b[:, 4:16])
    scales = np.concatenate([s[:, :4] & 63, s[:, 8:] & 15 | s[:, :4] >> 6 << 4], 1)
    mins = np.concatenate([s[:, 4:8] & 63, s[:, 8:] >> 4 | s[:, 4:8] >> 6 << 4], 1)
    return half(b[:, :2]) * scales.astype(F), -(half(b[:, 2:4]) * mins.astype(F))


def q4_k(b):
    return scaled(planes(ints(b[:, 16:]), 32, 4, 2), *six_bits(b))


def q5_k(b):
    return scaled(planes(ints(b[:, 48:]), 32, 4, 2) + 16 * planes(ints(b[:, 16:48]), 32, 1, 8), *six_bits(b))


def q6_k(b):
    codes = planes(ints(b[:, :128]), 64, 4, 2) + 16 * planes(ints(b[:, 128:192]), 32, 2, 4) - 32
    return scaled(codes, half(b[:, 208:210]) * np.ascontiguousarray(b[:, 192:208]).view(np.int8).astype(F))


NL = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])


def iq4_nl(b):
    return scaled(NL[nibbles(ints(b[:, 2:]))], half(b[:, :2]))


def iq4_xs(b):
    low = pairs(ints(b[:, 4:8]))
    high = u16(b[:, 2:4]) >> 2 * np.arange(8) & 3
    codes = NL[nibbles(ints(b[:, 8:]).reshape(-1, 16))].reshape(len(b), -1)
    return scaled(codes, half(b[:, :2]) * (low + 16 * high - 32).astype(F))


def mxfp4(b):
    table = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12])
    return scaled(table[nibbles(ints(b[:, 1:]))], np.ldexp(1.0, ints(b[:, :1]) - 128))


def tq1_0(b):
    powers = np.array([1, 3, 9, 27, 81]).reshape(1, -1, 1)
    runs = [ints(part).reshape(len(b), 1, -1) * powers[:, :n] % 256
            for part, n in ((b[:, :32], 5), (b[:, 32:48], 5), (b[:, 48:52], 4))]
    digits = np.concatenate([r.reshape(len(b), -1) for r in runs], 1) * 3 // 256
    return scaled(digits - 1, half(b[:, 52:54]))


def tq2_0(b):
    return scaled(planes(ints(b[:, :64]), 32, 2, 4) - 1, half(b[:, 64:66]))


def grid(name):
    """[points, coordinates]"""
    from gguf import quants

    kind = getattr(quants, name)
    kind.init_grid()
    return kind.grid.reshape(kind.grid_shape)


def signs7(v):
    """Seven bits each and an eighth that makes their number even -> factors [..., 8]."""
    bits = v[..., None] >> np.arange(7) & 1
    return 1 - 2 * np.concatenate([bits, bits.sum(-1, keepdims=True) % 2], -1)


def signs8(b):
    return 1 - 2 * np.unpackbits(b, axis=1, bitorder="little").astype(np.int64)


def iq2_xxs(b):
    g = u32(b[:, 2:]).reshape(len(b), 8, 2)
    index = g[..., :1] >> 8 * np.arange(4) & 255
    codes = grid("IQ2_XXS")[index] * signs7(g[..., 1:] >> 7 * np.arange(4) & 127)
    return scaled(codes, half(b[:, :2]) * (F(0.5) + (g[..., 1] >> 28).astype(F)) * F(0.25))


def iq2_xs(b):
    v = u16(b[:, 2:66])
    return scaled(grid("IQ2_XS")[v & 511] * signs7(v >> 9),
                  half(b[:, :2]) * (F(0.5) + pairs(ints(b[:, 66:])).astype(F)) * F(0.25))


def iq2_s(b):
    high = (ints(b[:, 66:74])[..., None] >> np.array([0, 2, 4, 6]) & 3).reshape(len(b), -1)
    codes = grid("IQ2_S")[ints(b[:, 2:34]) + 256 * high].reshape(len(b), -1) * signs8(b[:, 34:66])
    return scaled(codes, half(b[:, :2]) * (F(0.5) + pairs(ints(b[:, 74:])).astype(F)) * F(0.25))


def iq3_xxs(b):
    v = u32(b[:, 66:])
    signs = signs7(v[..., None] >> 7 * np.arange(4) & 127).reshape(len(b), -1)
    codes = grid("IQ3_XXS")[ints(b[:, 2:66])].reshape(len(b), -1) * signs
    return scaled(codes, half(b[:, :2]) * (F(0.5) + (v >> 28).astype(F)) * F(0.5))


def iq3_s(b):
    high = np.unpackbits(b[:, 66:74], axis=1, bitorder="little").astype(np.int64)
    codes = grid("IQ3_S")[ints(b[:, 2:66]) + 256 * high].reshape(len(b), -1) * signs8(b[:, 74:106])
    return scaled(codes, half(b[:, :2]) * (1 + 2 * pairs(ints(b[:, 106:]))).astype(F))


def iq1_s(b):
    v = u16(b[:, 34:])
    index = ints(b[:, 2:34]).reshape(len(b), 8, 4) + 256 * (v[..., None] >> 3 * np.arange(4) & 7)
    points = grid("IQ1_S")[index] + np.where(v >> 15, F(-0.125), F(0.125))[..., None, None]
    return scaled(points, half(b[:, :2]) * (2 * (v >> 12 & 7) + 1).astype(F))


def iq1_m(b):
    v = u16(b[:, 48:])
    d = half(((v >> 12) << 4 * np.arange(4)).sum(1).astype(np.uint16)[:, None])
    scales = (v[..., None] >> 3 * np.arange(4) & 7).reshape(len(b), -1)
    high = pairs(ints(b[:, 32:48]))
    points = grid("IQ1_S")[ints(b[:, :32]) + 256 * (high & 7)]
    points = points + np.where(high >> 3, F(-0.125), F(0.125))[..., None]
    return scaled(points, d * (2 * scales + 1).astype(F))


# number: name, values and bytes of a block, bytes of which bit 6 is cleared in random blocks
# (the highest of an exponent: no scale is infinite then), how it is unpacked
FORMATS = {
    0: ("F32", 1, 4, [], lambda b: np.ascontiguousarray(b).view(F)),
    1: ("F16", 1, 2, [1], half),
    2: ("Q4_0", 32, 18, [1], q4_0),
    3: ("Q4_1", 32, 20, [1, 3], q4_1),
    6: ("Q5_0", 32, 22, [1], q5_0),
    7: ("Q5_1", 32, 24, [1, 3], q5_1),
    8: ("Q8_0", 32, 34, [1], q8_0),
    10: ("Q2_K", 256, 84, [81, 83], q2_k),
    11: ("Q3_K", 256, 110, [109], q3_k),
    12: ("Q4_K", 256, 144, [1, 3], q4_k),
    13: ("Q5_K", 256, 176, [1, 3], q5_k),
    14: ("Q6_K", 256, 210, [209], q6_k),
    16: ("IQ2_XXS", 256, 66, [1], iq2_xxs),
    17: ("IQ2_XS", 256, 74, [1], iq2_xs),
    18: ("IQ3_XXS", 256, 98, [1], iq3_xxs),
    19: ("IQ1_S", 256, 50, [1], iq1_s),
    20: ("IQ4_NL", 32, 18, [1], iq4_nl),
    21: ("IQ3_S", 256, 110, [1], iq3_s),
    22: ("IQ2_S", 256, 82, [1], iq2_s),
    23: ("IQ4_XS", 256, 136, [1], iq4_xs),
    29: ("IQ1_M", 256, 56, [55], iq1_m),
    30: ("BF16", 1, 2, [], lambda b: (u16(b) << 16).astype(np.uint32).view(F)),
    34: ("TQ1_0", 256, 54, [53], tq1_0),
    35: ("TQ2_0", 256, 66, [65], tq2_0),
    39: ("MXFP4", 32, 17, [], mxfp4),
}


def unpack(kind, raw):
    """[blocks, bytes] -> [blocks, values]"""
    with np.errstate(over="ignore"):
        return FORMATS[kind][4](raw)


def noise(seed, n):
    """Bytes that a test in another language makes as well."""
    out = np.empty(n, np.uint8)
    for i in range(n):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = seed >> 56
    return out


def random_blocks(kind):
    _, values, size, finite, _ = FORMATS[kind]
    blocks = noise(kind, 8192 // values * size).reshape(-1, size)
    blocks[:, finite] &= 0xBF
    return blocks


def digest(values):
    h = 14695981039346656037
    for w in values.reshape(-1).view(np.uint32).tolist():
        h = (h ^ w) * 1099511628211 % 2**64
    return f"{h:016x}"


def fixture(kind):
    name, values, size, finite, _ = FORMATS[kind]
    out = unpack(kind, random_blocks(kind))
    first = " ".join(f"{w:08x}" for w in out.reshape(-1)[:32].view(np.uint32))
    return {"type": kind, "name": name, "values": values, "bytes": size, "finite": finite,
            "count": out.size, "first": first, "digest": digest(out)}


def check():
    from gguf import GGMLQuantizationType, quants

    for kind, (name, *_) in FORMATS.items():
        raw = random_blocks(kind)
        with np.errstate(over="ignore"):
            theirs = quants.dequantize(raw, GGMLQuantizationType(kind)).reshape(-1)
        same = theirs.view(np.uint32) == unpack(kind, raw).reshape(-1).view(np.uint32)
        print(f"{name}: {same.sum()} of {same.size} values have the same bits")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--fixtures", type=Path)
    args.add_argument("--check", action="store_true")
    args = args.parse_args()
    if args.check:
        check()
    if args.fixtures is not None:
        rows = [json.dumps(fixture(kind), separators=(",", ":")) for kind in FORMATS]
        (args.fixtures / "formats.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
