"""MobileNetV2, IGCV1, IGCV2 and IGCV3-D in PyTorch, under the parameter names of mbtrain's checkpoints.

An independent source of golden values; run it to check parameter counts. ROWS names the variants:
first_expand: the t=1 block keeps its 1x1 conv; groups: of every 1x1 conv in a block; expand_relu:
ReLU6 after the expansion; permute_out: permutation with G = c/2 before the identity add. Grouped
expansions are followed by the interleaving permutation (G = groups)."""
import torch
from torch import nn

import formula

ROWS = {
    "mobilenetv2": dict(first_expand=True, groups=1, expand_relu=True, permute_out=False),
    "mobilenetv2_torchvision": dict(first_expand=False, groups=1, expand_relu=True, permute_out=False),
    "igcv3d": dict(first_expand=True, groups=2, expand_relu=False, permute_out=False),
    "igcv3d_seed": dict(first_expand=True, groups=2, expand_relu=True, permute_out=True),
    "igcv3d_seesaw": dict(first_expand=True, groups=2, expand_relu=False, permute_out=True),
}
DEPTHS = {  # blocks per stage
    "mobilenetv2": (1, 2, 3, 4, 3, 3, 1),
    "igcv3d": (1, 4, 6, 8, 6, 6, 1),
    "igcv3d_0.7": (1, 3, 4, 6, 4, 4, 1),
    "igcv3d_0.5": (1, 2, 3, 4, 2, 2, 1),
}
CHANNELS = (16, 24, 32, 64, 96, 160, 320)
STRIDES = {  # by total downsampling; the first entry is the stem
    4: (1, 1, 1, 2, 2, 1, 1, 1),
    8: (1, 1, 1, 2, 2, 1, 2, 1),
    32: (2, 1, 2, 2, 2, 1, 2, 1),
}


def permute(x, groups):
    """out[j*groups + g] = in[g*(C/groups) + j]"""
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def norm(channels, relu):
    """A batch norm that knows whether a ReLU6 follows."""
    bn = nn.BatchNorm2d(channels)
    bn.relu = relu
    return bn


class Stem(nn.Module):
    def __init__(self, c_in, c_out, stride, relu=nn.ReLU6):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn = norm(c_out, True)
        self.relu = relu()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride, expand, groups, expand_relu, permute_out, has_expand=True):
        super().__init__()
        mid = c_in * expand
        if has_expand:
            self.expand = nn.Conv2d(c_in, mid, 1, groups=groups, bias=False)
            self.expand_bn = norm(mid, expand_relu)
            self.expand_relu = nn.ReLU6() if expand_relu else nn.Identity()
        self.depthwise = nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False)
        self.depthwise_bn = norm(mid, True)
        self.depthwise_relu = nn.ReLU6()
        self.project = nn.Conv2d(mid, c_out, 1, groups=groups, bias=False)
        self.project_bn = norm(c_out, False)
        self.has_expand, self.groups = has_expand, groups
        self.permute_out = c_out // 2 if permute_out else 0
        self.identity = stride == 1 and c_in == c_out

    def forward(self, x):
        y = x
        if self.has_expand:
            y = self.expand_relu(self.expand_bn(self.expand(y)))
            if self.groups > 1:
                y = permute(y, self.groups)
        y = self.depthwise_relu(self.depthwise_bn(self.depthwise(y)))
        y = self.project_bn(self.project(y))
        if self.permute_out:
            y = permute(y, self.permute_out)
        return x + y if self.identity else y


class Sum(nn.Identity):
    """What a residual is added to, before the activation."""


class Interleaved(nn.Module):
    """IGCV1: a 3x3 convolution in l groups, a 1x1 one in c/l; with identity two of them and a shortcut."""

    def __init__(self, c_in, c_out, stride, l, identity):
        super().__init__()
        m = c_out // l
        first = c_in // l if identity else m
        prefix = "first_" if identity else ""
        self.units = []
        self.add(prefix, c_in, c_out, stride, l, first, True)
        if identity:
            self.add("second_", c_out, c_out, 1, l, m, False)
        self.relu = nn.ReLU()
        self.identity = identity
        if identity:
            self.sum, self.last_relu = Sum(), nn.ReLU()
        if identity and stride > 1:
            self.shortcut = nn.Conv2d(c_in, c_out, 1, stride, groups=l, bias=False)
            self.shortcut_bn = norm(c_out, True)

    def add(self, prefix, c_in, c_out, stride, l, m, relu):
        setattr(self, prefix + "primary", nn.Conv2d(c_in, c_out, 3, stride, 1, groups=l, bias=False))
        setattr(self, prefix + "secondary", nn.Conv2d(c_out, c_out, 1, groups=m, bias=False))
        setattr(self, prefix + "secondary_bn", norm(c_out, True))
        self.units.append((prefix, l, m))

    def unit(self, x, i):
        prefix, l, m = self.units[i]
        y = permute(getattr(self, prefix + "primary")(x), l)
        return permute(getattr(self, prefix + "secondary_bn")(getattr(self, prefix + "secondary")(y)), m)

    def forward(self, x):
        y = self.relu(self.unit(x, 0))
        if not self.identity:
            return y
        shortcut = self.shortcut_bn(self.shortcut(x)) if hasattr(self, "shortcut") else x
        return self.last_relu(self.sum(self.unit(y, 1) + shortcut))


class Channelwise(nn.Module):
    """IGCV2 (our definition): depthwise 3x3, two 1x1 convolutions in groups, identity where the shape stays."""

    def __init__(self, c_in, c_out, stride, first, second):
        super().__init__()
        self.depthwise = nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False)
        self.depthwise_bn = norm(c_in, False)
        self.first = nn.Conv2d(c_in, c_out, 1, groups=first, bias=False)
        self.first_bn = norm(c_out, False)
        self.second = nn.Conv2d(c_out, c_out, 1, groups=second, bias=False)
        self.second_bn = norm(c_out, True)
        self.sum, self.relu = Sum(), nn.ReLU()
        self.groups, self.identity = first, stride == 1 and c_in == c_out

    def forward(self, x):
        y = permute(self.first_bn(self.first(self.depthwise_bn(self.depthwise(x)))), self.groups)
        y = self.second_bn(self.second(y))
        return self.relu(self.sum(x + y) if self.identity else y)


class Multiplied(nn.Module):
    """IGCV2 as published (our model): the depthwise 3x3 makes all the channels, and one batch norm stands at the end."""

    def __init__(self, c_in, c_out, stride, groups):
        super().__init__()
        self.depthwise = nn.Conv2d(c_in, c_out, 3, stride, 1, groups=c_in, bias=False)
        self.first = nn.Conv2d(c_out, c_out, 1, groups=groups, bias=False)
        self.second = nn.Conv2d(c_out, c_out, 1, groups=groups, bias=False)
        self.second_bn = norm(c_out, True)
        self.groups, self.relu = groups, nn.ReLU()

    def forward(self, x):
        return self.relu(self.second_bn(self.second(permute(self.first(self.depthwise(x)), self.groups))))


class Head(nn.Module):
    def __init__(self, c_in, c_out, relu=nn.ReLU6):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.bn = norm(c_out, True)
        self.relu = relu()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x))).mean((2, 3))


class Network(nn.Module):
    def __init__(self, row, downsampling, classes=10, width=1.0, depth=None):
        super().__init__()
        r = ROWS[row]
        igc = r["groups"] > 1

        def scaled(c):
            n = round(c * width) if igc else int(c * width)
            return n + n % 2 if igc else n

        stem, *strides = STRIDES[downsampling]
        c_in = scaled(32)
        self.stem = Stem(3, c_in, stem)
        blocks = []
        for i, (c, n, s) in enumerate(zip(CHANNELS, DEPTHS[depth or ("igcv3d" if igc else "mobilenetv2")], strides)):
            for k in range(n):
                blocks.append(Block(c_in, scaled(c), s if k == 0 else 1, 1 if i == 0 else 6, r["groups"], r["expand_relu"],
                                    r["permute_out"], has_expand=i > 0 or r["first_expand"]))
                c_in = scaled(c)
        self.blocks = nn.Sequential(*blocks)
        last = scaled(1280) if width > 1 else 1280
        self.head = Head(c_in, last)
        self.classifier = nn.Linear(last, classes)

    def forward(self, x):
        return self.classifier(self.head(self.blocks(self.stem(x))))


class Matched(nn.Module):
    """IGCV2 by our definition, on IGCV3-D's skeleton."""

    def __init__(self, downsampling, classes=10, width=1.0, depth="igcv3d"):
        super().__init__()

        def scaled(c):
            return 16 * max(1, int(c * width / 16 + 0.5))

        def groups(c_in, c_out, k):
            return next(g for g in range(max(1, c_in // k), 0, -1) if c_in % g == c_out % g == 0)

        stem, *strides = STRIDES[downsampling]
        c_in = scaled(32)
        self.stem = Stem(3, c_in, stem, nn.ReLU)
        blocks = []
        for i, (c, n, s) in enumerate(zip((64, 96, 128, 256, 384, 640, 1280), DEPTHS[depth], strides)):
            c_out, k = scaled(c), 16 if i < 5 else 32
            for j in range(n):
                blocks.append(Channelwise(c_in, c_out, s if j == 0 else 1, groups(c_in, c_out, k), groups(c_out, c_out, k)))
                c_in = c_out
        self.blocks = nn.Sequential(*blocks)
        self.head = Head(c_in, 1280, nn.ReLU)
        self.classifier = nn.Linear(1280, classes)

    def forward(self, x):
        return self.classifier(self.head(self.blocks(self.stem(x))))


class ThreeStages(nn.Module):
    """IGCV1 and the published IGCV2 on CIFAR: stages of c, 2c and 4c of n blocks each; block(c_in, c_out, stride)."""

    def __init__(self, c, n, block, classes=10):
        super().__init__()
        self.stem = Stem(3, c, 1, nn.ReLU)
        widths = [c << i // n for i in range(3 * n)]
        self.blocks = nn.Sequential(*(block(c_in, c_out, 1 + (c_in < c_out)) for c_in, c_out in zip([c] + widths, widths)))
        self.classifier = nn.Linear(4 * c, classes)

    def forward(self, x):
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))


# Kinds of the convs, the depthwise convs, the classifier; (gamma, beta) of batch norms before a ReLU6,
# of the head's, of the others.
STYLES = {
    "rough": (formula.CONV, formula.CONV, formula.CLASSIFIER, (formula.GAMMA, formula.BETA), (formula.GAMMA, formula.BETA),
              (formula.GAMMA, formula.BETA)),
    "wide": (formula.CONV, formula.CONV, formula.CLASSIFIER, (formula.GAMMA_WIDE, formula.BETA), (formula.GAMMA_WIDE, formula.BETA),
             (formula.GAMMA, formula.BETA)),
    "calm": (formula.CONV, formula.DEPTHWISE_CALM, formula.CLASSIFIER_CALM, (formula.GAMMA_CALM, formula.BETA_CALM),
             (formula.GAMMA_CALM_HEAD, formula.BETA_CALM_HEAD), (formula.GAMMA, formula.BETA)),
}


def parameter_rules(net, style):
    """(name, parameter, kind, fan, decayed) of every trainable parameter in state-dict order; its
    position in this list is its stream. Dense and grouped convs and the classifier's matrix decay."""
    conv, depthwise, classifier, relu_norm, head_norm, linear_norm = STYLES[style]
    out = []
    for path, m in net.named_modules():
        name = path + "." if path else ""
        if isinstance(m, nn.Conv2d):
            fan = m.kernel_size[0] * m.kernel_size[1] * m.out_channels // m.groups
            is_depthwise = m.groups == m.in_channels
            out.append((name + "weight", m.weight, depthwise if is_depthwise else conv, fan, not is_depthwise))
        elif isinstance(m, nn.BatchNorm2d):
            gamma, beta = linear_norm if not m.relu else head_norm if path == "head.bn" else relu_norm
            out.append((name + "weight", m.weight, gamma, 0, False))
            out.append((name + "bias", m.bias, beta, 0, False))
        elif isinstance(m, nn.Linear):
            out.append((name + "weight", m.weight, classifier, 0, True))
            out.append((name + "bias", m.bias, formula.CLASSIFIER_BIAS, 0, False))
    assert [o[0] for o in out] == [n for n, _ in net.named_parameters()]
    return out


def set_weights(rules, seed):
    """Gives every parameter its generated value; returns the float32 arrays in order."""
    start = []
    for stream, (_, p, kind, fan, _) in enumerate(rules):
        start.append(formula.fill(seed, stream, kind, fan, tuple(p.shape)))
        p.data.copy_(torch.from_numpy(start[-1]))
    return start


def norms(net):
    """(name, module) of every batch norm, in order."""
    return [(n, m) for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]


if __name__ == "__main__":
    known = [("mobilenetv2", 10, None, 2237770), ("mobilenetv2", 100, None, 2353060), ("mobilenetv2", 1000, None, 3505960),
             ("mobilenetv2_torchvision", 10, None, 2236682), ("mobilenetv2_torchvision", 100, None, 2351972),
             ("mobilenetv2_torchvision", 1000, None, 3504872), ("igcv3d", 10, None, 2223498), ("igcv3d", 100, None, 2338788),
             ("igcv3d", 1000, None, 3491688), ("igcv3d", 10, "igcv3d_0.7", 1683000), ("igcv3d", 10, "igcv3d_0.5", 1150000)]
    for row, classes, depth, wanted in known:
        got = sum(p.numel() for p in Network(row, 8, classes, depth=depth).parameters())
        print(f"{row:24s} {depth or '':10s} {classes:5d} classes {got:10,d} parameters")
        assert abs(got - wanted) <= (1000 if depth else 0), wanted
