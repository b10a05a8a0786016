#!/usr/bin/env python3
"""Writes engine/format_grid.inc: the points that the IQ types of weights choose from.

    pip install gguf==0.19.0
    tools/grids.py > engine/format_grid.inc

They are constants of the file format and follow from nothing. The package gguf, which is
(c) 2023 Georgi Gerganov and under the MIT licence (docs/dependencies.md), has them as text:
two bits a coordinate (IQ1, IQ2: eight coordinates) or four (IQ3: four), in the order of the
16 bits that are written here."""
from gguf import quants

GRIDS = [
    ("grid_1", quants.IQ1_S, "coordinates of IQ1_S and IQ1_M, plus 1: two bits each"),
    ("grid_2xxs", quants.IQ2_XXS, "which of 8, 25, 43: two bits each"),
    ("grid_2xs", quants.IQ2_XS, "the same"),
    ("grid_2s", quants.IQ2_S, "the same"),
    ("grid_3xxs", quants.IQ3_XXS, "which of 4, 12, 20, 28, 36, 44, 52, 62: four bits each"),
    ("grid_3s", quants.IQ3_S, "which of 1, 3, 5, …, 15: four bits each"),
]

print("/* Made by tools/grids.py from the package gguf, MIT (docs/dependencies.md). */")
for name, kind, what in GRIDS:
    raw = bytes.fromhex(b"".join([kind.grid_hex]).decode())
    points = [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]
    assert len(points) == kind.grid_shape[0]
    print(f"\n/* {what} */\nstatic const uint16_t {name}[{len(points)}] = {{")
    for i in range(0, len(points), 12):
        print("    " + " ".join(f"0x{p:04x}," for p in points[i : i + 12]))
    print("};")
