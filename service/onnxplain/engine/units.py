"""Which units of a layer to explain, and at which positions: the caller's arguments, checked."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxplain.engine.peaks import peaks
from onnxplain.engine.regions import regions_of
from onnxplain.engine.run import Chosen, Run
from onnxplain.graphops import Method
from onnxplain.graphops.errors import ChannelError, OptionError

__all__ = [
    "Units", "checked_positions", "choose_channels", "choose_units", "is_whole", "top_count",
]  # fmt: skip

Units = str | int | Sequence[int] | None


def choose_units(run: Run, units: Units, whole: bool) -> Chosen:
    """Return the channels and, where the caller names positions, these. Raises InputError."""
    every = np.full((len(run.rows), 1), -1, np.int64)
    if whole and run.region is None:
        return Chosen(every)
    position = run.position
    has_coordinates = position is not None and not isinstance(position, str)
    layer, rows = run.subject.layer, run.rows
    named = not whole and run.region is None and top_count(units) is None
    if named and layer.channels is not None:
        known = _known_sizes(run) if has_coordinates else []
        if known is not None:
            chosen = choose_channels(units, len(rows), layer.channels, None, layer.tensor)
            if not has_coordinates:
                return Chosen(chosen)
            return Chosen(chosen, checked_positions(position, known, chosen.shape[1], layer.tensor))
    axis = run.subject.channel_axis
    strengths, places, sizes = [], [], []
    for group, values in run.forward():
        if values.ndim <= axis:
            raise OptionError(
                f"layer '{layer.tensor}' has rank {values.ndim}, so it has no units: choose "
                "another layer"
            )
        maxima, positions = peaks(values, axis)
        strengths.append(maxima)
        places += [*positions]
        sizes += [values.shape[1:axis] + values.shape[axis + 1 :]] * len(group)
    regions = None
    if run.region is not None:
        if not sizes[0]:
            raise OptionError(
                f"layer '{layer.tensor}' has no positions, so it has no region: leave it out"
            )
        regions = regions_of(run, run.region, sizes)
    strength = np.concatenate(strengths)
    if whole:
        return Chosen(every, regions=regions)
    chosen = choose_channels(units, len(rows), strength.shape[1], strength, layer.tensor)
    next_best = None
    if top_count(units) == 1 and strength.shape[1] > 1:
        next_best = np.argsort(-strength, axis=1, kind="stable")[:, 1]
    if not has_coordinates:
        return Chosen(chosen, None, regions, next_best, strength, places)
    positions = checked_positions(position, sizes, chosen.shape[1], layer.tensor)
    return Chosen(chosen, positions, regions, next_best, strength)


def _known_sizes(run: Run) -> list[tuple[int, ...]] | None:
    """Return the layer's spatial shape for each image, None where only a forward pass tells it."""
    crops = [run.crop(row.shape) for row in run.rows]
    sizes = []
    for crop in crops:
        if crop is None:
            return None
        along = sorted(zip(crop.layer_axis, crop.layer_size, strict=True))
        sizes.append(tuple(size for _, size in along))
    return sizes


def is_whole(units: Units, method: Method) -> bool:
    """Tell whether the whole layer is explained at once: by request, or by the method's default."""
    if units is None:
        return method.select == "whole"
    return isinstance(units, str) and units == "whole"  # an array would compare element by element


def top_count(units: Units) -> int | None:
    """Return K where the K strongest units are asked for (1 for None), else None.

    Raises OptionError for text other than "all" and "top:K".
    """
    if units is None:
        return 1
    if not isinstance(units, str) or units == "all":
        return None
    word, _, count = units.partition(":")
    if word != "top" or not count.isdecimal() or int(count) < 1:
        raise OptionError(
            f"no units '{units}': give channel numbers, 'all', or 'top:K' such as 'top:9'"
        )
    return int(count)


def choose_channels(
    units: Units,
    images: int,
    channels: int,
    strength: npt.NDArray[np.float32] | None,
    layer: str,
) -> npt.NDArray[np.int64]:
    """Return the channels to explain, [images, units].

    channels: the number of the layer's channels. strength: [images, channels], needed for the
    strongest units only; among equals the lower channel comes first.

    Raises ChannelError for a channel outside the layer, OptionError for an empty list.
    """
    count = top_count(units)
    if count is not None and strength is not None:
        if count > channels:
            raise ChannelError(
                f"units 'top:{count}' are more than the {channels} channels of layer '{layer}': "
                f"ask for 'top:{channels}' or fewer"
            )
        return np.argsort(-strength, axis=1, kind="stable")[:, :count].astype(np.int64)
    listed = range(channels) if isinstance(units, str) else _numbers(units)
    for channel in listed:
        if not 0 <= channel < channels:
            raise ChannelError(
                f"no channel {channel} in layer '{layer}': its channels are 0 to {channels - 1}"
            )
    return np.tile(np.array(listed, np.int64), (images, 1))


def checked_positions(
    coordinates: object, sizes: Sequence[tuple[int, ...]], units: int, layer: str
) -> npt.NDArray[np.int64]:
    """Return positions in a layer, int64 [images, units, spatial rank].

    coordinates: one position for all units, or [images, units, spatial rank].
    sizes: the layer's spatial shape for each image.

    Raises OptionError for another shape or dtype, ChannelError for a position outside the layer.
    """
    try:
        values = np.asarray(coordinates)
    except ValueError as e:
        raise OptionError(f"positions {coordinates!r:.60} are ragged: give as many numbers") from e
    shape = (len(sizes), units, len(sizes[0]))
    if values.dtype.kind not in "iu" or values.shape not in (shape, shape[2:]):
        raise OptionError(
            f"positions of shape {list(values.shape)} and type {values.dtype} do not fit layer "
            f"'{layer}': give {shape[2]} integers, or an integer array of shape {list(shape)}"
        )
    positions = np.broadcast_to(values, shape).astype(np.int64)
    for image, size in enumerate(sizes):
        for position in positions[image]:
            if not all(0 <= p < n for p, n in zip(position, size, strict=True)):
                ranges = ", ".join(f"0 to {n - 1}" for n in size)
                raise ChannelError(
                    f"no position {position.tolist()} in layer '{layer}': its positions are "
                    f"{ranges}"
                )
    return positions


def _numbers(units: int | Sequence[int] | None) -> Sequence[int]:
    try:
        values = np.atleast_1d(np.asarray(units))
        if values.dtype == bool:
            raise TypeError("a mask names no numbers")
        listed = [operator.index(c) for c in values.tolist()]
    except (TypeError, ValueError) as e:  # NumPy: a ragged list
        raise OptionError(f"units {units!r} are not channel numbers: give integers") from e
    if not listed:
        raise OptionError("there are no units to explain: name at least one channel")
    return listed
