"""Maps with a number, or with one per channel: BatchNormalization, squeeze-and-excitation."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, Tensor, is_fixed, known_number, known_value
from onnxplain.graphops.lowering.blocked import channels_of, repeated, scaled, sizes_of

__all__ = ["copies", "difference", "product", "quotient", "total"]


def product(op: Emitter, node: Node) -> Tensor | None:
    """Maps times a number; times a weight per channel; times one value per channel and image."""
    for g, factor in (node.inputs, node.inputs[::-1]):
        channels, sizes = channels_of(g), sizes_of(g)
        if channels is None or factor.dtype != np.float32:
            continue
        if is_fixed(factor) and _follows_convolution(g):
            return None  # runtimes put the factor into the convolution's weights
        number = known_number(factor)
        if number is not None:
            return scaled(op, g, number)
        shape = list(factor.shape or [])
        if is_fixed(factor) and shape in ([channels, 1, 1], [1, channels, 1, 1]):
            kernel = op.Reshape(factor, [channels, 1, 1, 1])
            return op.Conv(g, kernel, group=channels, kernel_shape=[1, 1])
        if channels_of(factor) == channels and sizes_of(factor) == [1, 1] != sizes is not None:
            return op.Mul(g, repeated(op, factor, sizes))
    return None


def quotient(op: Emitter, node: Node) -> Tensor | None:
    """Maps divided by a number."""
    x, number = node.inputs[0], known_number(node.inputs[1])
    return None if channels_of(x) is None or not number else scaled(op, x, 1 / number)


def difference(op: Emitter, node: Node) -> Tensor | None:
    """A number less maps."""
    number, x = known_number(node.inputs[0]), node.inputs[1]
    return None if channels_of(x) is None or number is None else scaled(op, x, -1, number)


def total(op: Emitter, node: Node) -> Tensor | None:
    """The sum of maps over their positions: the mean, times the number of positions."""
    x, sizes = node.inputs[0], sizes_of(node.inputs[0])
    axes = known_value(node.inputs[1]) if len(node.inputs) > 1 else None
    if axes is None or sorted(axes.tolist()) != [2, 3] or not node.attrs.get("keepdims", 1):
        return None
    if channels_of(x) is None or sizes is None:
        return None
    mean = op.GlobalAveragePool(x)
    mean.shape = [*(x.shape or [])[:2], 1, 1]
    return scaled(op, mean, sizes[0] * sizes[1])


def copies(op: Emitter, node: Node) -> Tensor | None:
    """One value per channel and image, copied to all positions."""
    x, copied = node.inputs[0], node.outputs[0]
    sizes = sizes_of(copied)
    if channels_of(x) is None or sizes_of(x) != [1, 1] or sizes is None:
        return None
    batch, results = (x.shape or [1])[0], (copied.shape or [1])[0]
    if channels_of(x) != channels_of(copied) or (batch == 1 and results != 1):
        return None  # copied along the channels or the batch too
    return repeated(op, x, sizes)


def _follows_convolution(g: Tensor) -> bool:
    return bool(g.inputs) and g.inputs[0].op == "Conv" and len(g.outputs) == 1
