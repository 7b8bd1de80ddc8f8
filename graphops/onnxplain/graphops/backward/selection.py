"""The inputs that select the unit to explain, one function for each `select`."""

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
    """The inputs that the artefact adds to the network's own, and renamed inputs and outputs.

    batch: the batch dimension of the images, a name or a number. results: that of the results.
    renamed: from the contract's names to the artefact's, where the network used the former.
    defaults: the default values of inputs by name.
    """

    batch: int | str
    results: int | str
    inputs: list[Tensor] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, np.ndarray] = field(default_factory=dict)

    def name(self, op: Emitter, wanted: str) -> str:
        """Return `wanted`, prefixed with `onnxplain_` where the network already uses the name."""
        name = op.claim(wanted, f"onnxplain_{wanted}")
        if name != wanted:
            self.renamed[wanted] = name
        return name

    def output(self, op: Emitter, wanted: str, tensor: Tensor, shape: Shape | None) -> Tensor:
        """Return the tensor under an output's name; the input `position` is an output itself."""
        if wanted == "position" and not tensor.inputs:
            return tensor
        if not tensor.inputs or not op.is_own(tensor):
            tensor = op.Identity(tensor)
        tensor.name = self.name(op, wanted)
        tensor.shape = tensor.shape or shape
        return op.own(tensor)

    def input(
        self,
        op: Emitter,
        wanted: str,
        dtype: DType | None,
        shape: Shape,
        default: np.ndarray | None = None,
    ) -> Tensor:
        """Add an input to the artefact, which is optional if it has a default."""
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
    """Return the unit of each result, adding the inputs that `select` needs."""
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
    """Explain all baked-in channels of the first image, then of the second, and so on."""
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
    """Explain the class with the highest score, or highest maximum over positions."""
    others = [i for i in range(1, rank_of(layer)) if i != axis]
    best = op.reduced("ReduceMax", layer, others, keepdims=0) if others else layer
    return Unit(op.raw("ArgMax", best, axis=1, keepdims=0))


SELECTS: dict[str, Callable[..., Unit]] = {
    "channel": _channel,
    "pairs": _pairs,
    "fixed": _fixed,
    "predicted": _predicted,
}
