"""Small random networks, drawn by Hypothesis, as ONNX and as PyTorch at once.

A family is a table of functions by the operators they add to a `Drawing`.
"""

from random_networks import (
    along_axes,
    moving,
    picking,
    pointwise,
    products,
    resolution,
    windows,
)
from random_networks.network import Network, networks

__all__ = ["FAMILIES", "Network", "networks"]

_OPERATORS = pointwise.OPERATORS | along_axes.OPERATORS | moving.OPERATORS | windows.OPERATORS
# What most networks are made of has a family of its own, so that it comes up often.
_USUAL = ("Add", "BatchNormalization", "Concat", "Conv", "MaxPool", "Mul", "Relu", "Split")
FAMILIES = (
    {name: _OPERATORS[name] for name in _USUAL},
    pointwise.OPERATORS,
    along_axes.OPERATORS,
    moving.OPERATORS,
    picking.OPERATORS,
    windows.OPERATORS,
    products.OPERATORS,
    resolution.OPERATORS,
)
