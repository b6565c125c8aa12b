"""Weights out and in against PyTorch, by the documented examples: logits of the same network on the same images.
logits.py take NETWORK PREDICTIONS: weights.h5 in PyTorch's network gives PREDICTIONS' logits.
logits.py make NETWORK: made.h5 with drawn weights, and make.npy with the logits that belong to them.
logits.py same PREDICTIONS: its logits are those of make.npy."""
import os
import sys

import h5py
import numpy
import torch

here = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(here, "..", "golden"))
import nets

torch.set_num_threads(2)

NETWORKS = {  # as logits.sh asks for them
    "mobilenetv2": lambda: nets.Network("mobilenetv2", 8, width=0.25),
    "igcv3d": lambda: nets.Network("igcv3d", 8, width=0.25),
    "igcv2_matched": lambda: nets.Matched(8, width=0.25),
    "igcv2_c416": lambda: nets.ThreeStages(48, 6, lambda i, o, stride: nets.Multiplied(i, o, stride, o // 8)),
    "igcv1_l4m8": lambda: nets.ThreeStages(32, 2, lambda i, o, stride: nets.Interleaved(i, o, stride, 4, False)),
    "igcv1_l24m2_ident": lambda: nets.ThreeStages(48, 1, lambda i, o, stride: nets.Interleaved(i, o, stride, 24, True)),
}


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


def documented(name):
    """The example of src/train/README.md that reads or writes that file."""
    with open(os.path.join(here, "..", "..", "src", "train", "README.md")) as f:
        blocks = f.read().split("```python\n")[1:]
    found = [b.split("```")[0] for b in blocks if f'"{name}"' in b.split("```")[0]]
    assert len(found) == 1, found
    return found[0]


def stored(path):
    with h5py.File(path) as f:
        return f["test/logits"][()]


verb, name = sys.argv[1:3]
if verb == "take":
    net = NETWORKS[name]()
    exec(documented("weights.h5"), {"net": net})
    near(stored(sys.argv[3]), logits(net))
elif verb == "make":
    torch.manual_seed(3)
    net = NETWORKS[name]()
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.3)
            m.running_var.uniform_(0.5, 1.5)
            m.weight.data.uniform_(0.5, 1.5)
            m.bias.data.normal_(0, 0.3)
    exec(documented("made.h5"), {"net": net})
    numpy.save("make.npy", logits(net))
else:
    near(stored(name), numpy.load("make.npy"))
