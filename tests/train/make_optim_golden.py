#!/usr/bin/env python3
"""Writes optim_golden.h: weights and momentum after some steps of torch.optim.SGD in fp32, weights after
steps of RMSprop and LARS, and a gradient clipped by torch.nn.utils.clip_grad_norm_.

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

# RMSprop whose mean of squares begins at 1. Where the rate stays, torch.optim.RMSprop makes the same
# steps if its epsilon, outside the root, is nothing; where it changes, TensorFlow's rule is written out.
def rmsprop_torch(rate, rho, momentum, decay):
    w = torch.nn.Parameter(weights.double())
    opt = torch.optim.RMSprop([w], lr=rate, alpha=rho, eps=0.0, momentum=momentum, weight_decay=decay)
    for g in gradients:
        w.grad = g.double()
        if not opt.state[w]:
            opt.state[w] = {"step": 0, "square_avg": torch.ones(N).double(), "momentum_buffer": torch.zeros(N).double()}
        opt.step()
        yield w.detach().clone()


def rmsprop_tensorflow(rates, rho, momentum, decay, eps):
    w, s, v = weights.double(), torch.ones(N).double(), torch.zeros(N).double()
    for lr, g in zip(rates, gradients):
        d = g.double() + decay * w
        s = rho * s + (1 - rho) * d * d
        v = momentum * v + lr * d / torch.sqrt(s + eps)
        w = w - v
        yield w


print("\nstatic const struct {\n    double rate, rho, momentum, decay, eps; /* rate 0: golden_rates */\n    float weights[GOLDEN_STEPS][GOLDEN_N];\n} golden_rmsprop[] = {")
for rate, rho, momentum, decay in [(0.05, 0.9, 0.9, 4e-5), (0.2, 0.5, 0.0, 0.01)]:
    print(f"    {{{rate}, {rho}, {momentum}, {decay}, 1e-12, {{")
    for w in rmsprop_torch(rate, rho, momentum, decay):
        print(f"        {row(w)},")
    print("    }},")
for rho, momentum, decay, eps in [(0.9, 0.9, 4e-5, 1.0), (0.99, 0.5, 0.1, 0.001)]:
    print(f"    {{0, {rho}, {momentum}, {decay}, {eps}, {{")
    for w in rmsprop_tensorflow(RATES, rho, momentum, decay, eps):
        print(f"        {row(w)},")
    print("    }},")
print("};\n\nstatic const struct {\n    double momentum, decay, trust;\n    float weights[GOLDEN_STEPS][GOLDEN_N];\n} golden_lars[] = {")
# torch.optim.SGD is given d times the tensor's rate as its gradient
for momentum, decay, trust in [(0.9, 1e-4, 0.001), (0.5, 0.1, 0.02), (0.0, 0.0, 0.1)]:
    w = torch.nn.Parameter(weights.double())
    opt = torch.optim.SGD([w], lr=1.0, momentum=momentum)
    print(f"    {{{momentum}, {decay}, {trust}, {{")
    for lr, g in zip(RATES, gradients):
        g, x = g.double(), w.detach()
        opt.param_groups[0]["lr"] = lr
        w.grad = trust * x.norm() / (g.norm() + decay * x.norm()) * (g + decay * x)
        opt.step()
        print(f"        {row(w.detach())},")
    print("    }},")
print("};\n\nstatic const struct {\n    double limit, norm;\n    float gradient[GOLDEN_N];\n} golden_clip[] = {")
for limit in [0.5, 1.0, 100.0]:
    w = torch.nn.Parameter(weights.double())
    w.grad = gradients[2].double()
    norm = torch.nn.utils.clip_grad_norm_([w], limit)
    print(f"    {{{limit}, {norm.item():.12g}, {row(w.grad)}}},")
print("};")
