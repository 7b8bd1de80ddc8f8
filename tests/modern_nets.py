"""Small nets of the families with gates, spelled-out activations and normalisations.

Weights and statistics are random, and every part of a net has an effect on the score.
"""

import torch
from torch import nn

CLASSES = 5
SIZE = (32, 28)


class SqueezeExcitation(nn.Module):
    """Each channel times a gate that the means of all channels decide."""

    def __init__(self, channels, activation, gate):
        super().__init__()
        self.pool, self.fc1 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1)
        self.activation, self.fc2, self.gate = activation(), nn.Conv2d(4, channels, 1), gate()

    def forward(self, x):
        return x * self.gate(self.fc2(self.activation(self.fc1(self.pool(x)))))


class InvertedResidual(nn.Module):
    """x + project(se(depthwise(expand(x)))), with BatchNorm behind every Conv."""

    def __init__(self, channels, activation, squeeze):
        super().__init__()
        wide = 2 * channels
        self.expand = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), activation()
        )
        self.depthwise = nn.Sequential(
            nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            activation(),
        )
        self.squeeze = squeeze(wide)
        self.project = nn.Sequential(
            nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x):
        return x + self.project(self.squeeze(self.depthwise(self.expand(x))))


def _inverted(activation, squeeze):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        activation(),
        InvertedResidual(6, activation, squeeze),
        nn.Conv2d(6, 10, 1, bias=False),
        nn.BatchNorm2d(10),
        activation(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(10, CLASSES),
    )


def efficientnet():
    """SiLU, squeeze-and-excitation with SiLU and Sigmoid."""
    return _inverted(nn.SiLU, lambda c: SqueezeExcitation(c, nn.SiLU, nn.Sigmoid))


def efficientnet_without_gates():
    """As `efficientnet`, without squeeze-and-excitation."""
    return _inverted(nn.SiLU, lambda c: nn.Identity())


def mobilenet_v3():
    """Hard swish, squeeze-and-excitation with ReLU and hard sigmoid."""
    return _inverted(nn.Hardswish, lambda c: SqueezeExcitation(c, nn.ReLU, nn.Hardsigmoid))


def in_channels_last(compute, x):
    """Compute on [N, H, W, C] instead of [N, C, H, W]."""
    return compute(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """ConvNeXt's: depthwise Conv, LayerNorm and two Linears over channels, GELU, layer scale."""

    def __init__(self, channels):
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pw1, self.gelu = nn.Linear(channels, 2 * channels), nn.GELU()
        self.pw2 = nn.Linear(2 * channels, channels)
        self.scale = nn.Parameter(torch.rand(channels, 1, 1) + 0.2)

    def forward(self, x):
        inner = in_channels_last(lambda t: self.pw2(self.gelu(self.pw1(self.norm(t)))), self.dw(x))
        return x + self.scale * inner


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W]."""

    def forward(self, x):
        return in_channels_last(super().forward, x)


def convnext():
    """A patch stem, two blocks, a strided Conv between them, LayerNorm everywhere."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 4, stride=4),
        LayerNorm2d(6, eps=1e-6),
        Block(6),
        LayerNorm2d(6, eps=1e-6),
        nn.Conv2d(6, 8, 2, stride=2),
        Block(8),
        nn.AdaptiveAvgPool2d(1),
        LayerNorm2d(8, eps=1e-6),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


class UNet(nn.Module):
    """GroupNorm behind padded Convs, one skip connection, ConvTranspose up; a map of classes."""

    def __init__(self):
        super().__init__()
        self.down = _grouped(3, 6)
        self.pool, self.middle = nn.MaxPool2d(2), _grouped(6, 8)
        self.up, self.last = nn.ConvTranspose2d(8, 6, 2, stride=2), _grouped(12, 6)
        self.head = nn.Conv2d(6, CLASSES, 1)

    def forward(self, x):
        skip = self.down(x)
        return self.head(self.last(torch.cat([skip, self.up(self.middle(self.pool(skip)))], 1)))


def _grouped(channels, out):
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.GroupNorm(2, out), nn.ReLU())


NETS = {
    "convnext": convnext,
    "efficientnet": efficientnet,
    "mobilenet_v3": mobilenet_v3,
    "unet": UNet,
}


def build(make, seed=0):
    """Return a net with random weights and statistics, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make()
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.2)
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
                nn.init.normal_(module.weight, 1.2, 0.4)
                nn.init.normal_(module.bias, std=0.3)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
    return net.eval()
