"""The inputs of a network: their shapes and types, and which one takes the picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from onnxplain.graphops.errors import OptionError, UnsupportedModel

__all__ = [
    "Input",
    "choose_picture_input",
    "further_inputs",
    "picture_input",
    "required_inputs",
    "shape_text",
]

Dimensions = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Input:
    """An input of the network, such as the one that takes the picture.

    shape: a number, a name or None for each dimension. dtype: that of its values. batched: whether
    its first dimension runs over the images.
    """

    name: str
    shape: Dimensions
    dtype: np.dtype[Any]
    batched: bool = True

    @property
    def image_shape(self) -> Dimensions:
        """The shape of the values of one image."""
        return self.shape[1:] if self.batched else self.shape

    @property
    def channels_last(self) -> bool:
        """Whether the channel axis is the last (NHWC): only a size of 1 or 3 there shows it."""
        shape = self.image_shape
        return len(shape) == 3 and shape[0] not in (1, 3) and shape[2] in (1, 3)

    @property
    def channel_axis(self) -> int:
        """The channel axis, counted without the batch axis."""
        return len(self.image_shape) - 1 if self.channels_last else 0

    @property
    def channels(self) -> int | str | None:
        """The size of the channel axis, if the model fixes it."""
        return self.image_shape[self.channel_axis]

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width if the model fixes them, else None."""
        shape = self.image_shape
        height, width = shape[:2] if self.channels_last else shape[1:3]
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        return None

    def __str__(self) -> str:
        """Return the name, the type and the shape, for a message."""
        return f"'{self.name}' ({self.dtype} {shape_text(self.shape, self.batched)})"


def required_inputs(
    model: onnx.ModelProto, unbatched: Collection[str] = (), needed: Collection[str] | None = None
) -> list[Input]:
    """Return the inputs of the model without a default value.

    unbatched: the names of those without a batch axis. needed: the names of those that count, None
    for all. Raises UnsupportedModel for one that is not a tensor.
    """
    defaults = {tensor.name for tensor in model.graph.initializer}
    values = [value for value in model.graph.input if value.name not in defaults]
    return [
        _input(value, value.name not in unbatched)
        for value in values
        if needed is None or value.name in needed
    ]


def choose_picture_input(inputs: Sequence[Input], named: Collection[str] = ()) -> Input:
    """Return the input that takes the picture: the first of floats with channels and positions.

    named: the names of inputs that the caller gives values for, which are not it. Raises
    UnsupportedModel where there is none, or one of an unsuitable type, and OptionError where all
    are named.
    """
    if not inputs:
        raise UnsupportedModel("the model has no input that could take a picture")
    left = [one for one in inputs if one.name not in named]
    if not left:
        raise OptionError(
            f"every input is named ({', '.join(one.name for one in inputs)}): leave out the name "
            "of the one that takes the images"
        )
    floats = [one for one in left if one.dtype.kind == "f"]
    wide = [[one for one in some if len(one.shape) >= 3] for some in (floats, left)]
    chosen = [*wide[0], *wide[1], *left][0]
    if chosen.dtype.kind not in "fiu":
        raise UnsupportedModel(
            f"the input '{chosen.name}' takes {chosen.dtype} values, and a picture has floats or "
            "integers: export the model with such an input"
        )
    return chosen


def picture_input(model: onnx.ModelProto) -> Input:
    """Return the only input of the model without a default value.

    Raises UnsupportedModel where there is none, more than one, or one of an unsuitable type.
    """
    inputs = required_inputs(model)
    picture = choose_picture_input(inputs)
    for other in further_inputs(inputs, picture):
        raise UnsupportedModel(
            f"the model needs the input {other} besides the picture's '{picture.name}', for which "
            "only explain takes values (`--input NAME=FILE`): use it, or give the input a "
            "default value (an initialiser of that name)"
        )
    return picture


def further_inputs(inputs: Sequence[Input], picture: Input) -> tuple[Input, ...]:
    """Return the inputs besides the picture's.

    One is batched only where its first dimension can be the number of images: it is free, 1, or as
    long as the picture's.
    """
    batch = picture.shape[0] if picture.batched else 1

    def parameters(one: Input) -> bool:
        size = one.shape[0] if one.shape else None
        return isinstance(size, int) and size not in (1, batch)

    return tuple(
        replace(one, batched=one.batched and not parameters(one))
        for one in inputs
        if one is not picture
    )


def shape_text(shape: Sequence[int | str | None], batched: bool = True) -> str:
    """Return a shape as text such as [N, 3, ?, ?]."""
    sizes = ["?" if size is None else str(size) for size in shape]
    return "[" + ", ".join(["N", *sizes[1:]] if batched and sizes else sizes) + "]"


def _input(value: onnx.ValueInfoProto, batched: bool) -> Input:
    kind = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except KeyError as e:
        raise UnsupportedModel(f"the input '{value.name}' is not a tensor") from e
    shape = tuple(_dimension(d) for d in kind.shape.dim)
    return Input(value.name, shape, dtype, batched and bool(shape))


def _dimension(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    # Some exporters write 0 or -1 for a free dimension.
    return dim.dim_value if dim.dim_value > 0 else dim.dim_param or None
