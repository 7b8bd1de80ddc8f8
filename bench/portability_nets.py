"""The networks of `portability.py`: small, float32, with operators that runtimes may differ on."""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

__all__ = ["Net", "build"]

EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Net:
    """A network in PyTorch and in ONNX, the size of its images, and the layer to explain.

    `overlaps`: whether windows of its max-pools share elements.
    """

    name: str
    module: nn.Module
    model: onnx.ModelProto
    size: tuple[int, int]
    layer: str
    overlaps: bool


class Classifier(nn.Module):
    """Convolutional features, and a linear layer on their means."""

    def __init__(self, channels: int, *features: nn.Module) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.head = nn.Linear(channels, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image).mean((2, 3)))


class Branches(nn.Module):
    """Branches, joined by addition or concatenation."""

    def __init__(self, join: str, *branches: nn.Module) -> None:
        super().__init__()
        self.branches, self.join = nn.ModuleList(branches), join

    def forward(self, x: Tensor) -> Tensor:
        ends = [branch(x) for branch in self.branches]
        return torch.cat(ends, 1) if self.join == "concat" else sum(ends[1:], ends[0])


class Excited(nn.Module):
    """Squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = torch.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.excite(means))


class ConvNextBlock(nn.Module):
    """Depthwise convolution, LayerNorm and two linear layers on NHWC data (Liu et al. 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide, self.narrow = nn.Linear(channels, 32), nn.Linear(32, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.narrow(nn.functional.gelu(self.wide(y)))
        return x + y.permute(0, 3, 1, 2)


class Quantised(nn.Module):
    """A convolution whose weights and input are rounded to 8 bits, as QDQ models have it."""

    def __init__(self, inputs: int, outputs: int, scale: float, **options: int) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(inputs, outputs, 3, **options), scale

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        x = torch.fake_quantize_per_tensor_affine(x, self.scale, 0, -128, 127)
        weight = torch.fake_quantize_per_tensor_affine(conv.weight, 0.004, 0, -128, 127)
        return nn.functional.conv2d(x, weight, conv.bias, conv.stride, conv.padding)


def block(inputs: int, outputs: int, kernel: int = 3, **options: int) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def plain() -> nn.Module:
    return Classifier(
        16,
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 3)),
        *(nn.Conv2d(12, 16, 3), nn.ReLU()),
    )


def overlapping() -> nn.Module:
    return Classifier(
        16,
        *(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)),
        *(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(12, 16, 3, padding=1), nn.ReLU()),
    )


def remainders() -> nn.Module:
    """Strides that do not divide the size, and a pool whose last window is cut off."""
    return Classifier(
        16,
        *(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
        *(nn.Conv2d(8, 12, 2, stride=3), nn.ReLU()),
        *(nn.Conv2d(12, 16, 3, padding=1), nn.ReLU()),
    )


def branching() -> nn.Module:
    return Classifier(
        16,
        block(3, 8),
        nn.MaxPool2d(2),
        Branches("add", nn.Sequential(block(8, 8), block(8, 12)), nn.Conv2d(8, 12, 1)),
        Branches("concat", block(12, 8, 1), nn.Sequential(block(12, 4), block(4, 8))),
    )


def mobile() -> nn.Module:
    """Depthwise and dilated convolutions, ReLU6, an average pool with padding."""
    return Classifier(
        16,
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU6()),
        *(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU6()),
        *(nn.AvgPool2d(3, 2, padding=1), nn.Conv2d(8, 12, 3, padding=2, dilation=2), nn.ReLU6()),
        *(nn.MaxPool2d(2), nn.Conv2d(12, 16, 3, padding=1), nn.ReLU()),
    )


def grouped() -> nn.Module:
    """Groups of several channels, and a square weight without BatchNorm."""
    return Classifier(
        16,
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1, groups=4), nn.ReLU()),
    )


def modern() -> nn.Module:
    return Classifier(
        16,
        *(nn.Conv2d(3, 8, 4, stride=4), ConvNextBlock(8), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.Hardswish(), Excited(16)),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
    )


def quantised() -> nn.Module:
    """Scales whose multiples hit no boundary between two steps, where rounding is ambiguous."""
    return Classifier(
        16,
        *(Quantised(3, 8, 0.02, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(Quantised(8, 12, 0.01, padding=1, bias=False), nn.ReLU()),
        *(Quantised(12, 16, 0.0137, padding=1), nn.ReLU()),
    )


def shapes() -> Net:
    """The example network, whose trained weights are read from its file."""
    sys.path.insert(0, str(EXAMPLES))
    from shapes_net import ShapeNet

    net, model = ShapeNet(), onnx.load(EXAMPLES / "shapes.onnx")
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weights = {n: torch.from_numpy(v.copy()) for n, v in values.items() if n in net.state_dict()}
    missing = net.load_state_dict(weights, strict=False).missing_keys
    if any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError(f"examples/shapes.onnx has no {missing}")
    return Net("`examples/shapes.onnx`", net.eval(), model, (64, 64), "block2", overlaps=True)


def exported(
    name: str,
    module: nn.Module,
    size: tuple[int, int],
    layer: str,
    *,
    overlaps: bool = False,
    opset: int = 17,
) -> Net:
    """Return the network, with statistics as after training and dynamic sizes, and its export."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another exporter is the default
        torch.onnx.export(
            module.eval(),
            (torch.zeros(2, 3, *size),),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "N", 2: "H", 3: "W"}, "scores": {0: "N"}},
            training=torch.onnx.TrainingMode.PRESERVE,  # keeps BatchNormalization as a node
        )
    model = onnx.load_model_from_string(file.getvalue())
    return Net(name, module, model, size, layer, overlaps)


def build() -> list[Net]:
    """Return all networks, the same at every call."""
    torch.manual_seed(0)
    return [
        exported("plain pools", plain(), (28, 25), "features.7"),
        exported("overlapping pools", overlapping(), (31, 28), "features.7", overlaps=True),
        exported("remainders", remainders(), (31, 28), "features.6"),
        exported("branches", branching(), (20, 16), "features.3"),
        exported("depthwise, dilated", mobile(), (32, 28), "features.10"),
        exported("groups, square", grouped(), (22, 18), "features.6"),
        exported("LayerNorm, GELU, Resize", modern(), (32, 24), "features.8", opset=20),
        exported("quantised (QDQ)", quantised(), (22, 18), "features.6", opset=20),
        shapes(),
    ]
