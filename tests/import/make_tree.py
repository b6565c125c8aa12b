#!/usr/bin/env python3
"""A small tree of class folders: make_tree.py FOLDER CLASSES TRAIN TEST [SIZE]

Images are drawn with Pillow, in the sizes and kinds that occur; what is drawn tells the classes apart.
"""
import os
import random
import sys

from PIL import Image, ImageDraw

KINDS = [("jpg", {"quality": 90}), ("png", {}), ("JPEG", {"subsampling": 0}), ("jpg", {"progressive": True})]


def draw(generator, number, width, height):
    ground = tuple(generator.randrange(60, 200) for _ in range(3))
    image = Image.new("RGB", (width, height), ground)
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, r = generator.randrange(width), generator.randrange(height), generator.randrange(4, 4 + min(width, height) // 4)
        colour = tuple((v + 90 + 40 * number) % 256 for v in ground)
        [pen.ellipse, pen.rectangle, pen.arc, pen.chord][number % 4](
            (x - r, y - r, x + r, y + r), **({"fill": colour} if number % 4 < 2 else {"start": 0, "end": 200, "fill": colour}))
    noise = Image.frombytes("L", (width, height), bytes(generator.randrange(256) for _ in range(width * height)))
    return Image.blend(image, noise.convert("RGB"), 0.15)


folder, n_classes, n_train, n_test = sys.argv[1], *map(int, sys.argv[2:5])
size = int(sys.argv[5]) if len(sys.argv) > 5 else 40
generator = random.Random(7)
for split, count in (("train", n_train), ("test", n_test)):
    for number in range(n_classes):
        where = f"{folder}/{split}/class{number}"
        os.makedirs(where, exist_ok=True)
        for k in range(count):
            ending, options = KINDS[(k + number) % len(KINDS)]
            width, height = (size + generator.randrange(size), size + generator.randrange(size))
            image = draw(generator, number, width, height)
            if k % 5 == 4:
                image = image.convert("L")
            image.save(f"{where}/{k:03d}.{ending}", **options)
