"""Networks as lists of layers, from which `gpu_artefacts.py` makes ONNX and `gpu_torch.py` modules.

Their weights are random numbers that follow from a weight's name and shape, so that both have the
same ones, and files of artefacts need not contain them.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["INPUT", "NETS", "Layer", "Net", "weight"]

INPUT = "image"  # [N, 3, 224, 224]


@dataclass(frozen=True)
class Layer:
    """One layer, whose output has its name. channels: of its input and its output."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    channels: tuple[int, int]
    kernel: int = 1
    stride: int = 1
    pad: int = 0
    groups: int = 1

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights by name, as PyTorch names and ONNX orders them."""
        inputs, outputs = self.channels
        if self.kind == "Conv":
            window = (self.kernel, self.kernel)
            shapes = {"weight": (outputs, inputs // self.groups, *window), "bias": (outputs,)}
        elif self.kind == "Gemm":
            shapes = {"weight": (outputs, inputs), "bias": (outputs,)}
        elif self.kind == "BatchNormalization":
            names = ("weight", "bias", "running_mean", "running_var")
            shapes = dict.fromkeys(names, (outputs,))
        else:
            shapes = {}
        return {f"{self.name}.{name}": shape for name, shape in shapes.items()}


def weight(name: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the values of a weight, for which activations neither grow nor vanish."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind = name.rpartition(".")[2]
    if kind == "weight" and len(shape) > 1:
        values = rng.standard_normal(shape, np.float32)
        return values * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if kind in ("weight", "running_var"):  # of a BatchNormalization
        return (0.5 + 0.5 * rng.random(shape) + (kind == "running_var") / 4).astype(np.float32)
    return (0.05 * rng.standard_normal(shape)).astype(np.float32)


@dataclass
class Net:
    """A network under construction: each method adds layers and returns the name of the last."""

    layers: list[Layer] = field(default_factory=list)

    def add(self, kind: str, *inputs: str, channels: tuple[int, int] = (0, 0), **sizes: int) -> str:
        name = f"{kind.lower()}{len(self.layers)}"
        self.layers.append(Layer(name, kind, inputs, channels, **sizes))
        return name

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, **sizes: int) -> str:
        return self.add("Conv", x, channels=(inputs, outputs), kernel=kernel, **sizes)

    def conv_norm(
        self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> str:
        pad = kernel // 2
        y = self.conv(x, inputs, outputs, kernel, stride=stride, pad=pad, groups=groups)
        return self.add("BatchNormalization", y, channels=(outputs, outputs))

    def gemm(self, x: str, inputs: int, outputs: int) -> str:
        return self.add("Gemm", x, channels=(inputs, outputs))


def resnet50() -> Net:
    """ResNet-50 (He et al. 2016)."""
    net = Net()
    x = net.add("Relu", net.conv_norm(INPUT, 3, 64, 7, 2))
    x = net.add("MaxPool", x, kernel=3, stride=2, pad=1)
    inputs = 64
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = 1 if block else first
            y = net.add("Relu", net.conv_norm(x, inputs, width))
            y = net.add("Relu", net.conv_norm(y, width, width, 3, stride))
            y = net.conv_norm(y, width, 4 * width)
            shortcut = x if block else net.conv_norm(x, inputs, 4 * width, 1, stride)
            x = net.add("Relu", net.add("Add", y, shortcut))
            inputs = 4 * width
    net.gemm(net.add("Flatten", net.add("GlobalAveragePool", x)), inputs, 1000)
    return net


def vgg16() -> Net:
    """VGG-16 (Simonyan and Zisserman 2014), without the dropout."""
    net, x, inputs = Net(), INPUT, 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = net.add("Relu", net.conv(x, inputs, width, 3, pad=1))
            inputs = width
        x = net.add("MaxPool", x, kernel=2, stride=2)
    x = net.add("Relu", net.gemm(net.add("Flatten", x), 512 * 7 * 7, 4096))
    net.gemm(net.add("Relu", net.gemm(x, 4096, 4096)), 4096, 1000)
    return net


def squeezenet() -> Net:
    """SqueezeNet 1.1 (Iandola et al. 2016): overlapping pools, concatenation."""
    net = Net()
    x = net.add("Relu", net.conv(INPUT, 3, 64, 3, stride=2))
    inputs = 64
    for block, (squeeze, expand) in enumerate(
        [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    ):
        if block in (0, 2, 4):
            x = net.add("MaxPool", x, kernel=3, stride=2)
        x = net.add("Relu", net.conv(x, inputs, squeeze))
        left = net.add("Relu", net.conv(x, squeeze, expand))
        right = net.add("Relu", net.conv(x, squeeze, expand, 3, pad=1))
        x = net.add("Concat", left, right)
        inputs = 2 * expand
    x = net.add("Relu", net.conv(x, inputs, 1000))
    net.add("Flatten", net.add("GlobalAveragePool", x))
    return net


def mobilenet_v2() -> Net:
    """MobileNet v2 (Sandler et al. 2018): depthwise convolutions, Clip to 0 and 6."""
    net = Net()
    x = net.add("Clip", net.conv_norm(INPUT, 3, 32, 3, 2))
    inputs = 32
    for growth, outputs, blocks, first in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):  # fmt: skip
        for block in range(blocks):
            stride, width = 1 if block else first, growth * inputs
            y = x if growth == 1 else net.add("Clip", net.conv_norm(x, inputs, width))
            y = net.add("Clip", net.conv_norm(y, width, width, 3, stride, groups=width))
            y = net.conv_norm(y, width, outputs)
            x = net.add("Add", x, y) if block else y
            inputs = outputs
    x = net.add("Clip", net.conv_norm(x, inputs, 1280))
    net.gemm(net.add("Flatten", net.add("GlobalAveragePool", x)), 1280, 1000)
    return net


NETS = {
    "ResNet-50": resnet50(),
    "VGG-16": vgg16(),
    "SqueezeNet": squeezenet(),
    "MobileNet v2": mobilenet_v2(),
}
