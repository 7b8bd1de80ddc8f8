"""Small nets of the families whose last layer with places is no plain convolution's output.

Each has a non-square picture, a module `classifier` whose output is the class score, and the layer
over which people draw its class activation map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from blocks import SqueezeExcite
from nets import in_sequence
from torch import nn

CLASSES, WIDTH, PATCH = 5, 16, 8
SIZE = (40, 24)
GRID = (5, 3)


@dataclass(frozen=True)
class MapNet:
    """How to make a net, the module that the map lies over, and how its output is a map.

    to_map: turns the module's output, as an array, into [B, channels, height, width].
    """

    make: Callable[[], nn.Module]
    module: str
    to_map: Callable[[np.ndarray], np.ndarray] = lambda values: values
    size: tuple[int, int] = SIZE


def build(name):
    """Return a net of `MAP_NETS` in evaluation mode, its parameters random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = MAP_NETS[name].make()
        for parameter in net.parameters():
            if parameter.ndim == 1:
                nn.init.normal_(parameter, mean=0.5, std=0.5)
    return net.eval()


class Attention(nn.Module):
    """Attention of two heads, whose queries, keys and values come from one projection."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        rows, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(rows, tokens, 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(rows, tokens, WIDTH))


class TorchAttention(nn.Module):
    """Attention as torchvision's vision transformer has it, with the tokens on axis 0 inside."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Block(nn.Module):
    """A transformer's block, with or without windows of 5 x 3 places that are rolled."""

    def __init__(self, attention=Attention, shift=None):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn, self.shift = attention(), shift
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 24), nn.GELU(), nn.Linear(24, WIDTH))

    def forward(self, x):
        x = x + (self.attn if self.shift is None else self.in_windows)(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def in_windows(self, x):
        rows, height, width, _ = x.shape
        x = x.roll((-self.shift, -self.shift), (1, 2))
        windows = x.view(rows, height // 5, 5, width // 3, 3, WIDTH).permute(0, 1, 3, 2, 4, 5)
        mixed = self.attn(windows.reshape(-1, 15, WIDTH))
        mixed = mixed.view(rows, height // 5, width // 3, 5, 3, WIDTH).permute(0, 1, 3, 2, 4, 5)
        return mixed.reshape(rows, height, width, WIDTH).roll((self.shift, self.shift), (1, 2))


class VisionTransformer(nn.Module):
    """Tokens of patches behind `extra` others. read: how many of these are read, 0 for the mean."""

    def __init__(self, extra=1, read=1, attention=Attention):
        super().__init__()
        self.extra, self.read = extra, read
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.tokens = nn.Parameter(torch.randn(1, extra, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, extra + GRID[0] * GRID[1], WIDTH))
        self.blocks = nn.Sequential(*(Block(attention) for _ in range(3)))
        self.norm = nn.LayerNorm(WIDTH)
        self.classifier = nn.Linear(max(self.read, 1) * WIDTH, CLASSES)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.extra:
            x = torch.cat([self.tokens.expand(x.shape[0], -1, -1), x], 1)
        x = self.blocks(x + self.positions)
        if not self.read:
            return self.classifier(x[:, self.extra :].mean(1))
        x = self.norm(x)
        return self.classifier(torch.cat([x[:, i] for i in range(self.read)], 1))


class ClassAttention(nn.Module):
    """The class token joins late, and reads the same tokens of patches twice, as in CaiT."""

    def __init__(self):
        super().__init__()
        self.patches, self.blocks = nn.Conv2d(3, WIDTH, PATCH, PATCH), nn.Sequential(Block())
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.readers = nn.ModuleList([Attention(), Attention()])
        self.norm, self.classifier = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.blocks(self.patches(x).flatten(2).transpose(1, 2))
        token = self.token.expand(x.shape[0], -1, -1)
        for reader in self.readers:
            token = token + reader(torch.cat([token, x], 1))[:, :1]
        return self.classifier(self.norm(torch.cat([token, x], 1))[:, 0])


class Swin(nn.Module):
    """Windows of places in [N, H, W, C], patches that are merged, a norm before the mean."""

    def __init__(self):
        super().__init__()
        self.patches, self.merge = nn.Conv2d(3, 4, 2, 2), nn.Linear(16, WIDTH)
        self.blocks = nn.Sequential(Block(shift=0), Block(shift=2))
        self.norm, self.classifier = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.patches(x).permute(0, 2, 3, 1)
        x = torch.cat([x[:, i::2, j::2] for j in range(2) for i in range(2)], -1)
        x = self.norm(self.blocks(self.merge(x)))
        return self.classifier(x.permute(0, 3, 1, 2).mean((2, 3)))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, *modules):
        super().__init__()
        self.inner = nn.Sequential(*modules)

    def forward(self, x):
        return x + self.inner(x)


class PoolMixer(nn.Module):
    """What pooling changes, as in PoolFormer."""

    def forward(self, x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) - x


class Fire(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 4, 1)
        self.expand1, self.expand3 = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1(x)), F.relu(self.expand3(x))], 1)


def convnext():
    """A LayerNormalization behind the pooling."""
    mlp = [nn.Conv2d(WIDTH, 24, 1), nn.GELU(), nn.Conv2d(24, WIDTH, 1)]
    block = [nn.Conv2d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH), LayerNorm2d(WIDTH), *mlp]
    return in_sequence(
        stem=nn.Sequential(nn.Conv2d(3, WIDTH, 4, 4), LayerNorm2d(WIDTH)),
        stage=Residual(*block),
        pool=nn.AdaptiveAvgPool2d(1),
        norm=LayerNorm2d(WIDTH),
        flat=nn.Flatten(),
        classifier=nn.Linear(WIDTH, CLASSES),
    )


def poolformer():
    norm = nn.GroupNorm(1, WIDTH)
    mlp = [nn.Conv2d(WIDTH, 24, 1), nn.GELU(), nn.Conv2d(24, WIDTH, 1)]
    return in_sequence(
        stem=nn.Conv2d(3, WIDTH, 7, 4, 2),
        stage=nn.Sequential(Residual(norm, PoolMixer()), Residual(nn.GroupNorm(1, WIDTH), *mlp)),
        pool=nn.AdaptiveAvgPool2d(1),
        norm=LayerNorm2d(WIDTH),
        flat=nn.Flatten(),
        classifier=nn.Linear(WIDTH, CLASSES),
    )


def squeezenet():
    """The class convolution comes before the pooling."""
    return in_sequence(
        stem=nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        features=nn.Sequential(Fire(8), Fire(16)),
        drop=nn.Dropout(0.5),
        head=nn.Sequential(nn.Conv2d(16, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        classifier=nn.Flatten(),
    )


def efficientnet():
    """SiLU, a gate, and convolutions behind the pooling."""
    return in_sequence(
        stem=nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.SiLU(), SqueezeExcite(8)),
        features=nn.Sequential(nn.Conv2d(8, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.SiLU()),
        pool=nn.AdaptiveAvgPool2d(1),
        head=nn.Sequential(nn.Conv2d(WIDTH, 20, 1), nn.Hardswish(), nn.Flatten()),
        classifier=nn.Linear(20, CLASSES),
    )


def tokens(extra):
    """Return how the tokens behind `extra` others are a map."""

    def to_map(values):
        rows = len(values)
        return values[:, extra:].reshape(rows, *GRID, WIDTH).transpose(0, 3, 1, 2)

    return to_map


def channels_last(values):
    return values.transpose(0, 3, 1, 2)


LAST = "blocks.2.norm1"
MAP_NETS = {
    "vit": MapNet(VisionTransformer, LAST, tokens(1)),
    "vit of torch": MapNet(lambda: VisionTransformer(attention=TorchAttention), LAST, tokens(1)),
    "deit": MapNet(lambda: VisionTransformer(2, 2), LAST, tokens(2)),
    "vit with registers": MapNet(lambda: VisionTransformer(4), LAST, tokens(4)),
    "vit without token": MapNet(lambda: VisionTransformer(0, 0), "blocks.2", tokens(0)),
    "vit, mean beside registers": MapNet(lambda: VisionTransformer(3, 0), "blocks.2", tokens(3)),
    "cait": MapNet(ClassAttention, "blocks", tokens(0)),
    "swin": MapNet(Swin, "blocks", channels_last),
    "convnext": MapNet(convnext, "stage"),
    "poolformer": MapNet(poolformer, "stage"),
    "squeezenet": MapNet(squeezenet, "features"),
    "efficientnet": MapNet(efficientnet, "features"),
}  # fmt: skip
