"""Networks of several inputs, and of one image without a batch axis, with PyTorch's gradients."""

import torch
from torch import nn

EXPORTERS = ("torchscript", "dynamo")


class Metadata(nn.Module):
    """Classes of an image and five numbers about it, which gate each other."""

    names = ("image", "numbers")

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.dense, self.head = nn.Linear(5, 8), nn.Linear(16, 4)

    def forward(self, image, numbers):
        seen = torch.relu(self.second(torch.relu(self.first(image)))).mean((2, 3))
        told = torch.relu(self.dense(numbers))
        return self.head(torch.cat([seen * told, told], 1))


class Twins(nn.Module):
    """How alike two pictures are, by one set of weights."""

    names = ("left", "right")

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3), nn.ReLU()
        )

    def forward(self, left, right):
        return (self.body(left) * self.body(right)).mean((2, 3))


class OneImage(nn.Module):
    """Takes one image [3, H, W], and gives its layers and classes a batch axis of 1."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1)
        )
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        return self.head(torch.relu(self.body(((x - 0.1) / 0.3)[None])).mean((2, 3)))


class OneImageToClasses(OneImage):
    """Gives its classes without a batch axis."""

    def forward(self, x):
        return super().forward(x)[0]


class NoBatchAtAll(OneImage):
    """No layer has a batch axis."""

    def forward(self, x):
        return self.head(torch.relu(self.body(x)).mean((1, 2)))


def gradients(net, inputs, score):
    """Return the gradients of a score of the output with respect to each input, as arrays."""
    inputs = [torch.as_tensor(x).clone().requires_grad_() for x in inputs]
    found = torch.autograd.grad(score(net(*inputs)), inputs, allow_unused=True)
    return [None if g is None else g.numpy() for g in found]
