"""The inputs that say which unit of the layer to explain, one function for each `select`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx_graphsurgeon as gs

from onnxplain.graphops.backward.seed import Unit
from onnxplain.graphops.errors import ChannelError
from onnxplain.graphops.ir import DType, Emitter, Shape, Tensor, rank_of, shape_of

__all__ = ["Interface", "select_unit"]


@dataclass
class Interface:
    """The artefact's inputs beyond the network's own, and names that had to give way.

    `batch` is the dimension over the images, a name or a number; `results` that over the results.
    `defaults` are the values that inputs have unless they are given.
    """

    batch: int | str
    results: int | str
    inputs: list[Tensor] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, np.ndarray] = field(default_factory=dict)

    def name(self, op: Emitter, wanted: str) -> str:
        """Return `wanted`, or with the prefix `onnxplain_` where the network has it already."""
        name = op.claim(wanted, f"onnxplain_{wanted}")
        if name != wanted:
            self.renamed[wanted] = name
        return name

    def input(
        self,
        op: Emitter,
        wanted: str,
        dtype: DType | None,
        shape: Shape,
        default: np.ndarray | None = None,
    ) -> Tensor:
        """Add an input to the artefact; with a default, one that need not be given."""
        tensor = op.own(gs.Variable(self.name(op, wanted), dtype=dtype, shape=shape))
        self.inputs.append(tensor)
        if default is not None:
            self.defaults[tensor.name] = default
        return tensor


def select_unit(
    op: Emitter,
    interface: Interface,
    layer: Tensor,
    axis: int,
    select: str,
    channels: tuple[int, ...],
) -> Unit:
    """Return which unit each result is of, adding the inputs that `select` needs."""
    return SELECTS[select](op, interface, layer, axis, channels)


def _channel(
    op: Emitter, interface: Interface, layer: Tensor, axis: int, channels: tuple[int, ...]
) -> Unit:
    return Unit(interface.input(op, "channel", np.int64, [interface.results]))


def _pairs(
    op: Emitter, interface: Interface, layer: Tensor, axis: int, channels: tuple[int, ...]
) -> Unit:
    image = interface.input(op, "image_index", np.int64, [interface.results])
    channel = interface.input(op, "channel", np.int64, [interface.results])
    return Unit(channel, image)


def _fixed(
    op: Emitter, interface: Interface, layer: Tensor, axis: int, channels: tuple[int, ...]
) -> Unit:
    """All baked-in channels of the first image, then all of the second, and so on."""
    size = shape_of(layer)[axis]
    for channel in channels:
        if isinstance(size, int) and not -size <= channel < size:
            raise ChannelError(f"layer '{layer.name}' has channels 0 to {size - 1}, not {channel}")
    images = op.raw("Shape", layer, end=1)
    every = op.constant(list(channels), np.int64)
    if len(channels) == 1:
        return Unit(op.Expand(every, images))
    index = op.Range(op.constant(0, np.int64), op.Squeeze(images, [0]), op.constant(1, np.int64))
    both = op.Concat(images, [len(channels)], axis=0)
    image = op.Reshape(op.Expand(op.Unsqueeze(index, [1]), both), [-1])
    image.shape = [interface.results]
    return Unit(op.Reshape(op.Expand(every, both), [-1]), image)


def _predicted(
    op: Emitter, interface: Interface, layer: Tensor, axis: int, channels: tuple[int, ...]
) -> Unit:
    """The class with the highest score, at its strongest position where there are several."""
    others = [i for i in range(1, rank_of(layer)) if i != axis]
    best = op.reduced("ReduceMax", layer, others, keepdims=0) if others else layer
    return Unit(op.raw("ArgMax", best, axis=1, keepdims=0))


SELECTS: dict[str, Callable[..., Unit]] = {
    "channel": _channel,
    "pairs": _pairs,
    "fixed": _fixed,
    "predicted": _predicted,
}
