#!/usr/bin/env python3
"""Decoding, resizing, cropping and colour shifts against Pillow, byte for byte.

  check_pictures.py PICTURE_PROBE MBT_DATA
"""
import math
import os
import random
import subprocess
import sys
import tempfile

from PIL import Image

PROBE, MBT_DATA = map(os.path.abspath, sys.argv[1:3])
WORK = tempfile.TemporaryDirectory()
os.chdir(WORK.name)


def picture(width, height, seed):
    """Smooth shapes with hard edges and some noise."""
    r = random.Random(seed)
    phase = [r.uniform(0, 7) for _ in range(6)]
    data = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(3):
                v = 127 + 90 * math.sin(x / 9 + phase[c]) * math.cos(y / 13 + phase[c + 3])
                v += 60 if (x // 17 + y // 11) % 3 == c else 0
                data.append(max(0, min(255, int(v + r.uniform(-12, 12)))))
    return Image.frombytes("RGB", (width, height), bytes(data))


def probe(*arguments):
    return subprocess.run([PROBE, *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout


def take(out, at=0):
    """The image whose line of height and width begins at `at`, and where it ends."""
    end = out.index(b"\n", at)
    height, width = map(int, out[at:end].split())
    begin, end = end + 1, end + 1 + 3 * height * width
    return Image.frombytes("RGB", (width, height), out[begin:end]), end


def same(what, got, wanted):
    if got.size != wanted.size:
        sys.exit(f"{what}: got {got.size}, wanted {wanted.size}")
    if got.tobytes() != wanted.tobytes():
        off = [abs(a - b) for a, b in zip(got.tobytes(), wanted.tobytes())]
        sys.exit(f"{what}: {sum(o > 0 for o in off)} of {len(off)} bytes differ, by at most {max(off)}")


def check_decoding():
    rgb = picture(83, 61, 1)
    alpha = rgb.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(rgb.size))
    grey16 = Image.frombytes("I;16", (16, 8), bytes(range(256)))
    files = {
        "444.jpg": (rgb, {"subsampling": 0}), "420.jpg": (rgb, {"subsampling": 2}), "odd.jpg": (rgb.crop((0, 0, 17, 9)), {}),
        "progressive.jpg": (rgb, {"progressive": True}), "grey.jpg": (rgb.convert("L"), {}),
        "cmyk.jpg": (rgb.convert("CMYK"), {"quality": 90}), "rgb.png": (rgb, {}), "alpha.png": (alpha, {}),
        "grey.png": (rgb.convert("L"), {}), "bits.png": (rgb.convert("1"), {}), "palette.png": (rgb.quantize(40), {}),
        "grey_alpha.png": (alpha.convert("LA"), {}), "few.png": (rgb.quantize(4), {"bits": 2}),
    }
    for name, (image, options) in files.items():
        image.save(name, **options)
        same(name, take(probe("decode", name))[0], Image.open(name).convert("RGB"))
    grey16.save("sixteen.png")
    upper = Image.frombytes("L", (16, 8), bytes(range(1, 256, 2)))
    same("sixteen.png", take(probe("decode", "sixteen.png"))[0], upper.convert("RGB"))


def check_fitting():
    for width, height in ((83, 61), (61, 83), (40, 40), (300, 21)):
        image = picture(width, height, width)
        image.save("fit.png")
        for side in (7, 20, 61, 90):
            shorter = min(width, height)
            size = (side * width // shorter, side * height // shorter)
            wanted = image.resize(size, Image.BILINEAR)
            same(f"fit {width}x{height} {side}", take(probe("fit", "fit.png", side, 0))[0], wanted)
            left, top = (size[0] - side) // 2, (size[1] - side) // 2
            same(f"square {width}x{height} {side}", take(probe("fit", "fit.png", side, 1))[0],
                 wanted.crop((left, top, left + side, top + side)))


def hls_shift(image, shift):
    """OpenCV's 8-bit HLS, in double precision and by other formulas than ours."""
    out = bytearray()
    data = image.tobytes()
    for i in range(0, len(data), 3):
        r, g, b = (v / 255 for v in data[i:i + 3])
        high, low = max(r, g, b), min(r, g, b)
        light, span = (high + low) / 2, high - low
        saturation = 0 if span == 0 else span / (1 - abs(2 * light - 1))
        hue = 0 if span == 0 else {r: ((g - b) / span) % 6, g: (b - r) / span + 2, b: (r - g) / span + 4}[high]
        if span and high == r:
            hue = ((g - b) / span) % 6
        h = max(0, min(180, round(hue * 30) + shift[0]))
        s = max(0, min(255, round(saturation * 255) + shift[1]))
        l = max(0, min(255, round(light * 255) + shift[2]))
        light, chroma = l / 255, (1 - abs(2 * l / 255 - 1)) * s / 255
        for n in (0, 8, 4):
            k = (n + h / 15) % 12
            out.append(round(255 * (light - chroma / 2 * max(-1, min(k - 3, 9 - k, 1)))))
    return Image.frombytes("RGB", image.size, bytes(out))


def near(what, got, wanted):
    """Where a half is rounded the other way, hue is 2 degrees off, or lightness 1/255."""
    off = [abs(a - b) for a, b in zip(got.tobytes(), wanted.tobytes())]
    if max(off) > 9 or sum(off) > 0.4 * len(off):
        sys.exit(f"{what}: bytes differ by {sum(off) / len(off)}, by at most {max(off)}")


def make_tree():
    sizes = [(70, 50), (50, 70), (64, 64), (200, 40), (33, 90), (48, 47)]
    stored = {"train": [], "test": []}
    for split, count in (("train", 6), ("test", 3)):
        for k in range(count):
            for c in ("a", "b"):
                os.makedirs(f"{split}/{c}", exist_ok=True)
                name = f"{split}/{c}/{k}.{'png' if k % 2 else 'jpg'}"
                picture(*sizes[k], 10 * k + ord(c)).save(name, quality=92)
                stored[split].append(name)
    subprocess.run([MBT_DATA, "import", "folder", "train", "test", "-o", "tree.h5"], check=True, stdout=subprocess.PIPE)
    return stored


def loaded(split, names, kind, size, short_side, epoch, shift=(0, 0, 0)):
    """Of every sample: its name, the box it was cut by, and the image."""
    out, at = probe("load", "tree.h5", split, kind, size, short_side, epoch, *shift), 0
    for name in names:
        end = out.index(b"\n", at)
        box = list(map(int, out[at:end].split()))
        image, at = take(out, end + 1)
        yield name, box, image


def by_pillow(name, box, size):
    top, left, height, width, rows, columns, first_row, first_column = box
    part = Image.open(name).convert("RGB").crop((left, top, left + width, top + height))
    whole = part.resize((columns, rows), Image.BILINEAR)
    return whole.crop((first_column, first_row, first_column + size, first_row + size))


def check_loading(stored):
    for kind in ("resized", "scaled", "centre"):
        for epoch in (0, 1):
            for name, box, image in loaded("train", stored["train"], kind, 32, 48, epoch):
                same(f"{kind} {name} {box}", image, by_pillow(name, box, 32))
    # torchvision's Resize(37) and CenterCrop(32)
    for name, box, image in loaded("test", stored["test"], "centre", 32, 37, 0):
        whole = Image.open(name).convert("RGB")
        shorter = min(whole.size)
        size = tuple(int(37 * v / shorter) for v in whole.size)
        left, top = (int(round((v - 32) / 2.0)) for v in size)
        same(f"centre {name}", image, whole.resize(size, Image.BILINEAR).crop((left, top, left + 32, top + 32)))
    # a shift is the same for all pixels of an image, and at most what was asked for
    plain = {name: image for name, _, image in loaded("train", stored["train"], "resized", 32, 48, 3)}
    seen = set()
    for name, _, image in loaded("train", stored["train"], "resized", 32, 48, 3, (3, 2, 2)):
        fits = []
        for h in range(-3, 4):
            for s in range(-2, 3):
                for l in range(-2, 3):
                    wanted = hls_shift(plain[name].crop((0, 0, 32, 2)), (h, s, l)).tobytes()
                    off = sum(a != b for a, b in zip(wanted, image.tobytes()))
                    fits.append((off, (h, s, l)))
        off, shift = min(fits)
        near(f"shift {name} {shift}", image, hls_shift(plain[name], shift))
        seen.add(shift)
    if len(seen) < 6:
        sys.exit(f"shifts: only {seen}")


check_decoding()
check_fitting()
check_loading(make_tree())
