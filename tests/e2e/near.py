"""Whether single steps that differ in their kernels alone end near each other.

Usage: near.py START WANTED RUN...    run folders; START: the same step without a learning rate

The loss of the step may differ by a part of itself. What the step did to all learned weights may
differ by a part of its length: a sum that comes out on the other side of a bend of a ReLU6 switches
an element's gradient, in some of a million elements, so another tile size moves it by a percent too.
"""
import csv
import sys

import h5py
import numpy

LOSS, STEP = 1e-6, 0.03


def weights(run):
    found = []
    with h5py.File(f"{run}/checkpoints/last.h5") as f:
        f["model"].visititems(
            lambda name, item: found.append(item[()].astype(numpy.float64).ravel())
            if isinstance(item, h5py.Dataset) and "running" not in name else None)
    return numpy.concatenate(found)


def loss(run):
    with open(f"{run}/metrics.csv", newline="") as f:
        return float(list(csv.DictReader(f))[-1]["train_loss"])


def main():
    start, wanted, *runs = sys.argv[1:]
    before, after = weights(start), weights(wanted)
    length = numpy.linalg.norm(after - before)
    assert runs and length > 0.1, "nothing was trained"
    for run in runs:
        off_step = numpy.linalg.norm(weights(run) - after) / length
        off_loss = abs(loss(run) / loss(wanted) - 1)
        print(f"{run}: step off by {off_step:.1e}, loss by {off_loss:.1e}")
        if not (off_step <= STEP and off_loss <= LOSS):
            sys.exit(1)


main()
