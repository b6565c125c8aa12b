# A checkpoint read with h5py alone: python3 read_checkpoint.py FILE
import sys
import h5py
import numpy
with h5py.File(sys.argv[1], "r") as file:
    state = {name: tensor[:] for name, tensor in file["model"].items()}
    momentum = {name: tensor[:] for name, tensor in file["optimizer/momentum"].items()}
    axes = {name: tensor.attrs["dimensions"].astype(str).tolist()
            for name, tensor in file["model"].items()}
    facts = dict(file.attrs)
    top1 = file["metrics/test_top1"][:]

# What tests/train/checkpoint_state.c puts there.
def wanted(name, shape, shift):
    i = numpy.arange(int(numpy.prod(shape)))
    return (((i * 37 + len(name) * 11) % 1009) / 64.0 - 3.0 + shift).astype("float32").reshape(shape)

shapes = {
    "stem.weight": (24, 3, 3, 3), "blocks.0.expand.weight": (56, 12, 1, 1),
    "blocks.0.dw.weight": (56, 1, 3, 3), "blocks.0.project.weight": (24, 28, 1, 1),
    "blocks.0.bn.weight": (56,), "blocks.0.bn.bias": (56,), "blocks.0.bn.running_mean": (56,),
    "blocks.0.bn.running_var": (56,), "head.weight": (10, 24), "head.bias": (10,),
}
assert set(state) == set(shapes), set(state) ^ set(shapes)
assert set(momentum) == {name for name in shapes if "running" not in name}
for name, shape in shapes.items():
    assert state[name].dtype == "float32"
    assert numpy.array_equal(state[name], wanted(name, shape, 0.0)), name
    assert name not in momentum or numpy.array_equal(momentum[name], wanted(name, shape, 0.5)), name
assert axes["stem.weight"] == ["O", "I", "kH", "kW"], axes["stem.weight"]
assert axes["head.weight"] == ["K", "C"] and axes["head.bias"] == ["K"]
assert axes["blocks.0.bn.running_var"] == ["C"]
assert facts["step"] == 213 and facts["epoch"] == 2 and facts["best_top1"] == 70.5
assert facts["network"] in ("fixture", b"fixture") and facts["schema"] == 1
assert list(top1) == [35.25, 70.5]
print("equal")
