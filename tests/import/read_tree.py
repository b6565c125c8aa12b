#!/usr/bin/env python3
"""Reads an encoded data set with h5py, as its schema says, and compares it with the tree that it is of.

  read_tree.py DATA FOLDER
"""
import io
import os
import sys

import h5py
import numpy
from PIL import Image

path, folder = sys.argv[1:3]


def fail(text):
    sys.exit("read_tree: " + text)


def samples(file, split):
    group = file[split]
    everything = numpy.concatenate([group["bytes"][name][:] for name in sorted(group["bytes"])]).tobytes()
    offsets = group["offsets"][:]
    if len(everything) != offsets[-1]:
        fail(f"{split}: {len(everything)} bytes, offsets end at {offsets[-1]}")
    for i, label in enumerate(group["labels"][:]):
        yield everything[offsets[i]:offsets[i + 1]], int(label), tuple(group["sizes"][i])


with h5py.File(path) as file:
    names = [name.decode() for name in file.attrs["class_names"]]
    if file.attrs["schema"] != 2 or names != sorted(os.listdir(f"{folder}/train")):
        fail(f"schema {file.attrs['schema']}, classes {names}")
    pixels = []
    for split in ("train", "test"):
        # classes in turn, files by name
        lists = [sorted(os.listdir(f"{folder}/{split}/{name}")) for name in names]
        wanted = [(c, names_of[k]) for k in range(max(map(len, lists))) for c, names_of in enumerate(lists) if k < len(names_of)]
        got = list(samples(file, split))
        if len(got) != len(wanted):
            fail(f"{split}: {len(got)} samples, wanted {len(wanted)}")
        for (data, label, size), (c, name) in zip(got, wanted):
            if label != c or data != open(f"{folder}/{split}/{names[c]}/{name}", "rb").read():
                fail(f"{split}: {names[c]}/{name} is not the sample of label {label}")
            image = Image.open(io.BytesIO(data)).convert("RGB")
            if size != (image.height, image.width):
                fail(f"{split}: {name}: {size}, wanted {image.size} turned round")
            if split == "train":
                pixels.append(numpy.asarray(image).reshape(-1, 3))
    pixels = numpy.concatenate(pixels).astype(float)
    if not numpy.allclose(file.attrs["mean"], pixels.mean(0)) or not numpy.allclose(file.attrs["deviation"], pixels.std(0)):
        fail(f"mean {file.attrs['mean']}, deviation {file.attrs['deviation']}; wanted {pixels.mean(0)}, {pixels.std(0)}")
