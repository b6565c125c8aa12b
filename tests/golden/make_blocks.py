#!/usr/bin/python3
"""Writes blocks.h5: each kind of block alone, forward and backward in fp64 by PyTorch, from
generated weights, input and output gradient. Run: /usr/bin/python3 make_blocks.py [--dry]; a few
seconds. README.md has the file's layout.

A rounding error that carries a value over a kink of ReLU6 or ReLU changes gradients by far more than
1e-5, so the seed of each case is the first one that keeps every value away from them."""
import argparse
from collections import OrderedDict

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional

import formula
import nets
from make_networks import keep_in_bf16, norm, texts, watch_kinks, write_parameters

PROJECTIONS, FIRST, EPS, SMOOTHING = 16, 8, 1e-5, 0.1
# kind, arguments, images, input height and width, wanted distance from the kinks. Arguments of
# "inverted": c_in c_out stride expand groups expand_relu permute_out has_expand; of "stem": c_in
# c_out stride; of "head": c_in c_out classes; of "loss": classes; of "interleaved": c_in c_out stride l
# identity; of "channelwise": c_in c_out stride first_groups second_groups.
CASES = {
    "mobilenetv2_t6_s1_24_24": ("inverted", (24, 24, 1, 6, 1, True, False, True), 4, 8, 1e-4),
    "mobilenetv2_t6_s2_24_32": ("inverted", (24, 32, 2, 6, 1, True, False, True), 4, 8, 1e-4),
    "mobilenetv2_t6_s1_16_24": ("inverted", (16, 24, 1, 6, 1, True, False, True), 4, 8, 1e-4),
    "mobilenetv2_t6_s1_160_160": ("inverted", (160, 160, 1, 6, 1, True, False, True), 4, 4, 3e-5),
    "mobilenetv2_t1_s1_32_16": ("inverted", (32, 16, 1, 1, 1, True, False, True), 4, 8, 1e-4),
    "mobilenetv2_torchvision_t1_s1_32_16": ("inverted", (32, 16, 1, 1, 1, True, False, False), 4, 8, 1e-4),
    "igcv3d_t6_s1_24_24": ("inverted", (24, 24, 1, 6, 2, False, False, True), 4, 8, 1e-4),
    "igcv3d_t6_s2_24_32": ("inverted", (24, 32, 2, 6, 2, False, False, True), 4, 8, 1e-4),
    "igcv3d_t6_s1_16_24": ("inverted", (16, 24, 1, 6, 2, False, False, True), 4, 8, 1e-4),
    "igcv3d_t6_s1_160_160": ("inverted", (160, 160, 1, 6, 2, False, False, True), 4, 4, 3e-5),
    "igcv3d_t1_s1_32_16": ("inverted", (32, 16, 1, 1, 2, False, False, True), 4, 8, 1e-4),
    "igcv3d_seed_t6_s1_24_24": ("inverted", (24, 24, 1, 6, 2, True, True, True), 4, 8, 1e-4),
    "igcv3d_seed_t6_s2_24_32": ("inverted", (24, 32, 2, 6, 2, True, True, True), 4, 8, 1e-4),
    "igcv3d_seed_t1_s1_32_16": ("inverted", (32, 16, 1, 1, 2, True, True, True), 4, 8, 1e-4),
    "igcv3d_seesaw_t6_s1_24_24": ("inverted", (24, 24, 1, 6, 2, False, True, True), 4, 8, 1e-4),
    "igcv1_l4m8_s1_32_32": ("interleaved", (32, 32, 1, 4, False), 4, 8, 1e-4),
    "igcv1_l24m2_s2_48_96": ("interleaved", (48, 96, 2, 24, False), 4, 8, 1e-4),
    "igcv1_l24m2_ident_s1_48_48": ("interleaved", (48, 48, 1, 24, True), 4, 8, 3e-5),
    "igcv1_l24m2_ident_s2_48_96": ("interleaved", (48, 96, 2, 24, True), 4, 8, 3e-5),
    "igcv2_s1_64_64": ("channelwise", (64, 64, 1, 4, 4), 4, 8, 3e-5),
    "igcv2_s2_64_96": ("channelwise", (64, 96, 2, 4, 6), 4, 8, 1e-4),
    "igcv2_s1_256_256": ("channelwise", (256, 256, 1, 16, 16), 4, 4, 3e-5),
    "stem_s1_32": ("stem", (3, 32, 1), 4, 8, 1e-4),
    "stem_s2_24": ("stem", (3, 24, 2), 4, 16, 1e-4),
    "head_320_1280_10": ("head", (320, 1280, 10), 4, 4, 3e-5),
    "head_40_64_100": ("head", (40, 64, 100), 5, 7, 1e-4),
    "loss_10": ("loss", (10,), 16, 1, 0.0),
    "loss_100": ("loss", (100,), 7, 1, 0.0),
}
VARIANTS = [(layout, kernels) for layout in ("contiguous", "channels_last") for kernels in ("mkldnn", "native")]


def build(kind, arguments):
    if kind == "stem":
        return nn.Sequential(OrderedDict(stem=nets.Stem(*arguments)))
    if kind == "head":
        c_in, c_out, classes = arguments
        return nn.Sequential(OrderedDict(head=nets.Head(c_in, c_out), classifier=nn.Linear(c_out, classes)))
    if kind == "interleaved":
        return nets.Interleaved(*arguments)
    if kind == "channelwise":
        return nets.Channelwise(*arguments)
    return nets.Block(*arguments)


def block(seed, kind, arguments, images, side, dtype, layout="contiguous", kernels="mkldnn", wanted_distance=None, bf16=False):
    """Quantities by name, the rules of the parameters, the weights and the distance from kinks; None
    when the forward pass comes nearer to a kink than wanted."""
    net = build(kind, arguments)
    rules = nets.parameter_rules(net, "wide")
    start = nets.set_weights(rules, seed)
    kinks = watch_kinks(net)
    norms = nets.norms(net)
    if bf16:
        keep_in_bf16(net)
    for _, m in norms:
        m.momentum, m.eps = 1.0, EPS
    net = net.to(dtype)
    x = torch.from_numpy(formula.fill(seed, formula.INPUT, formula.NOISE, 0, (images, arguments[0], side, side))).to(dtype)
    if layout == "channels_last":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    with torch.backends.mkldnn.flags(enabled=kernels == "mkldnn"):
        if wanted_distance is not None:
            with torch.no_grad():
                net(x)
            if min(kinks) < wanted_distance:
                return None
        y = net(x)
        dy = torch.from_numpy(formula.fill(seed, formula.OUTPUT_GRADIENT, formula.NOISE, 0, tuple(y.shape))).to(dtype)
        y.backward(dy)
    out = {"x": x, "y": y, "dx": x.grad}
    out.update({r[0]: r[1].grad for r in rules})
    for name, m in norms:
        out[f"{name}.running_mean"], out[f"{name}.running_var"] = m.running_mean, m.running_var
    return {k: v.detach().double().contiguous().numpy().reshape(-1) for k, v in out.items()}, rules, start, min(kinks)


def loss(seed, classes, images, dtype):
    """y: mean cross-entropy with label smoothing; dx: its gradient by the logits."""
    x = torch.from_numpy(formula.fill(seed, formula.INPUT, formula.NOISE, 0, (images, classes))).to(dtype).requires_grad_()
    y = functional.cross_entropy(x, torch.from_numpy(formula.labels(seed, 0, images, classes)), label_smoothing=SMOOTHING)
    y.backward()
    out = {"x": x, "y": y, "dx": x.grad}
    return {k: v.detach().double().numpy().reshape(-1) for k, v in out.items()}, [], [], 0.0


def compute(case):
    """The case in fp64 with the first seed that is far enough from the kinks, in fp32, and with activations kept in bf16."""
    kind, arguments, images, side, distance = CASES[case]
    if kind == "loss":
        found = loss(1, arguments[0], images, torch.float64)
        others = [loss(1, arguments[0], images, torch.float32)[0]]
        return 1, found, others, others
    seed = 1
    while (found := block(seed, kind, arguments, images, side, torch.float64, wanted_distance=distance)) is None:
        seed += 1
    others = [block(seed, kind, arguments, images, side, torch.float32, *v)[0] for v in VARIANTS]
    kept = [block(seed, kind, arguments, images, side, dtype, bf16=True)[0] for dtype in (torch.float64, torch.float32)]
    return seed, found, others, kept


def deviations(found, others):
    return np.array([max(norm(o[k] - v) for o in others) for k, v in found.items()])


def write(f, case, seed, found, deviation, bf16_deviation):
    kind, arguments, images, side, _ = CASES[case]
    values, rules, start, distance = found
    g = f.create_group(case)
    g.attrs["kind"] = np.bytes_(kind)
    g.attrs["names"] = texts(list(values))
    for k, v in dict(seed=seed, images=images, side=side).items():
        g.attrs.create(k, v, dtype="i8")
    g.attrs.create("kink_distance", distance, dtype="f8")
    g.create_dataset("arguments", data=np.array(arguments + (0,) * (8 - len(arguments)), dtype="<i4"))
    if rules:
        write_parameters(g.create_group("parameters"), rules, start)
    g.create_dataset("count", data=np.array([v.size for v in values.values()], dtype="<i8"))
    size = np.array([norm(v) for v in values.values()])
    g.create_dataset("checked", data=(deviation <= size / 4).astype("<i4"))  # else no gradient to speak of
    g.create_dataset("norm", data=size)
    g.create_dataset("fp32_deviation", data=deviation)
    g.create_dataset("bf16_deviation", data=bf16_deviation)
    g.create_dataset("projection", data=np.array([formula.project(i, v, PROJECTIONS) for i, v in enumerate(values.values())]))
    g.create_dataset("first", data=np.array([np.pad(v[:FIRST], (0, FIRST - v[:FIRST].size)) for v in values.values()]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="report without writing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with h5py.File("blocks.h5", "w", libver="v110", driver="core", backing_store=not options.dry) as f:
        for k, v in dict(projections=PROJECTIONS, first=FIRST).items():
            f.attrs.create(k, v, dtype="i8")
        for k, v in dict(bn_eps=EPS, label_smoothing=SMOOTHING).items():
            f.attrs.create(k, v, dtype="f8")
        for case in CASES:
            seed, found, others, kept = compute(case)
            size = {k: norm(v) for k, v in found[0].items()}
            deviation, bf16_deviation = deviations(found[0], others), deviations(found[0], kept)
            relative = deviation / np.array(list(size.values()))
            bf16 = bf16_deviation / np.array(list(size.values()))
            worst = int(relative.argmax())
            print(f"{case:36s} seed {seed:3d} distance {found[3]:.1e}  fp32 deviation / norm: median {np.median(relative):.1e} "
                  f"largest {relative[worst]:.1e} ({list(size)[worst]}); bf16: median {np.median(bf16):.1e} largest {bf16.max():.1e}")
            write(f, case, seed, found, deviation, bf16_deviation)


if __name__ == "__main__":
    main()
