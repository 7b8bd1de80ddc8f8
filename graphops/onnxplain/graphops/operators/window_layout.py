"""The layout of a classifier's window in the maps of its fully convolutional network.

A tensor with values [C, h, w] for one window, perhaps flattened, becomes one map [N, C, Y, X] for
all windows: the window at position p reads positions p to p + h of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_constant, is_static

__all__ = [
    "Index", "Placed", "Slide", "as_map", "as_weight", "constant_value", "map_shape", "merged",
    "per_channel", "refuse", "row_shape",
]  # fmt: skip

Index = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Placed:
    """The layout of one of the classifier's tensors in the fully convolutional network.

    tensor: the map [N, channels, ...]. window: the number of its positions that one window of the
    picture reads on each axis. stride: the pixels between two neighbouring positions. index: for
    each element of the classifier's tensor, without its batch axis, the number of the element of
    [channels, *window] that it is; None where the two arrays are the same.
    """

    tensor: Tensor
    channels: int
    window: tuple[int, ...]
    stride: tuple[int, ...]
    index: Index | None = None

    @property
    def positions(self) -> int:
        """The number of positions in one window."""
        return math.prod(self.window)

    @property
    def order(self) -> Index:
        """The index as an array, also where it is None."""
        if self.index is not None:
            return self.index
        size = self.channels * self.positions
        return np.arange(size, dtype=np.int32).reshape(self.channels, *self.window)

    def at(self, tensor: Tensor) -> Placed:
        """Return the same layout of another tensor."""
        return replace(self, tensor=tensor)

    def ordered(self, index: Index) -> Placed:
        """Return the layout of the same map with another index."""
        indexed = replace(self, index=index)
        is_plain = index.shape == (self.channels, *self.window) and indexed.counts()
        return replace(self, index=None) if is_plain else indexed

    def counts(self) -> bool:
        """Tell whether its values, flattened, are in the order of [channels, *window]."""
        return self.index is None or bool((self.index.ravel() == np.arange(self.index.size)).all())

    def is_readable(self) -> bool:
        """Tell whether the map can be an output as it is: scores, or a layer's channels."""
        return self.index is None or (self.positions == 1 and self.counts())

    def has_channels_first(self) -> bool:
        """Tell whether axis 1 is the channel axis, whatever the others are."""
        return self.order.shape[:1] == (self.channels,) and self.counts()


@dataclass
class Slide:
    """The conversion so far: the layout of each tensor, by its old name, and the nodes that pad."""

    op: Emitter
    placed: dict[str, Placed] = field(default_factory=dict)
    padded: list[str] = field(default_factory=list)

    def data(self, node: Node) -> Placed:
        """Return the layout of the node's first input, the only one that may be a map."""
        first, *others = (t.name in self.placed for t in node.inputs)
        if not first or any(others):
            refuse(node, "takes its weights from the picture")
        return self.placed[node.inputs[0].name]


def refuse(node: Node, why: str) -> NoReturn:
    """Raise UnsupportedModel with the reason and what can be done instead."""
    raise UnsupportedModel(
        f"{node.op} '{node.name}' {why}, so the network cannot slide over a larger picture in one "
        "run: cut windows of the network's size out of the picture and classify each"
    )


def as_map(op: Emitter, node: Node, x: Placed) -> Tensor:
    """Return the map for a node that takes [N, C, ...], with its channels in order."""
    if x.index is None:
        return x.tensor
    if x.index.shape == (x.channels, *x.window):
        channels = x.index.reshape(x.channels, -1)[:, 0] // x.positions
        if np.array_equal(x.index, replace(x, index=None).order[channels]):
            return op.raw("Gather", x.tensor, channels.tolist(), axis=1)
    refuse(node, "reads a window's values in another order than channels, rows, columns")


def as_weight(node: Node, x: Placed, weight: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return a dense layer's weight [inputs, outputs] as a kernel [outputs, channels, *window]."""
    order = x.order
    inputs, outputs = weight.shape
    if order.size != inputs or order.shape[-1] != inputs:
        refuse(node, "does not read the whole window as one vector")
    kernel = weight.T
    if not x.counts():
        kernel = np.empty((outputs, inputs), weight.dtype)
        kernel[:, order.ravel()] = weight.T
    return kernel.reshape(outputs, x.channels, *x.window)


def per_channel(node: Node, x: Placed, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return a constant operand beside `x` as [C, 1, ...], or as a scalar if it is one number."""
    if values.size == 1:
        return values.reshape(())
    order = x.order
    try:
        spread = np.broadcast_to(values, (1, *order.shape)).ravel()
    except ValueError:
        refuse(node, f"takes a constant of shape {list(values.shape)}, not one per image")
    by_position = np.empty(order.size, values.dtype)
    by_position[order.ravel()] = spread
    by_position = by_position.reshape(x.channels, x.positions)
    if not (by_position == by_position[:, :1]).all():
        refuse(node, "takes a constant that differs between the positions of a window")
    return by_position[:, 0].reshape(x.channels, *[1] * len(x.window))


def merged(node: Node, placed: list[Placed]) -> Placed:
    """Return the layout that an elementwise operator's inputs share. Raises UnsupportedModel."""
    first = placed[0]
    for other in placed[1:]:
        if (other.window, other.stride) != (first.window, first.stride):
            refuse(
                node,
                "combines values of a whole window with values of its positions, as "
                "squeeze-and-excitation does",
            )
        both_plain = other.index is None and first.index is None
        alike = both_plain or np.array_equal(other.order, first.order)
        if other.channels != first.channels or not alike:
            refuse(node, "combines values in different orders")
    return first


def row_shape(node: Node, tensor: Tensor, size: int) -> tuple[int, ...]:
    """Return a tensor's shape without its batch axis, for `size` values in one image."""
    row = list((tensor.shape or [])[1:])
    unknown = [i for i, n in enumerate(row) if not isinstance(n, int)]
    known = math.prod(n for n in row if isinstance(n, int))
    if len(unknown) == 1 and known and size % known == 0:
        row[unknown[0]] = size // known
        known = size
    if tensor.shape is None or known != size or not is_static(row):
        refuse(node, "mixes the images of a batch, or has an output of unknown shape")
    return tuple(row)


def map_shape(node: Node) -> tuple[int, ...]:
    """Return [C, h, w] of the node's output. Raises UnsupportedModel where it is not known."""
    row = (node.outputs[0].shape or [None])[1:]
    if not row or not is_static(row):
        refuse(node, "has an output of unknown size")
    return tuple(row)


def constant_value(tensor: Tensor) -> npt.NDArray[np.generic] | None:
    """Return a weight from the file, also through Identity, Reshape and Transpose."""
    if is_constant(tensor):
        return np.asarray(tensor.values)
    node = tensor.inputs[0] if len(tensor.inputs) == 1 else None
    if node is None or node.op not in ("Identity", "Reshape", "Transpose"):
        return None
    value = constant_value(node.inputs[0])
    if value is None or node.op == "Identity":
        return value
    if node.op == "Transpose":
        return value.transpose(node.attrs.get("perm"))
    shape = tensor.shape or [None]
    return value.reshape(shape) if is_static(shape) else None
