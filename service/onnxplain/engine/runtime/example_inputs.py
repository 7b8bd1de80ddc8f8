"""The types and shapes of an artefact's inputs for one image, where the model leaves sizes free."""

from __future__ import annotations

import json
from typing import TypeAlias

from onnxplain.engine.pictures import (
    Input,
    choose_picture_input,
    required_inputs,
    stored_preprocess,
)
from onnxplain.graphops import Network, read_metadata
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.metadata import renamed_names

__all__ = ["Example", "example_inputs"]

ASSUMED_SIZE = (224, 224)
Example: TypeAlias = "tuple[str, tuple[int, ...]]"  # an input's dtype and shape


def example_inputs(
    network: Network, size: tuple[int, int] | None
) -> tuple[dict[str, Example], tuple[str, ...]]:
    """Return the type and shape of each input without a default, for one image and one result.

    size: the picture's height and width where the artefact leaves them free. Returns also notes on
    what was assumed. Raises OptionError where the model fixes another size, UnsupportedModel where
    a size is not known.
    """
    metadata = read_metadata(network.model)
    every = required_inputs(network.model, network.unbatched)
    needed = network.inputs_of(metadata.get("onnxplain.layer"))
    picture = choose_picture_input([one for one in every if one.name in needed])
    shape, notes = _picture_shape(picture, size, stored_size(network))
    known = {d: n for d, n in zip(picture.shape, shape, strict=True) if isinstance(d, str)}
    noise = renamed_names(network.model).get("noise", "noise")
    found = {}
    for one in every:
        first = _first_size(one, noise, metadata)
        sizes = shape if one.name == picture.name else _shape(one, known, first)
        found[one.name] = (str(one.dtype), sizes)
    return found, notes


def stored_size(network: Network) -> tuple[int, int] | None:
    """Return the size in the metadata of the preprocessing, if any."""
    stored = stored_preprocess(network.model)
    return None if stored is None else stored.size


def _picture_shape(
    picture: Input, size: tuple[int, int] | None, stored: tuple[int, int] | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    first = int(picture.batched)
    if len(picture.image_shape) != 3:
        if size is not None:
            raise OptionError(f"the input {picture} takes no pictures: leave the size out")
        return _shape(picture, {}, 1), ()
    axes = [first + i for i in range(3) if i != picture.channel_axis]
    free = [axis for axis in axes if not isinstance(picture.shape[axis], int)]
    notes: tuple[str, ...] = ()
    if free and size is None and stored is None:
        height, width = ASSUMED_SIZE
        notes = (
            f"{height}x{width} is assumed, since the model leaves the picture's size free: set it "
            "with `size` (--size HxW)",
        )
    wanted = size or stored or ASSUMED_SIZE
    shape = list(picture.shape)
    for axis, length in zip(axes, wanted, strict=True):
        if size is not None and isinstance(shape[axis], int) and shape[axis] != length:
            raise OptionError(
                f"the input {picture} has a fixed size, not {size[0]}x{size[1]}: leave the size out"
            )
        shape[axis] = shape[axis] if isinstance(shape[axis], int) else length
    if not isinstance(shape[first + picture.channel_axis], int):
        shape[first + picture.channel_axis] = 3
    return _shape(picture, {}, 1, shape), notes


def _shape(
    one: Input,
    known: dict[str, int],
    first: int,
    sizes: list[int | str | None] | None = None,
) -> tuple[int, ...]:
    """Return an input's shape. known: sizes by name. first: that of axis 0, where it is free."""
    found = []
    for axis, size in enumerate(one.shape if sizes is None else sizes):
        if isinstance(size, str):
            size = known.get(size)
        if size is None and axis == 0:
            size = first
        if not isinstance(size, int):
            raise UnsupportedModel(
                f"the input {one} leaves the size of its axis {axis} free, so it cannot be "
                "measured: export the network with a fixed one"
            )
        found.append(size)
    return tuple(found)


def _first_size(one: Input, noise: str, metadata: dict[str, str]) -> int:
    """Return the size of axis 0: the samples of a method's noise, else one image or result."""
    if one.name != noise:
        return 1
    return int(json.loads(metadata["onnxplain.options"])["samples"])
