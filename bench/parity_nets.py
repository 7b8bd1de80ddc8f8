"""The networks of `parity.py`: torchvision's CNNs, with random weights scaled as after training."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from parity_kinks import leave_kinks
from torch import nn
from torchvision.models import VGG, AlexNet
from torchvision.models.regnet import ResBottleneckBlock
from torchvision.models.resnet import BasicBlock, Bottleneck

__all__ = ["FAMILIES", "Net", "build", "draw_weights", "inputs", "others"]


@dataclass(frozen=True)
class Net:
    """A torchvision network, the side of its images, and a layer near its middle.

    AlexNet and VGG average over 6x6 and 7x7 windows, which the TorchScript exporter writes only for
    maps of a multiple of that, from about 224 pixels on. Here the same averages are matrix
    products, which both exporters write for any side.
    """

    name: str
    middle: str
    side: int = 64
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.name + "".join(f" {k}={v}" for k, v in self.options.items() if k in SHOWN)


SHOWN = ("width_mult",)
INPUTS = 5
WEAK = 0.1  # scale of a residual branch relative to the tensor it is added to
NO_BACKBONE: dict[str, Any] = {"weights_backbone": None}
NO_AUX: dict[str, Any] = {"aux_logits": False, "init_weights": False}

FAMILIES = {
    "AlexNet": [Net("alexnet", "features.8")],
    "VGG": [Net("vgg11", "features.8"), Net("vgg13_bn", "features.19")],
    "ResNet": [Net("resnet18", "layer2"), Net("resnet50", "layer2"), Net("resnet101", "layer3")],
    "ResNeXt": [Net("resnext50_32x4d", "layer2"), Net("resnext101_32x8d", "layer2")],
    "Wide ResNet": [Net("wide_resnet50_2", "layer2"), Net("wide_resnet101_2", "layer2")],
    "DenseNet": [
        Net("densenet121", "features.denseblock2"),
        Net("densenet169", "features.denseblock3"),
    ],
    "Inception": [Net("inception_v3", "Mixed_5d", 96, NO_AUX)],
    "GoogLeNet": [Net("googlenet", "inception4a", 64, NO_AUX)],
    "SqueezeNet": [Net("squeezenet1_1", "features.6"), Net("squeezenet1_0", "features.7")],
    "MobileNet v2": [
        Net("mobilenet_v2", "features.7"),
        Net("mobilenet_v2", "features.7", 64, {"width_mult": 0.5}),
    ],
    "MobileNet v3": [
        Net("mobilenet_v3_small", "features.6"),
        Net("mobilenet_v3_large", "features.10"),
    ],
    "MNASNet": [Net("mnasnet0_5", "layers.10"), Net("mnasnet1_0", "layers.10")],
    "ShuffleNet v2": [Net("shufflenet_v2_x0_5", "stage3"), Net("shufflenet_v2_x1_0", "stage3")],
    "EfficientNet": [Net("efficientnet_b0", "features.4"), Net("efficientnet_b1", "features.4")],
    "EfficientNet v2": [
        Net("efficientnet_v2_s", "features.4"),
        Net("efficientnet_v2_m", "features.4"),
    ],
    "RegNet": [
        Net("regnet_y_400mf", "trunk_output.block2"),
        Net("regnet_x_400mf", "trunk_output.block2"),
        Net("regnet_y_1_6gf", "trunk_output.block3"),
        Net("regnet_x_1_6gf", "trunk_output.block3"),
    ],
    "ConvNeXt": [Net("convnext_tiny", "features.3"), Net("convnext_small", "features.5")],
    "FCN": [
        Net("fcn_resnet50", "backbone.layer2", 64, NO_BACKBONE),
        Net("fcn_resnet101", "backbone.layer2", 64, NO_BACKBONE),
    ],
    "DeepLab v3": [
        Net("deeplabv3_mobilenet_v3_large", "backbone.6", 64, NO_BACKBONE),
        Net("deeplabv3_resnet50", "backbone.layer2", 64, NO_BACKBONE),
    ],
    "LR-ASPP": [Net("lraspp_mobilenet_v3_large", "backbone.6", 64, NO_BACKBONE)],
    "ViT": [Net("vit_b_32", "encoder.layers.encoder_layer_5", 64, {"image_size": 64})],
    "Swin": [
        Net("swin_t", "features.3"),
        Net("swin_v2_t", "features.3"),
        Net("swin_s", "features.5"),
    ],
}


def others() -> list[str]:
    """Return the names of torchvision's other networks that classify or segment images."""
    names = torchvision.models.list_models(module=torchvision.models)
    names += torchvision.models.list_models(module=torchvision.models.segmentation)
    run = {net.name for sizes in FAMILIES.values() for net in sizes}
    return [name for name in names if name not in run]


def build(net: Net) -> nn.Module:
    """Return the network in evaluation mode, with weights drawn from a seed of its own.

    Normalisation keeps activations alive at any depth; networks without it get He initialisation.
    Weights that PyTorch initialises to zero, so that no signal would pass, are drawn too. Residual
    branches are weak and BatchNorm statistics are those of data, as after training. On the inputs
    of the comparison, no rectifier is at its kink.
    """
    torch.manual_seed(zlib.crc32(net.label.encode()))
    module: nn.Module = torchvision.models.get_model(net.name, weights=None, **net.options)
    if isinstance(module, AlexNet | VGG):
        size = module.features(torch.zeros(1, 3, net.side, net.side)).shape[-1]
        module.avgpool = _Averages(size, module.avgpool.output_size[0])
    draw_weights(module, net.side)
    leave_kinks(module, inputs(net)[:, 0])
    return module


def draw_weights(module: nn.Module, side: int) -> None:
    """Draw a network's weights as `build` describes, without moving rectifiers off their kinks."""
    module.eval().requires_grad_(False)
    normalised = any(isinstance(m, nn.BatchNorm2d | nn.LayerNorm) for m in module.modules())
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and not normalised:
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            nn.init.normal_(part.bias, std=0.05)
        if isinstance(part, nn.Linear) and not part.weight.any():  # ViT's head
            nn.init.normal_(part.weight, std=0.02)
        if isinstance(part, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0, 0.2)
        if isinstance(getattr(part, "layer_scale", None), nn.Parameter):  # ConvNeXt's, 1e-6
            nn.init.uniform_(part.layer_scale, 0.1, 0.5)
    _weaken_branches(module)
    _learn_statistics(module, side)


def inputs(net: Net) -> torch.Tensor:
    """Return the network's random images [INPUTS, 1, 3, side, side], float32."""
    torch.manual_seed(1)
    return torch.randn(INPUTS, 1, 3, net.side, net.side)


class _Averages(nn.Module):
    """Average a map of `size` by `size` as nn.AdaptiveAvgPool2d does, by two matrix products."""

    def __init__(self, size: int, pooled: int) -> None:
        super().__init__()
        self.register_buffer("across", F.adaptive_avg_pool1d(torch.eye(size)[None], pooled)[0])
        self.register_buffer("down", self.across.T.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down @ x @ self.across


def _weaken_branches(module: nn.Module) -> None:
    """Scale down the last BatchNorm of every residual branch.

    Training does so too: it starts best from a gain of zero (Goyal et al. 2017,
    https://arxiv.org/abs/1706.02677, section 5.1), so that each block is a small step. With random
    gains, a branch is as strong as its shortcut, and a hundred such layers are chaotic: a single
    unit that flips causes an error of 3e-2 in PyTorch's own float32, a bound that would hide all
    other errors.
    """
    for block in module.modules():
        if not _adds(block):
            continue
        *_, last = (
            part
            for name, part in block.named_modules()
            if isinstance(part, nn.BatchNorm2d) and not name.startswith(("downsample", "proj"))
        )
        last.weight.mul_(WEAK)
        last.bias.mul_(WEAK)


def _adds(block: nn.Module) -> bool:
    """Return whether the block adds its input, or a projection of it, to its branch."""
    if isinstance(block, BasicBlock | Bottleneck | ResBottleneckBlock):
        return True
    return any(getattr(block, flag, False) for flag in ("use_res_connect", "apply_residual"))


def _learn_statistics(module: nn.Module, side: int) -> None:
    """Give every BatchNorm the statistics of some random batches, averaged as in training."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over the batches
        norm.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(8, 3, side, side))
    module.eval()
