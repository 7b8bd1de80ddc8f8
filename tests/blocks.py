"""The building blocks of `nets.py`; some are operators that PyTorch's exporter does not say."""

import torch
import torch.nn.functional as F
from torch import nn


def conv(channels, out, kernel, rectifier=nn.ReLU, **kwargs):
    """Conv, BatchNorm, rectifier."""
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, **kwargs), nn.BatchNorm2d(out, eps=1e-3), rectifier()
    )


class Residual(nn.Module):
    """relu(x + conv(conv(x))), with a 1x1 Conv beside it where the shape changes."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = conv(channels, out, 3, stride=stride, padding=1)
        self.conv2 = nn.Sequential(nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out))
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels == out
            else nn.Sequential(nn.Conv2d(channels, out, 1, stride), nn.BatchNorm2d(out))
        )
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


class Dense(nn.Module):
    """x, and what a Conv makes of it, side by side."""

    def __init__(self, channels, growth):
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(channels), nn.ReLU()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv(self.relu(self.norm(x)))], 1)


class Branches(nn.Module):
    """What each branch makes of x, side by side."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class SqueezeExcite(nn.Module):
    """Each channel times a gate between 0 and 1 that the means of all channels decide."""

    def __init__(self, channels):
        super().__init__()
        self.pool, self.relu = nn.AdaptiveAvgPool2d(1), nn.ReLU()
        self.squeeze, self.excite = nn.Conv2d(channels, 4, 1), nn.Linear(4, channels)

    def forward(self, x):
        squeezed = self.relu(self.squeeze(self.pool(x))).flatten(1)
        return x * torch.sigmoid(self.excite(squeezed)).view(x.size(0), -1, 1, 1)


class View(nn.Module):
    """A view that keeps the batch, which the exporter writes as arithmetic on the shape."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.view(x.size(0), *self.shape)


class Mean(nn.Module):
    """The mean over height and width, exported as ReduceMean."""

    def forward(self, x):
        return x.mean((2, 3))


class Operator(torch.autograd.Function):
    """What ONNX says in one node and PyTorch's exporter does not: exported with its attributes."""

    @staticmethod
    def symbolic(g, compute, operator, attributes, *tensors):
        return g.op(operator, *tensors, **attributes)

    @staticmethod
    def forward(ctx, compute, operator, attributes, *tensors):
        return compute(*tensors)


class Dropout(nn.Module):
    """An idle Dropout that stays in the exported graph."""

    def forward(self, x):
        return _as_operator("Dropout", torch.clone, x)


class UnevenConv(nn.Conv2d):
    """A Conv padded by [top, left, bottom, right], or as SAME_UPPER says."""

    def __init__(self, *args, pads=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.pads = pads

    def forward(self, x):
        def compute(x, weight, bias):
            top, left, bottom, right = self.pads or self._same_upper(x)
            padded = F.pad(x, (left, right, top, bottom))
            return F.conv2d(padded, weight, bias, self.stride, groups=self.groups)

        padding = {"pads_i": self.pads} if self.pads else {"auto_pad_s": "SAME_UPPER"}
        attributes = {"strides_i": list(self.stride), "group_i": self.groups, **padding}
        return _as_operator("Conv", compute, x, self.weight, self.bias, **attributes)

    def _same_upper(self, x):
        sizes = zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        total = [max((-(-size // s) - 1) * s + k - size, 0) for size, k, s in sizes]
        return *(t // 2 for t in total), *(t - t // 2 for t in total)


class UnevenMaxPool(nn.Module):
    """A MaxPool padded by [top, left, bottom, right]."""

    def __init__(self, kernel, stride, pads):
        super().__init__()
        self.kernel, self.stride, self.pads = kernel, stride, pads

    def forward(self, x):
        def compute(x):
            top, left, bottom, right = self.pads
            padded = F.pad(x, (left, right, top, bottom), value=float("-inf"))
            return F.max_pool2d(padded, self.kernel, self.stride)

        attributes = {"kernel_shape_i": [self.kernel] * 2, "strides_i": [self.stride] * 2}
        return _as_operator("MaxPool", compute, x, **attributes, pads_i=self.pads)


def _as_operator(operator, compute, *tensors, **attributes):
    if torch.onnx.is_in_onnx_export():
        return Operator.apply(compute, operator, attributes, *tensors)
    return compute(*tensors)
