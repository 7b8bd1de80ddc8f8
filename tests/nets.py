"""Small PyTorch nets of the well-known families, and their exports to ONNX.

Each is a few thousand parameters, takes odd sizes, and has in it what the family brings: pools that
overlap, strides that leave a remainder, groups, branches, gates. Statistics are as after training.
"""

import io
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import onnx
import torch
from blocks import (
    Branches,
    Dense,
    Dropout,
    Mean,
    Residual,
    SqueezeExcite,
    UnevenConv,
    UnevenMaxPool,
    View,
    conv,
)
from torch import nn

SIZE = (67, 59)
CORNERED_SIZE = (269, 237)
CLASSES = 7

torch.set_num_threads(1)


def build(name, seed=0):
    """Return a net of `ALL`, its weights and statistics random, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = ALL[name].make()
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.3)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.5)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
                nn.init.normal_(module.weight, 1.5, 1.0)
                nn.init.normal_(module.bias, std=0.5)
    return net.eval()


def export(name, opset=17, *, batch=2, dynamic=True, keep_batch_norm=False, half=False):
    """Return the net as PyTorch's TorchScript exporter writes it, its input `x`, its output `y`.

    `dynamic`: the batch is free, and height and width too where the family allows; otherwise every
    size is fixed. `keep_batch_norm`: it stays a node instead of being folded into the Conv.
    `half`: in float16.
    """
    family = ALL[name]
    free = {0: "N", 2: "H", 3: "W"} if family.any_size else {0: "N"}
    x = torch.zeros(batch, 3, *family.size)
    unfolded = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    net = build(name)
    if half:
        net, x = net.half(), x.half()
    return to_onnx(
        net, x, free if dynamic else None, opset, **(unfolded if keep_batch_norm else {})
    )


def to_onnx(net, x, free=None, opset=17, **kwargs):
    """Return any net as PyTorch's TorchScript exporter writes it, its input `x`, its output `y`.

    `free` names the axes of `x` that are free, of which the first is the batch; None for none.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter's, about itself
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of what `Operator` computes
        torch.onnx.export(
            net,
            (x,),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": free, "y": {0: free[0]}} if free else None,
            **kwargs,
        )
    return onnx.load_from_string(file.getvalue())


def alexnet():
    """Overlapping pools, one padded; a strided, a grouped and a dilated Conv; Dropout, Flatten."""
    features = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 12, 5, padding=2, groups=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(12, 12, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    )
    classifier = nn.Sequential(
        Dropout(), nn.Flatten(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, CLASSES)
    )
    return in_sequence(features=features, classifier=classifier)


def vgg():
    """Pools that do not overlap: with ceil_mode, pads, dilation and gaps; LeakyReLU; a view."""
    features = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(2, 2, padding=1),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, dilation=3),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, 3),
    )
    classifier = nn.Sequential(View(-1), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, CLASSES))
    return in_sequence(features=features, classifier=classifier)


def resnet():
    """A strided stem, BatchNorm after every Conv, additions, 1x1 strided shortcuts."""
    return in_sequence(
        stem=conv(3, 8, 7, stride=2, padding=3),
        pool=nn.MaxPool2d(3, 2, padding=1),
        layer1=Residual(8, 8, 1),
        layer2=Residual(8, 12, 2),
        layer3=Residual(12, 16, 2),
        head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        classifier=nn.Linear(16, CLASSES),
    )


def mobilenet():
    """Pads on two sides only, SAME, depthwise Convs, ReLU6, a squeeze-and-excite gate, Softmax."""
    return in_sequence(
        stem=nn.Sequential(
            UnevenConv(3, 8, 3, 2, pads=[0, 0, 1, 1]), nn.BatchNorm2d(8), nn.ReLU6()
        ),
        depthwise=conv(8, 8, 3, stride=2, padding=1, groups=8, rectifier=nn.ReLU6),
        gate=SqueezeExcite(8),
        pointwise=conv(8, 12, 1, rectifier=nn.ReLU6),
        pool=UnevenMaxPool(3, 2, pads=[0, 1, 1, 0]),
        same=nn.Sequential(UnevenConv(12, 12, 5, 2, groups=4), nn.BatchNorm2d(12), nn.ReLU6()),
        mean=Mean(),
        classifier=nn.Linear(12, CLASSES),
        softmax=nn.Softmax(1),
    )


def inception():
    """Parallel branches: 1x1, factorised, strided pools; both counts of an average pool."""
    return in_sequence(
        stem=conv(3, 8, 3, stride=2, padding=1),
        reduce=nn.MaxPool2d(3, 2, ceil_mode=True),
        mixed1=Branches(
            conv(8, 4, 1),
            nn.Sequential(conv(8, 4, 1), conv(4, 5, (1, 5), padding=(0, 2))),
            nn.Sequential(conv(8, 4, 1), conv(4, 6, (3, 1), padding=(2, 0), dilation=(2, 1))),
            nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv(8, 3, 1)),
        ),
        mixed2=Branches(
            conv(18, 6, 3, stride=2),
            nn.MaxPool2d(3, 2),
            nn.Sequential(conv(18, 4, 1), nn.AvgPool2d(5, 2, 1, count_include_pad=True)),
        ),
        average=nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        head=nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
        classifier=nn.Linear(28, CLASSES),
    )


def densenet():
    """Everything before is concatenated; BatchNorm and ReLU come before each Conv."""
    return in_sequence(
        stem=conv(3, 8, 5, stride=2, padding=1),
        pool=nn.MaxPool2d(3, 2, padding=1),
        block1=nn.Sequential(Dense(8, 4), Dense(12, 4)),
        transition=nn.Sequential(
            nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1, bias=False), nn.AvgPool2d(2, 2)
        ),
        block2=nn.Sequential(Dense(8, 4), Dense(12, 4)),
        norm=nn.Sequential(nn.BatchNorm2d(16), nn.ReLU()),
        head=nn.Sequential(nn.AdaptiveAvgPool2d(1), View(-1)),
        classifier=nn.Linear(16, CLASSES),
    )


def wide():
    """Whole blocks of 16 channels: the blocked layout of ONNX Runtime's convolutions."""
    return in_sequence(
        stem=conv(3, 16, 7, stride=2, padding=3),
        pool=nn.MaxPool2d(3, 2, padding=1),
        layer1=Residual(16, 16, 1),
        layer2=Residual(16, 32, 2),
        depthwise=conv(32, 32, 3, stride=2, padding=1, groups=32, rectifier=nn.ReLU6),
        gate=SqueezeExcite(32),
        head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        classifier=nn.Linear(32, CLASSES),
    )


@dataclass(frozen=True)
class Family:
    """How to make a net, a module in its middle, and whether it takes any height and width.

    The output of its module `classifier` is the class score.
    """

    make: Callable[[], nn.Module]
    middle: str
    any_size: bool = True
    size: tuple[int, int] = SIZE


FAMILIES = {
    "alexnet": Family(alexnet, "features.4", any_size=False),
    "vgg": Family(vgg, "features.9", any_size=False),
    "resnet": Family(resnet, "layer2"),
    "mobilenet": Family(mobilenet, "pointwise"),
    "inception": Family(inception, "mixed1"),
    "densenet": Family(densenet, "block1.1"),
}


def cornered(family):
    """Return the family with every corner before it: SIZE is what they leave of CORNERED_SIZE.

    Pads on two sides only, groups, dilation, a stride with a remainder on both axes, and a pool
    that overlaps and rounds its size up.
    """

    def make():
        corners = nn.Sequential(
            UnevenConv(3, 6, 3, 2, pads=[0, 1, 1, 0], groups=3),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(6, 3, 3, padding=2, dilation=2, groups=3),
            nn.ReLU(),
        )
        return in_sequence(corners=corners, **dict(family.make().named_children()))

    return replace(family, make=make, size=CORNERED_SIZE)


CORNERED = {f"cornered {name}": cornered(family) for name, family in FAMILIES.items()}
ALL = FAMILIES | CORNERED | {"wide": Family(wide, "layer2")}


def in_sequence(**modules):
    """Return the modules one after the other, by their names."""
    return nn.Sequential(OrderedDict(modules))
