# A data set that is whole as an HDF5 file and wrong as a data set: python3 spoil_data.py FILE KIND
import os
import re
import sys
import h5py
import numpy

def replace(file, path, array):
    del file[path]
    file.create_dataset(path, data=array, chunks=True, fletcher32=True)

def spoil(file, kind):
    images, labels = file["train/images"][:], file["train/labels"][:]
    if kind == "short-labels":
        replace(file, "train/labels", labels[:-1])
    elif kind == "flat-images":
        replace(file, "train/images", images.reshape(len(images), -1))
    elif kind == "float-images":
        replace(file, "train/images", images.astype("float32"))
    elif kind == "other-test-size":
        replace(file, "test/images", file["test/images"][:, :16])
    elif kind == "no-samples":
        del file["train/images"]
        file.create_dataset("train/images", (0, 32, 32, 3), "u1", maxshape=(None, 32, 32, 3), chunks=True)
    elif kind == "label-out-of-range":
        labels[7] = 10
        replace(file, "train/labels", labels)
    elif kind == "other-pixels":
        images[3, 2, 1, 0] ^= 1
        replace(file, "train/images", images)
    elif kind == "two-channels-of-mean":
        file.attrs["mean"] = numpy.array([1.0, 2.0])
    elif kind == "no-test":
        del file["test"]
    elif kind == "external":
        del file["test"]
        file["test"] = h5py.ExternalLink("/etc/passwd", "/")
    else:
        sys.exit("unknown kind " + kind)

with h5py.File(sys.argv[1], "r+") as file:
    spoil(file, sys.argv[2])

# The length of the rest stands in the first 512 bytes: said again, so that it is not what the reader stumbles over.
with open(sys.argv[1], "r+b") as file:
    block = file.read(512).rstrip(b"\0")
    block = re.sub(rb"BYTES \d+", b"BYTES %d" % (os.path.getsize(sys.argv[1]) - 512), block)
    file.seek(0)
    file.write(block.ljust(512, b"\0"))
