#!/usr/bin/env python3
"""Writes optim_golden.h: weights and momentum after some steps of torch.optim.SGD in fp32.

  python3 make_optim_golden.py > optim_golden.h        (checked in with PyTorch 1.13.1)
"""
import torch

N, STEPS = 6, 4
RATES = [0.1, 0.4, 0.25, 0.01]
torch.manual_seed(3)
weights = torch.randn(N)
gradients = torch.randn(STEPS, N)


def row(values):
    return "{" + ", ".join(f"{v:.9g}f" if "." in f"{v:.9g}" or "e" in f"{v:.9g}" else f"{v:.9g}.0f" for v in values.tolist()) + "}"


print("/* Made by make_optim_golden.py with PyTorch; not edited by hand. */\n/* clang-format off */")
print(f"enum {{ GOLDEN_N = {N}, GOLDEN_STEPS = {STEPS} }};\n")
print("static const double golden_rates[GOLDEN_STEPS] = {" + ", ".join(map(str, RATES)) + "};")
print(f"static const float golden_weights[GOLDEN_N] = {row(weights)};")
print("static const float golden_gradients[GOLDEN_STEPS][GOLDEN_N] = {")
for g in gradients:
    print(f"    {row(g)},")
print("};\n\nstatic const struct {\n    double momentum, decay;\n    bool nesterov;\n    float weights[GOLDEN_STEPS][GOLDEN_N], velocity[GOLDEN_N];\n} golden_runs[] = {")
for momentum, decay, nesterov in [(0.9, 5e-4, True), (0.9, 5e-4, False), (0.9, 0.0, True), (0.5, 0.1, False), (0.0, 0.01, False)]:
    w = torch.nn.Parameter(weights.clone())
    opt = torch.optim.SGD([w], lr=1.0, momentum=momentum, weight_decay=decay, nesterov=nesterov)
    print(f"    {{{momentum}, {decay}, {str(nesterov).lower()}, {{")
    for lr, g in zip(RATES, gradients):
        opt.param_groups[0]["lr"] = lr
        w.grad = g.clone()
        opt.step()
        print(f"        {row(w.detach())},")
    # without momentum PyTorch keeps no buffer; ours then holds the last decayed gradient, unused
    velocity = opt.state[w].get("momentum_buffer") if momentum else None
    print("    }, " + (row(velocity) if velocity is not None else "{0}") + "},")
print("};")
