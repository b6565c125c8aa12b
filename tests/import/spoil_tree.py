#!/usr/bin/env python3
"""An encoded data set that is whole as an HDF5 file and wrong as a data set: spoil_tree.py FILE KIND"""
import os
import re
import sys

import h5py


def replace(file, path, array, **options):
    del file[path]
    file.create_dataset(path, data=array, **options)


def spoil(file, kind):
    train = file["train"]
    if kind == "offsets-fall":
        train["offsets"][3] = train["offsets"][5]
    elif kind == "offsets-far-apart":
        train["offsets"][3] = -2**63
    elif kind == "offsets-from-1":
        train["offsets"][0] = 1
    elif kind == "offsets-short":
        replace(file, "train/offsets", train["offsets"][:-1])
    elif kind == "offsets-end-early":
        train["offsets"][-1] -= 1
    elif kind == "huge-sample":
        train["offsets"][-1] = 1 << 40
    elif kind == "no-pixels":
        train["sizes"][2, 1] = 0
    elif kind == "huge-picture":
        train["sizes"][2] = (16384, 16384)
    elif kind == "other-size":
        train["sizes"][2, 0] += 1
    elif kind == "short-sums":
        replace(file, "train/sums", train["sums"][:-1])
    elif kind == "label":
        train["labels"][1] = 3
    elif kind == "no-shard":
        del file["train/bytes/00000"]
    elif kind == "chunked-shard":
        replace(file, "train/bytes/00000", train["bytes/00000"][:], chunks=True)
    elif kind == "short-shard":
        replace(file, "train/bytes/00000", train["bytes/00000"][:-5])
    elif kind == "external-shard":
        del file["train/bytes/00000"]
        file["train/bytes/00000"] = h5py.ExternalLink("/etc/passwd", "/")
    elif kind == "schema-3":
        file.attrs["schema"] = 3
    else:
        sys.exit("unknown kind " + kind)


with h5py.File(sys.argv[1], "r+") as opened:
    spoil(opened, sys.argv[2])

# The length of the rest stands in the first 512 bytes: said again, so that it is not what the reader stumbles over.
with open(sys.argv[1], "r+b") as raw:
    block = raw.read(512).rstrip(b"\0")
    block = re.sub(rb"BYTES \d+", b"BYTES %d" % (os.path.getsize(sys.argv[1]) - 512), block)
    raw.seek(0)
    raw.write(block.ljust(512, b"\0"))
