"""Copies an HDF5 file into the oldest format of the library: oldest.py FROM TO.

Without checksums in its metadata, a change by the fuzzer gets further than their comparison."""
import sys

import h5py

with h5py.File(sys.argv[1], "r") as source, h5py.File(sys.argv[2], "w", libver="earliest") as copy:
    for name in source:
        source.copy(name, copy)
    for name, value in source.attrs.items():
        copy.attrs.create(name, value, dtype=source.attrs.get_id(name).dtype)
