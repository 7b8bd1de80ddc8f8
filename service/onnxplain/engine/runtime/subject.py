"""What is explained, as far as known before a graph is rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import Input
from onnxplain.engine.runtime.model import OpenedModel
from onnxplain.graphops import Layer, Method, Options, check, rewrite
from onnxplain.graphops.analysis import ClassScore
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.methods import find_method
from onnxplain.graphops.options import ALL_INPUTS, Target

__all__ = ["Others", "Subject", "find_subject", "target_of"]

Array = npt.NDArray[Any]
Others = Sequence[Mapping[str, Array]]  # for each image, values of further inputs by name


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained, as far as known before a graph is rewritten.

    input: the one that takes the images. further: the others that the layer depends on.
    layer: where the signal starts, with its shape and channel axis as if it had a batch axis. to:
    the target, the tensor that the attribution lies over. fixed: whether the model fixes the batch
    size. separable: whether the images of a batch are known not to influence each other. score: the
    class score, if that is the layer. unbatched: the names of the tensors without a batch axis.
    """

    input: Input
    further: tuple[Input, ...]
    layer: Layer
    to: str
    fixed: bool
    separable: bool
    warnings: tuple[str, ...]
    score: ClassScore | None = None
    unbatched: frozenset[str] = frozenset()

    @property
    def channel_axis(self) -> int:
        """The layer's channel axis, counted with the batch axis."""
        return 1 if self.layer.channel_axis is None else self.layer.channel_axis

    @property
    def batch_size(self) -> int:
        """The batch size of a run on one image: the model's fixed one, or 1."""
        batch = self.input.shape[0] if self.input.batched else None
        return batch if isinstance(batch, int) else 1

    def feeds(self, rows: Sequence[Array], others: Others) -> dict[str, Array]:
        """Return the network's inputs for images of one shape, by name.

        others: for each image, the values of further inputs, or of tensors in their place.
        """
        whole = {one.name for one in (self.input, *self.further) if not one.batched}
        whole |= self.unbatched
        columns: dict[str, list[Array]] = {self.input.name: list(rows)}
        for name in others[0] if others else ():
            columns[name] = [values[name] for values in others]
        for name in whole & columns.keys():
            first, *rest = columns[name]
            if any(value is not first and not np.array_equal(value, first) for value in rest):
                raise OptionError(
                    f"the input '{name}' has one value for all images of a run: explain images "
                    "with different values one by one"
                )
        return {n: v[0] if n in whole else np.stack(v) for n, v in columns.items()}

    def with_batch(self, values: Array, tensor: str) -> Array:
        """Return a tensor's values with a batch axis, which they may lack."""
        return values[None] if tensor in self.unbatched else values


def find_subject(
    opened: OpenedModel,
    inputs: tuple[Input, tuple[Input, ...]],
    layer: str | None,
    method: Method,
    options: Options,
    device: str,
) -> Subject:
    """Resolve the names of the layer and the target. Raises InputError or ModelError.

    The engine's own methods, which are no graph, see the network from the picture to the layer. Of
    sampled methods the engine runs the gradient alone.
    """
    graph = method.exportable
    if method.accumulated:
        method.require_target(options.to)
        method, options = find_method("gradient"), replace(options, own=())
    report = check(
        opened.network,
        layer,
        method if graph else "gradient",
        to=options.to,
        unpool=options.unpool,
        target=target_of(device),
        channel_axis=options.channel_axis,
        score_layer=options.score_layer,
        score_channel_axis=options.score_channel_axis,
    )
    if graph and not report.ok:
        rewrite(opened.network, layer, method, options)  # raises the error of the report's problem
    start = next(known for known in opened.layers if known.tensor == report.layer)
    axis = options.score_channel_axis if method.over == "map" else options.channel_axis
    if axis is not None and start.shape is not None:
        start = replace(start, channel_axis=axis % len(start.shape))
        start = replace(start, channels=_channels(start))
    fixed = report.batch == "fixed"
    separable = not fixed and not report.batch_note
    picture, further = inputs
    to = report.to if graph or options.to is not None else picture.name
    score = opened.network.class_score
    score = score if score is not None and score.tensor == start.tensor else None
    of_nodes = {node.note for node in report.nodes}
    warnings = tuple(w for w in report.warnings if graph or w not in of_nodes)
    unbatched = opened.network.unbatched
    parameters = {one.name for one in further if not one.batched}
    if parameters & ({one.name for one in further} if options.to == ALL_INPUTS else {to}):
        # The signal at a parameter is the sum over the results of a run: there must be one alone.
        fixed, separable, unbatched = True, False, unbatched | parameters
        size = picture.shape[0] if picture.batched else 1
        if isinstance(size, int) and size > 1:
            raise UnsupportedModel(
                f"the model fixes the batch size {size}, so the signal at "
                f"{', '.join(sorted(parameters))} is that of several images: export the model with "
                "a free batch"
            )
    if start.tensor in unbatched and start.shape:
        own = 1 + (start.channel_axis or 0)
        start = replace(start, shape=(1, *start.shape), channel_axis=own)
        start = replace(start, channels=_channels(start))
    return Subject(picture, further, start, to, fixed, separable, warnings, score, unbatched)


def _channels(layer: Layer) -> int | None:
    """Return the size of the layer's channel axis, if it is fixed."""
    size = layer.shape[layer.channel_axis] if layer.shape and layer.channel_axis else None
    return size if isinstance(size, int) else None


def target_of(device: str) -> Target:
    """Return the target of a rewrite for a device."""
    return "cpu" if device == "cpu" else "cuda"
