"""Where the numbers of one window of a classifier lie, when the network slides over a picture.

The tensor that had a row [C, h, w], or one flattened, or a vector, for each window becomes one map
[N, C, Y, X] for all windows: the window at position p reads p to p + h of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_constant

__all__ = [
    "Index",
    "Placed",
    "Slide",
    "as_map",
    "as_weight",
    "constant_value",
    "map_shape",
    "merged",
    "per_channel",
    "refuse",
    "row_shape",
]

Index = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Placed:
    """A tensor of the classifier, as the sliding network has it.

    tensor: the map [N, channels, ...]. window: how many of its positions one window of the picture
    reads on each axis. stride: how many pixels two neighbouring positions are apart.
    index: of the classifier's shape without the batch, which element of [channels, *window] stands
    there; None where it is that array itself.
    """

    tensor: Tensor
    channels: int
    window: tuple[int, ...]
    stride: tuple[int, ...]
    index: Index | None = None

    @property
    def positions(self) -> int:
        """How many positions one window has."""
        return math.prod(self.window)

    @property
    def order(self) -> Index:
        """The index, written out."""
        if self.index is not None:
            return self.index
        size = self.channels * self.positions
        return np.arange(size, dtype=np.int32).reshape(self.channels, *self.window)

    def at(self, tensor: Tensor) -> Placed:
        """Return what is placed alike in another tensor."""
        return replace(self, tensor=tensor)

    def ordered(self, index: Index) -> Placed:
        """Return the same map, read in another order."""
        plain = replace(self, index=None)
        made = replace(self, index=index)
        is_plain = index.shape == (self.channels, *self.window) and made.counts()
        return plain if is_plain else made

    def counts(self) -> bool:
        """Tell whether its values, read row by row, are in the order of [channels, *window]."""
        return self.index is None or bool((self.index.ravel() == np.arange(self.index.size)).all())

    def is_readable(self) -> bool:
        """Tell whether the map is what one expects of an output: scores, or a layer's channels."""
        return self.index is None or (self.positions == 1 and self.counts())

    def has_channels_first(self) -> bool:
        """Tell whether axis 1 counts the channels, whatever became of the others."""
        return self.order.shape[:1] == (self.channels,) and self.counts()


@dataclass
class Slide:
    """What is known so far: where each tensor lies, by its old name, and which nodes pad."""

    op: Emitter
    placed: dict[str, Placed] = field(default_factory=dict)
    padded: list[str] = field(default_factory=list)

    def data(self, node: Node) -> Placed:
        """Return the node's first input, the only one that may slide."""
        if [t.name in self.placed for t in node.inputs] != [True] + [False] * (
            len(node.inputs) - 1
        ):
            refuse(node, "takes its weights from the picture")
        return self.placed[node.inputs[0].name]


def refuse(node: Node, why: str) -> NoReturn:
    """Raise UnsupportedModel, saying what can be done instead."""
    raise UnsupportedModel(
        f"{node.op} '{node.name}' {why}, so the network cannot slide over a larger picture in one "
        "run: cut windows of the network's size out of the picture and classify each"
    )


def as_map(op: Emitter, node: Node, x: Placed) -> Tensor:
    """Return the map for a node that takes [N, C, ...], its channels brought into order."""
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
    """Return a constant beside `x` as [C, 1, ...], or as a scalar where it is one number."""
    if values.size == 1:
        return values.reshape(())
    order = x.order
    try:
        spread = np.broadcast_to(values, (1, *order.shape)).ravel()
    except ValueError:
        refuse(node, f"takes a constant of shape {list(values.shape)}, another one for each row")
    by_position = np.empty(order.size, values.dtype)
    by_position[order.ravel()] = spread
    by_position = by_position.reshape(x.channels, x.positions)
    if not (by_position == by_position[:, :1]).all():
        refuse(node, "takes a constant that differs between the positions of a window")
    return by_position[:, 0].reshape(x.channels, *[1] * len(x.window))


def merged(node: Node, placed: list[Placed]) -> Placed:
    """Return how the result of an elementwise operator lies. Raises UnsupportedModel."""
    first = placed[0]
    for other in placed[1:]:
        if (other.window, other.stride) != (first.window, first.stride):
            refuse(
                node,
                "brings together what belongs to a whole window and what belongs to its single "
                "positions, as squeeze-and-excitation does",
            )
        both_plain = other.index is None and first.index is None
        alike = both_plain or np.array_equal(other.order, first.order)
        if other.channels != first.channels or not alike:
            refuse(node, "brings together values in different orders")
    return first


def row_shape(node: Node, tensor: Tensor, size: int) -> tuple[int, ...]:
    """Return a tensor's shape without its batch, where one image has `size` values."""
    row = list((tensor.shape or [])[1:])
    unknown = [i for i, n in enumerate(row) if not isinstance(n, int)]
    known = math.prod(n for n in row if isinstance(n, int))
    if len(unknown) == 1 and known and size % known == 0:
        row[unknown[0]] = size // known
        known = size
    if tensor.shape is None or len(unknown) > 1 or known != size:
        refuse(node, "mixes the images of a batch, or gives a shape that is not known")
    return tuple(row)


def map_shape(node: Node) -> tuple[int, ...]:
    """Return [C, h, w] of the node's output. Raises UnsupportedModel where it is not known."""
    row = (node.outputs[0].shape or [None])[1:]
    if not row or not all(isinstance(n, int) for n in row):
        refuse(node, "gives a size that is not known")
    return tuple(row)


def constant_value(tensor: Tensor) -> npt.NDArray[np.generic] | None:
    """Return a weight that stands in the file, perhaps behind what only moves it."""
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
    return value.reshape(shape) if all(isinstance(n, int) for n in shape) else None
