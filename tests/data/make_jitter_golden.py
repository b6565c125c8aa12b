#!/usr/bin/env python3
"""Writes jitter_golden.h: what Pillow makes of a small 8-bit image in colour jitter.

  python3 make_jitter_golden.py > jitter_golden.h

Pillow's ImageEnhance is what torchvision's ColorJitter calls for PIL images. Checked in with
Pillow 9.4.0; its blend has not changed in twenty years, so other versions give the same.
"""
import itertools
import random

from PIL import Image, ImageEnhance

HEIGHT, WIDTH = 5, 6
KINDS = [("MBT_JITTER_BRIGHTNESS", ImageEnhance.Brightness), ("MBT_JITTER_CONTRAST", ImageEnhance.Contrast),
         ("MBT_JITTER_SATURATION", ImageEnhance.Color)]
FACTORS = [0.0, 0.3, 0.7, 0.9375, 1.0, 1.1, 1.3, 1.9, 2.0]
CHAIN = {0: 0.8125, 1: 1.2890625, 2: 0.71484375}  # one of each, in every order


def numbers(values):
    lines, line = [], "    "
    for v in values:
        item = f"{v}, "
        if len(line) + len(item) > 98:
            lines.append(line.rstrip())
            line = "    "
        line += item
    return "\n".join(lines + [line.rstrip()])


generator = random.Random(2)
pixels = [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255]  # the corners of the cube first
pixels += [generator.randrange(256) for _ in range(HEIGHT * WIDTH * 3 - len(pixels))]
image = Image.frombytes("RGB", (WIDTH, HEIGHT), bytes(pixels))
cases = [[(k, f)] for k in range(3) for f in FACTORS]
cases += [[(k, CHAIN[k]) for k in order] for order in itertools.permutations(range(3))]

print("/* Made by make_jitter_golden.py with Pillow; not edited by hand. Pixels are [y][x][c]. */")
print("/* clang-format off */")
print(f"enum {{ GOLDEN_HEIGHT = {HEIGHT}, GOLDEN_WIDTH = {WIDTH}, GOLDEN_BYTES = {len(pixels)}, GOLDEN_CASES = {len(cases)} }};\n")
print("static const uint8_t golden_image[GOLDEN_BYTES] = {\n" + numbers(pixels) + "\n};\n")
print("static const struct {\n    int n;\n    struct {\n        mbt_jitter kind;\n        float factor;\n    } step[3];\n"
      "    uint8_t result[GOLDEN_BYTES];\n} golden_cases[GOLDEN_CASES] = {")
for case in cases:
    result = image
    for kind, factor in case:
        result = KINDS[kind][1](result).enhance(factor)
    steps = ", ".join(f"{{{KINDS[k][0]}, {f!r}f}}" for k, f in case)
    print(f"    {{{len(case)}, {{{steps}}}, {{\n" + numbers(result.tobytes()) + "\n    }},")
print("};")
