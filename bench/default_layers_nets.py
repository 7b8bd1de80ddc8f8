"""The networks of `default_layers.py`, and what their libraries call the last stage."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torch.nn.functional as F
import torchvision
from parity_nets import FAMILIES, draw_weights
from torch import nn

__all__ = ["NETS", "Net", "build", "stage_values"]


@dataclass(frozen=True)
class Net:
    """A network of torchvision or timm.

    stage: the module whose output the map lies over, None where there is no default. rectified:
    whether a functional ReLU follows it.
    """

    family: str
    name: str
    side: int
    options: dict[str, Any]
    stage: str | None
    rectified: bool = False
    library: str = "torchvision"


# What torchvision calls the last stage; the networks of segmentation have none.
STAGES = {
    "AlexNet": "features", "VGG": "features", "ResNet": "layer4", "ResNeXt": "layer4",
    "Wide ResNet": "layer4", "DenseNet": "features", "Inception": "Mixed_7c",
    "GoogLeNet": "inception5b", "SqueezeNet": "features", "MobileNet v2": "features",
    "MobileNet v3": "features", "MNASNet": "layers", "ShuffleNet v2": "conv5",
    "EfficientNet": "features", "EfficientNet v2": "features", "RegNet": "trunk_output",
    "ConvNeXt": "features", "ViT": "encoder.layers.encoder_layer_11.ln_1", "Swin": "features",
}  # fmt: skip
RECTIFIED = ("DenseNet",)
# The adaptive pools of AlexNet and VGG change nothing at 224 pixels, and Inception's last stage has
# more than one place from 107 pixels on.
SIDES = {"AlexNet": 224, "VGG": 224, "Inception": 160}

TIMM = (
    Net("PoolFormer", "poolformer_s12", 64, {}, "stages", library="timm"),
    Net("EdgeNeXt", "edgenext_xx_small", 64, {}, "stages", library="timm"),
    Net("ConvNeXt", "convnext_atto", 64, {}, "stages", library="timm"),
    Net("Swin", "swin_tiny_patch4_window7_224", 224, {}, "layers", library="timm"),
    Net("ViT", "vit_tiny_patch16_224", 64, {"img_size": 64}, "blocks.11.norm1", library="timm"),
    Net("DeiT", "deit_tiny_distilled_patch16_224", 64, {"img_size": 64}, "blocks.11.norm1",
        library="timm"),
    Net("MobileViT", "mobilevit_xxs", 64, {}, "final_conv", library="timm"),
    Net("GhostNet", "ghostnet_100", 64, {}, "blocks", library="timm"),
    Net("MixNet", "mixnet_s", 64, {}, "bn2", library="timm"),
    Net("ResNet-D", "resnet26d", 64, {}, "layer4", library="timm"),
    Net("RepVGG", "repvgg_a0", 64, {}, "stages", library="timm"),
)  # fmt: skip

NETS = [
    Net(
        family,
        net.name,
        SIDES.get(family, net.side),
        net.options,
        STAGES.get(family),
        family in RECTIFIED,
    )
    for family, sizes in FAMILIES.items()
    for net in sizes
    if "width_mult" not in net.options
] + list(TIMM)


class Probabilities(nn.Module):
    """A network with a softmax behind it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(x).softmax(1)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores, of segmentation without its auxiliary output."""
        y = self.network(x)
        scores: torch.Tensor = y["out"] if isinstance(y, dict) else y
        return scores


def build(net: Net) -> Probabilities:
    """Return the network with random weights, scaled as after training."""
    torch.manual_seed(zlib.crc32(net.name.encode()))
    if net.library == "timm":
        module: nn.Module = timm.create_model(net.name, pretrained=False, **net.options)
    else:
        module = torchvision.models.get_model(net.name, weights=None, **net.options)
    draw_weights(module, net.side)
    return Probabilities(module).eval()


def stage_values(module: Probabilities, net: Net, x: torch.Tensor) -> dict[str, Any]:
    """Return the class scores and the output of the last stage."""
    kept: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: torch.Tensor) -> None:
        kept.append(output.clone())  # the network may change it in place

    if net.stage is not None:
        module.network.get_submodule(net.stage).register_forward_hook(keep)
    with torch.no_grad():
        values = {"score": module.scores(x).numpy()}
    if kept:
        values["stage"] = (F.relu(kept[0]) if net.rectified else kept[0]).numpy()
    return values
