"""A network for a crop of the picture that holds all that one unit of a layer depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from onnxplain.graphops.analysis import LocalNetwork, has_channels_last, needed_inputs
from onnxplain.graphops.canonicalize import CanonicalGraph, correct_ceil_mode
from onnxplain.graphops.ir import Graph, Tensor, diagnosing, infer_shapes, write
from onnxplain.graphops.network import NetworkSource, as_network

__all__ = ["Crop", "crop_network", "find_crop"]

# The crops' forward pass is run for each unit, that of the picture once for all: with as many
# multiply-adds forward as backward, a crop costs twice its share of the picture's backward pass.
PASSES = 2

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Crop:
    """Where to crop a picture for a unit, so that its projection is that from the whole picture.

    axes: the picture's spatial axes, counted with the batch axis, and for each of them: size: that
    of the crop; whole: that of the picture; layer_axis: the layer's axis along it; layer_size: the
    layer's size there; stride: the pixels between neighbouring units; start: where the unit at
    position 0 needs the crop to begin, rounded down to the stride.
    """

    axes: tuple[int, ...]
    size: tuple[int, ...]
    whole: tuple[int, ...]
    layer_axis: tuple[int, ...]
    layer_size: tuple[int, ...]
    stride: tuple[int, ...]
    start: tuple[int, ...]

    @property
    def pays(self) -> bool:
        """Whether the crop's two passes are cheaper than the backward pass over the picture."""
        return PASSES * math.prod(self.size) < math.prod(self.whole)

    def begins(self, positions: Positions) -> Positions:
        """Return where the crops of units begin in the picture.

        Args:
            positions: int64 [units, axes], their positions along the layer's axes `layer_axis`.

        Returns:
            int64 [units, axes], pixels along `axes`, multiples of the stride or the last pixel that
            a crop can begin at.
        """
        begins = np.array(self.start) + positions * np.array(self.stride)
        inside: Positions = np.clip(begins, 0, np.array(self.whole) - np.array(self.size))
        return inside

    def within(self, positions: Positions) -> Positions:
        """Return the positions of units in the layer as it is for their crops.

        Args:
            positions: as in `begins`.

        Returns:
            int64 [units, axes].
        """
        own: Positions = positions - self.begins(positions) // np.array(self.stride)
        return own


def find_crop(model: NetworkSource, layer: str | None, size: Sequence[int]) -> Crop | None:
    """Find the smallest crop in which every unit of a layer has all that it depends on.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network.
        layer: the name of a tensor, a node or a module; None for the class score.
        size: the picture's spatial sizes in pixels.

    Returns:
        The crop, or None where there is none smaller than the picture: the layer depends on several
        inputs, sees all of the picture, or an operator would compute something else from a crop; or
        the batch size is fixed.

    Raises:
        UnknownLayer, UnsupportedModel: no such layer, or the network has no class score.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(model)
    with diagnosing(network.model):
        canonical = network.canonical()
        graph, tensor = canonical.graph, canonical.tensor(layer)
        inputs = needed_inputs(graph, tensor)
        dependent = canonical.unbatched or canonical.batch_note  # images of a batch on each other
        if len(inputs) != 1 or dependent or inputs[0].shape is None:
            return None
        (picture,) = inputs
        axes = _spatial_axes(picture)
        if len(axes) != len(size):
            return None
        _resize(graph, picture, axes, size)
        local = LocalNetwork.of(graph, picture, tensor, axes)
        cones = None if local is None else local.cones()
        if local is None or cones is None:
            return None
        starts = [cone.start // cone.stride * cone.stride for cone in cones]
        # As long as the rest of the division by the stride is the picture's, so that every
        # convolution and pooling ends as far before its input's end as in the whole picture.
        sizes = [
            whole - (whole - (cone.stop - start)) // cone.stride * cone.stride
            for cone, start, whole in zip(cones, starts, size, strict=True)
        ]
        sizes = [min(part, whole) for part, whole in zip(sizes, size, strict=True)]
        if sizes == list(size):
            return None
        smaller, _ = _resized(network.canonical(), tensor.name, axes, sizes)
        if not local.shrinks_evenly(smaller):
            return None
        return Crop(
            axes=tuple(axes),
            size=tuple(sizes),
            whole=tuple(size),
            layer_axis=tuple(cone.layer_axis for cone in cones),
            layer_size=tuple(cone.layer_size for cone in cones),
            stride=tuple(cone.stride for cone in cones),
            start=tuple(starts),
        )


def crop_network(model: NetworkSource, layer: str | None, crop: Crop) -> onnx.ModelProto:
    """Cut a network at a layer, and let it take crops of the picture.

    Args:
        model: as in `find_crop`.
        layer: as in `find_crop`.
        crop: what `find_crop` found.

    Returns:
        A model with the layer as its only output. All tensors keep their names.

    Raises:
        UnknownLayer, UnsupportedModel: no such layer, or the network has no class score.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    network = as_network(model)
    with diagnosing(network.model):
        canonical = network.canonical()
        name = canonical.tensor(layer).name
        graph, tensor = _resized(canonical, name, crop.axes, crop.size)
        graph.outputs = [tensor]
        graph.cleanup()
        graph.drop_unread_inputs()
        return write(graph, network.model)


def _resized(
    canonical: CanonicalGraph, layer: str, axes: Sequence[int], size: Sequence[int]
) -> tuple[Graph, Tensor]:
    """Return the graph for a picture of another size, and its layer."""
    graph, tensor = canonical.graph, canonical.tensor(layer)
    _resize(graph, needed_inputs(graph, tensor)[0], axes, size)
    return graph, tensor


def _resize(graph: Graph, picture: Tensor, axes: Sequence[int], size: Sequence[int]) -> None:
    """Set the picture's sizes and infer all others anew."""
    shape = list(picture.shape or ())
    wanted = dict(zip(axes, size, strict=True))
    picture.shape = [wanted.get(axis, length) for axis, length in enumerate(shape)]
    if picture.shape != shape:
        infer_shapes(graph, sizes_changed=True)
        correct_ceil_mode(graph)


def _spatial_axes(picture: Tensor) -> list[int]:
    rank = len(picture.shape or ())
    return [1, 2] if has_channels_last(picture) else list(range(2, rank))
