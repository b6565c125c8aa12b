#!/usr/bin/python3
"""Writes the golden files of whole networks: what PyTorch computes in fp64, and how far its own fp32
is from that. Run: /usr/bin/python3 make_networks.py [--dry] [--bf16] [CASE ...]; about ten minutes for all
cases on one core. README.md has the file's layout, the training step and the reasons in words."""
import argparse
import itertools

import h5py
import numpy as np
import torch
from torch.nn import functional

import formula
import nets

CASES = {  # seed, style of the weights, row, downsampling, groups, images in a group, steps
    "mobilenetv2_ds8_rough": (11, "rough", "mobilenetv2", 8, 2, 16, 1),
    "mobilenetv2_ds8_calm": (11, "calm", "mobilenetv2", 8, 2, 16, 5),
    "igcv3d_ds8_rough": (12, "rough", "igcv3d", 8, 2, 16, 1),
    "igcv3d_ds8_calm": (14, "calm", "igcv3d", 8, 2, 16, 5),
    "igcv3d_seed_ds4_rough": (13, "rough", "igcv3d_seed", 4, 2, 8, 1),
}
CLASSES, LR, MOMENTUM, DECAY, SMOOTHING, STAT_MOMENTUM, EPS = 10, 0.05, 0.9, 5e-4, 0.1, 0.1, 1e-5
PROJECTIONS = 20
# A tensor has no gradient to speak of when its norm is below this part of the largest, or when
# PyTorch's own fp32 misses it by this part of itself.
NO_GRADIENT, ALL_NOISE = 1e-9, 0.25
# Every way of letting PyTorch compute the same numbers in fp32: memory layout, oneDNN or its own
# kernels, order of the images within a group. Each rounds differently; the largest deviation counts.
VARIANTS = list(itertools.product(("contiguous", "channels_last"), ("mkldnn", "native"), ("forward", "backward")))


# How PyTorch computes when it keeps activations in bf16 (see Kept): the largest deviation counts.
KEPT = [(torch.float64,), (torch.float32,)]


def rounded(x):
    """To bf16, half away from zero (numbers below the normal ones aside)."""
    m, e = torch.frexp(x)
    return torch.ldexp(torch.sign(m) * torch.floor(m.abs() * 256 + 0.5) / 256, e)


class KeptValue(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return rounded(x)

    @staticmethod
    def backward(ctx, d):
        return d


class KeptGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, d):
        return rounded(d)


def keep_in_bf16(net):
    """What mbtrain keeps: outputs of convolutions before batch norm, and the gradients of batch norms' outputs and of
    what a residual is added to."""
    for m in net.modules():
        if isinstance(m, nets.nn.BatchNorm2d):
            m.register_forward_pre_hook(lambda _, x: (KeptValue.apply(x[0]),))
        if isinstance(m, (nets.nn.BatchNorm2d, nets.Block, nets.Sum)):
            m.register_forward_hook(lambda _, x, y: KeptGradient.apply(y))


def tables(case):
    """Of step one; after the last step; after the last step. One step's update says no more than its gradient."""
    return ("gradient", "statistics") if CASES[case][-1] == 1 else ("gradient", "update", "statistics")


def watch_kinks(net):
    """A list that collects every ReLU6's smallest distance of an input from 0 and 6, every ReLU's from 0."""
    seen = []
    for m in net.modules():
        if isinstance(m, nets.nn.ReLU6):
            m.register_forward_pre_hook(lambda _, x: seen.append(min(x[0].abs().min().item(), (x[0] - 6).abs().min().item())))
        if isinstance(m, nets.nn.ReLU):
            m.register_forward_pre_hook(lambda _, x: seen.append(x[0].abs().min().item()))
    return seen


def run(case, dtype, layout="contiguous", kernels="mkldnn", order="forward", bf16=False):
    """The training steps of a case; every result as float64 arrays, and a description of the case."""
    seed, style, row, downsampling, groups, size, steps = CASES[case]
    net = nets.Network(row, downsampling, CLASSES)
    rules = nets.parameter_rules(net, style)
    start = nets.set_weights(rules, seed)
    norms = nets.norms(net)
    kinks = watch_kinks(net)
    if bf16:
        keep_in_bf16(net)
    net = net.to(dtype)
    if layout == "channels_last":
        net = net.to(memory_format=torch.channels_last)
    for _, m in norms:
        m.momentum, m.eps = 1.0, EPS  # leaves a forward's own mean and unbiased variance in the buffers
    running = [[torch.zeros_like(m.running_mean), torch.ones_like(m.running_var)] for _, m in norms]
    optimizer = torch.optim.SGD([{"params": [r[1] for r in rules if r[4]], "weight_decay": DECAY},
                                 {"params": [r[1] for r in rules if not r[4]], "weight_decay": 0.0}],
                                lr=LR, momentum=MOMENTUM, nesterov=True)
    out = {"loss": []}
    inputs = []
    batch = groups * size
    for step in range(steps):
        images, labels = formula.images(seed, step, batch, 3, 32, 32), formula.labels(seed, step, batch, CLASSES)
        inputs.append((formula.checksum(images), formula.checksum(labels)))
        images, labels = torch.from_numpy(images).to(dtype), torch.from_numpy(labels)
        moments = [[torch.zeros_like(a), torch.zeros_like(b)] for a, b in running]
        optimizer.zero_grad()
        loss_sum = 0.0
        with torch.backends.mkldnn.flags(enabled=kernels == "mkldnn"):
            for x, y in zip(images.split(size), labels.split(size)):
                if order == "backward":
                    x, y = x.flip(0), y.flip(0)
                if layout == "channels_last":
                    x = x.contiguous(memory_format=torch.channels_last)
                loss = functional.cross_entropy(net(x), y, label_smoothing=SMOOTHING, reduction="sum") / batch
                loss.backward()
                loss_sum += loss.item()
                for (mean, var), (_, m) in zip(moments, norms):
                    mean += m.running_mean / groups
                    var += m.running_var / groups
        out["loss"].append(loss_sum)
        for (run_mean, run_var), (mean, var) in zip(running, moments):
            run_mean.mul_(1 - STAT_MOMENTUM).add_(mean, alpha=STAT_MOMENTUM)
            run_var.mul_(1 - STAT_MOMENTUM).add_(var, alpha=STAT_MOMENTUM)
        out["statistics"] = [t.double().numpy().reshape(-1).copy() for pair in running for t in pair]
        if step == 0:
            out["gradient"] = [r[1].grad.double().contiguous().numpy().reshape(-1).copy() for r in rules]
        optimizer.step()
    out["loss"] = np.array(out["loss"])
    out["update"] = [r[1].detach().double().contiguous().numpy().reshape(-1) - s.reshape(-1).astype(np.float64)
                     for r, s in zip(rules, start)]
    about = dict(rules=rules, start=start, inputs=inputs, kink=min(kinks),
                 stat_names=[f"{n}.{k}" for n, _ in norms for k in ("running_mean", "running_var")])
    return out, about


def norm(x):
    return float(np.linalg.norm(x))


def deviations(case, golden, other):
    """Per table the exact norm of the difference of each tensor; for the loss the difference."""
    out = {t: np.array([norm(a - b) for a, b in zip(other[t], golden[t])]) for t in tables(case)}
    out["loss"] = np.abs(other["loss"] - golden["loss"])
    return out


def checked(golden, all_deviations, table):
    if table == "statistics":
        return np.ones(len(golden[table]), bool)
    size = np.array([norm(x) for x in golden["gradient"]])
    noise = np.max([d["gradient"] for d in all_deviations], axis=0)
    return (size > NO_GRADIENT * size.max()) & (noise < ALL_NOISE * size)


def judge(golden, other, table, yardstick, keep):
    """What the C test does: each tensor's deviation, estimated from projections, over the yardstick."""
    out = np.zeros(len(keep))
    for i in np.flatnonzero(keep):
        p = formula.project(i, other[table][i] - golden[table][i], PROJECTIONS)
        out[i] = np.sqrt(np.mean(p * p)) / yardstick[i]
    return out


def report(case, golden, about, results, all_deviations):
    """How the fp32 variants deviate, and what to expect of a correct program: each variant judged
    by the rule of the C test with the others as the yardstick."""
    print(f"{case}: loss", " ".join(f"{x:.4f}" for x in golden["loss"]), f"nearest to a kink {about['kink']:.1e}")
    print("  loss deviations", *(" ".join(f"{x:.0e}" for x in d["loss"]) + ";" for d in all_deviations))
    for table in tables(case):
        keep = checked(golden, all_deviations, table)
        size = np.array([norm(x) for x in golden[table]])
        every = np.array([d[table] for d in all_deviations])
        rel = every.max(0)[keep] / size[keep]
        print(f"  {table}: {keep.sum()} tensors checked, {(~keep).sum()} not; smallest norms / largest",
              " ".join(f"{x:.0e}" for x in np.sort(size[keep])[:8] / size.max()), "not:", f"{size[~keep].max(initial=0) / size.max():.0e}")
        print(f"    fp32 deviation / norm: min {rel.min():.1e} median {np.median(rel):.1e}; largest",
              " ".join(f"{x:.0e}" for x in np.sort(rel)[-12:]))
        worst, over = [], 0
        for v, r in enumerate(results):
            ratio = judge(golden, r, table, np.delete(every, v, 0).max(0), keep)
            worst.append(ratio.max())
            over += (ratio > 2).sum()
        print("    largest ratio of each variant to the others:", " ".join(f"{w:.2f}" for w in worst),
              f"; {over} tensors above 2", flush=True)


def texts(names):
    return np.array(names, dtype=f"S{max(len(n) for n in names) + 1}")


def write_parameters(group, rules, start):
    group.attrs["names"] = texts([r[0] for r in rules])
    group.create_dataset("count", data=np.array([s.size for s in start], dtype="<i8"))
    group.create_dataset("checksum", data=np.array([formula.checksum(s) for s in start], dtype="<i8"))
    group.create_dataset("rule", data=np.array([(kind, fan, decayed) for _, _, kind, fan, decayed in rules], dtype="<i4"))


def write(case, golden, about, all_deviations):
    seed, style, row, downsampling, groups, size, steps = CASES[case]
    with h5py.File(f"{case}.h5", "w", libver="v110") as f:
        f.attrs["row"] = np.bytes_(row)
        f.attrs["style"] = np.bytes_(style)
        for k, v in dict(seed=seed, downsampling=downsampling, groups=groups, group_size=size, classes=CLASSES, steps=steps,
                         projections=PROJECTIONS).items():
            f.attrs.create(k, v, dtype="i8")
        for k, v in dict(lr=LR, momentum=MOMENTUM, weight_decay=DECAY, label_smoothing=SMOOTHING, statistics_momentum=STAT_MOMENTUM,
                         bn_eps=EPS, kink_distance=about["kink"]).items():
            f.attrs.create(k, v, dtype="f8")
        write_parameters(f.create_group("parameters"), about["rules"], about["start"])
        f.create_dataset("inputs", data=np.array(about["inputs"], dtype="<i8"))
        f.create_dataset("loss/value", data=golden["loss"])
        f.create_dataset("loss/fp32_deviation", data=np.max([d["loss"] for d in all_deviations], axis=0))
        for table in tables(case):
            g = f.create_group(table)
            if table == "statistics":
                g.attrs["names"] = texts(about["stat_names"])
            g.create_dataset("count", data=np.array([x.size for x in golden[table]], dtype="<i8"))
            g.create_dataset("checked", data=checked(golden, all_deviations, table).astype("<i4"))
            g.create_dataset("norm", data=np.array([norm(x) for x in golden[table]]))
            g.create_dataset("fp32_deviation", data=np.max([d[table] for d in all_deviations], axis=0))
            g.create_dataset("fp32_least", data=np.min([d[table] for d in all_deviations], axis=0))
            g.create_dataset("projection", data=np.array([formula.project(i, x, PROJECTIONS) for i, x in enumerate(golden[table])]))


def add_kept(case, golden, dry):
    """How PyTorch deviates with activations kept in bf16, into the file that is there; its projections have to be these."""
    every = [deviations(case, golden, run(case, *v, bf16=True)[0]) for v in KEPT]
    print(f"{case}, bf16: loss deviations", *(" ".join(f"{x:.0e}" for x in d["loss"]) + ";" for d in every))
    with h5py.File(f"{case}.h5", "r" if dry else "r+") as f:
        for table in tables(case) + ("loss",):
            most = np.max([d[table] for d in every], axis=0)
            if not dry:
                if "bf16_deviation" in f[table]:
                    del f[table]["bf16_deviation"]
                f[table].create_dataset("bf16_deviation", data=most)
            if table == "loss":
                continue
            size, keep = f[table]["norm"][:], f[table]["checked"][:] > 0
            p = np.array([formula.project(i, x, PROJECTIONS) for i, x in enumerate(golden[table])])
            assert np.abs(p - f[table]["projection"][:]).max() < 1e-9 * size.max(), "the file is of another case"
            rel = np.array([d[table] for d in every])[:, keep] / size[keep]
            print(f"  {table}: bf16 deviation / norm: median", " ".join(f"{x:.1e}" for x in np.median(rel, 1)), "largest",
                  " ".join(f"{x:.0e}" for x in np.sort(rel.max(0))[-8:]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="report without writing")
    parser.add_argument("--bf16", action="store_true", help="only add bf16_deviation to files that are there")
    parser.add_argument("cases", nargs="*", metavar="CASE", default=list(CASES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for case in options.cases:
        golden, about = run(case, torch.float64)
        if options.bf16:
            add_kept(case, golden, options.dry)
            continue
        results = [run(case, torch.float32, *v)[0] for v in VARIANTS]
        every = [deviations(case, golden, r) for r in results]
        report(case, golden, about, results, every)
        if not options.dry:
            write(case, golden, about, every)
            add_kept(case, golden, False)


if __name__ == "__main__":
    main()
