"""The example network: small, but with the building blocks of real ones.

BatchNorm after each convolution, an overlapping max-pool and a plain one, residual Adds, an
inception-like Concat, a strided convolution, a global average and a Gemm.
"""

import torch
from shapes_data import CLASSES
from torch import Tensor, nn

__all__ = ["ShapeNet"]


class ConvBlock(nn.Module):
    """Convolution, BatchNorm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H, W]."""
        return self.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Two convolutions beside a 1x1 shortcut, added (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu2(y + self.shortcut(x))


class Mixed(nn.Module):
    """Kernels of 1, 3 and 5 side by side, concatenated (Szegedy et al. 2015)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch1 = ConvBlock(inputs, 16, 1)
        self.branch3 = ConvBlock(inputs, 32, 3)
        self.branch5 = ConvBlock(inputs, 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, 64, H, W]."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x)], dim=1)


class ShapeNet(nn.Module):
    """Pictures [N, 3, 64, 64] to the classes' scores [N, 8], before any Softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBlock(3, 16, 7)
        with torch.no_grad():  # from a smooth start, training gives readable first filters
            smooth = nn.functional.avg_pool2d(self.stem.conv.weight, 3, stride=1, padding=1)
            self.stem.conv.weight.copy_(smooth)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)  # its windows overlap
        self.block1 = Residual(16, 32)
        self.pool2 = nn.MaxPool2d(2, stride=2)
        self.mixed = Mixed(32)
        self.block2 = Residual(64, 96, stride=2)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(96, len(CLASSES))

    def forward(self, image: Tensor) -> Tensor:
        """The scores [N, 8] of `image` [N, 3, 64, 64], already preprocessed."""
        x = self.pool1(self.stem(image))
        x = self.pool2(self.block1(x))
        x = self.block2(self.mixed(x))
        return self.head(self.flatten(self.average(x)))
