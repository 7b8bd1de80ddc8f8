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
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.options import ALL_INPUTS, Target

__all__ = ["Others", "Subject", "find_subject", "target_of"]

Array = npt.NDArray[Any]
Others = Sequence[Mapping[str, Array]]  # for each image, values of further inputs by name


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained, as far as known before a graph is rewritten.

    input: the one that takes the images. further: the others that the layer depends on.
    layer: where the signal starts, with its channel axis as if it had a batch axis. to: the target,
    the tensor that the attribution lies over. fixed: whether the model fixes the batch size.
    separable: whether the images of a batch are known not to influence each other. unbatched: the
    names of the tensors without a batch axis.
    """

    input: Input
    further: tuple[Input, ...]
    layer: Layer
    to: str
    fixed: bool
    separable: bool
    warnings: tuple[str, ...]
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

    The engine's own methods, which are no graph, see the network from the picture to the layer.
    """
    graph = method.exportable
    report = check(
        opened.network,
        layer,
        method if graph else "gradient",
        to=options.to,
        unpool=options.unpool,
        target=target_of(device),
        channel_axis=options.channel_axis,
        score_layer=options.score_layer,
    )
    if graph and not report.ok:
        rewrite(opened.network, layer, method, options)  # raises the error of the report's problem
    start = next(known for known in opened.layers if known.tensor == report.layer)
    has_axis = start.shape is not None and start.tensor not in opened.network.unbatched
    if options.channel_axis is not None and has_axis and start.shape is not None:
        size = start.shape[options.channel_axis]
        start = replace(
            start,
            channel_axis=options.channel_axis % len(start.shape),
            channels=size if isinstance(size, int) else None,
        )
    fixed = report.batch == "fixed"
    separable = not fixed and not report.batch_note
    picture, further = inputs
    to = report.to if graph or options.to is not None else picture.name
    warnings, unbatched = report.warnings if graph else (), opened.network.unbatched
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
        axis = (options.channel_axis or 0) % len(start.shape)
        size = start.shape[axis]
        channels = size if isinstance(size, int) else None
        start = replace(start, channel_axis=1 + axis, channels=channels)
    return Subject(picture, further, start, to, fixed, separable, warnings, unbatched)


def target_of(device: str) -> Target:
    """Return the target of a rewrite for a device."""
    return "cpu" if device == "cpu" else "cuda"
