"""Reads what make_store wrote with h5py and compares it. Argument: the path."""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r") as f:
    assert f.userblock_size == 512, f.userblock_size
    assert f.attrs["schema"] == 7
    assert f.attrs["name"].decode() == "Jäger 1", f.attrs["name"]
    assert [n.decode() for n in f["model"].attrs["class_names"]] == ["cat", "Jäger", "a"]
    weight = f["model/conv.weight"]
    assert weight.dtype == np.float32 and weight[()].tolist() == [[0, 1, 2], [3, 4.5, -5]]
    assert weight.attrs["values"].tolist() == [0.1, -2, 1e300]
    images = f["train/images"]
    assert images.dtype == np.uint8 and images.shape == (1000, 2, 2, 3)
    assert images.chunks == (64, 2, 2, 3) and images.fletcher32
    assert (images[()].ravel() == np.arange(12000) % 251).all()
    assert f["step"][()] == 1234567890123
