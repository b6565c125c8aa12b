"""Weights out and in against PyTorch: logits of the same network on the same images.
logits.py take FILE NETWORK PREDICTIONS: FILE's weights in PyTorch's network give PREDICTIONS' logits.
logits.py make FILE NETWORK: a file of drawn weights, and make.npy with the logits that belong to them.
logits.py same PREDICTIONS: its logits are those of make.npy."""
import os
import sys

import h5py
import numpy
import torch

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import nets

torch.set_num_threads(2)


def images():
    with h5py.File("synth.h5") as d:
        x = d["test/images"][()].astype(numpy.float32)
        x = (x - numpy.float32(d.attrs["mean"])) / numpy.float32(d.attrs["deviation"])
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


def logits(net):
    net.eval()
    with torch.no_grad():
        return net(images()).numpy()


def near(got, wanted):
    scale = max(1.0, numpy.abs(wanted).max())
    worst = numpy.abs(got - wanted).max() / scale
    print(f"largest difference {worst:.2e} of {scale:.2f}")
    assert got.shape == wanted.shape and wanted.std() > 1e-3 and worst <= 1e-4, worst


def stored(path):
    with h5py.File(path) as f:
        return f["test/logits"][()]


verb, path = sys.argv[1:3]
if verb == "take":
    net = nets.Network(sys.argv[3], 8, width=0.25)
    with h5py.File(path) as f:
        state = {name: torch.from_numpy(f[name][()]) for name in f}
    left = net.load_state_dict(state, strict=False)
    assert not left.unexpected_keys and all(k.endswith("num_batches_tracked") for k in left.missing_keys), left
    near(stored(sys.argv[4]), logits(net))
elif verb == "make":
    torch.manual_seed(3)
    net = nets.Network(sys.argv[3], 8, width=0.25)
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.5, 1.5)
            m.weight.data.uniform_(0.5, 1.5)
            m.bias.data.normal_(0, 0.3)
    with h5py.File(path, "w") as f:
        for name, value in net.state_dict().items():
            f[name] = value.numpy()
    numpy.save("make.npy", logits(net))
else:
    near(stored(path), numpy.load("make.npy"))
