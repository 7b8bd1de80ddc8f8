"""Units at one position, each projected to a crop of the picture that holds all that it sees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from onnxplain.engine.peaks import Positions, peaks
from onnxplain.engine.run import Chosen, ProjectedUnits, Run
from onnxplain.engine.runtime import Plan, Projections
from onnxplain.graphops.cropping import Crop

__all__ = ["Crops", "find_crops", "project_crops"]

Array = npt.NDArray[Any]
Values: TypeAlias = "npt.NDArray[np.float32]"
Crops: TypeAlias = "Mapping[tuple[int, ...], Crop]"  # by the picture's shape


def find_crops(run: Run) -> Crops | None:
    """Return the crop for each shape of picture, None where the whole pictures must be run.

    That is where units have several positions, where the signal does not end at the picture, where
    the method or the network sees more than the receptive field, and where crops cost more.
    """
    subject, options = run.subject, run.options
    at_one_position = options.position in ("max", "given") and options.select is None
    to_picture = subject.to == subject.input.name and not subject.further
    if not (run.method.local and at_one_position and to_picture and subject.separable):
        return None
    found = {}
    for shape in {row.shape for row in run.rows}:
        crop = run.crop(shape)
        if crop is None or not crop.pays:
            return None
        found[shape] = crop
    return found


def project_crops(run: Run, chosen: Chosen, crops: Crops) -> Iterator[ProjectedUnits]:
    """Yield the projections in the order of images and units.

    A run takes as many units as fit into memory, of all images. Positions and scores are those of
    the whole pictures.
    """
    for group, positions, scores in _starts(run, chosen):
        row, count = run.rows[group[0]], chosen.channels.shape[1]
        crop = crops[row.shape]
        plan = run.plan(run.method, run.options, crop=crop)
        units = list(itertools.product(range(len(group)), range(count)))
        each = plan.footprint.item_bytes(row.shape) + row.size * np.dtype(np.float32).itemsize
        most = max(1, run.memory_bytes // each)
        for start in range(0, len(units), most):
            some = units[start : start + most]
            images, numbers = (list(column) for column in zip(*some, strict=True))
            rows = [run.rows[group[i]] for i in images]
            channels = chosen.channels[group][images, numbers]
            found = _projected(run, plan, crop, rows, channels, positions[images, numbers])
            if scores is not None:
                found = replace(found, score=scores[images, numbers])
            for i, same in itertools.groupby(range(len(some)), key=lambda b: images[b]):
                own = list(same)
                chunk = slice(numbers[own[0]], numbers[own[-1]] + 1)
                yield (
                    group[i],
                    chunk,
                    _finite(run, chosen, group[i], chunk, found.rows(own[0], own[-1] + 1)),
                )


def _starts(run: Run, chosen: Chosen) -> Iterator[tuple[list[int], Positions, Values | None]]:
    """Yield images of one shape, and their units' positions [images, units, rank] and scores.

    The scores are None where the positions are given: the crops tell them.
    """
    same_shape = itertools.groupby(range(len(run.rows)), key=lambda i: run.rows[i].shape)
    if chosen.positions is not None:
        for _, same in same_shape:
            group = list(same)
            yield group, chosen.positions[group], None
    elif chosen.places is not None and chosen.strength is not None:
        for _, same in same_shape:
            group = list(same)
            places = np.stack([chosen.places[i] for i in group])
            yield group, *_of_units(run, chosen, group, chosen.strength[group], places)
    else:
        for group, values in run.forward():
            yield group, *_of_units(run, chosen, group, *peaks(values, run.subject.channel_axis))


def _of_units(
    run: Run, chosen: Chosen, group: list[int], maxima: Values, places: Positions
) -> tuple[Positions, Values]:
    """Return the positions and scores of the chosen units from those of all channels."""
    channels = chosen.channels[group]
    value = np.take_along_axis(maxima, channels, axis=1)
    active = (run.options.seed_value or run.method.seed_value) == "activation"
    score = value * value if active else value
    positions = np.take_along_axis(places, channels[..., None], axis=1)
    return positions, -score if run.options.negate else score


def _projected(
    run: Run, plan: Plan, crop: Crop, rows: list[Array], channels: Array, positions: Positions
) -> Projections:
    """Return the projections of units to the whole pictures `rows`, one for each unit."""
    axis = run.subject.channel_axis
    spatial = [i for i in range(1, positions.shape[1] + 2) if i != axis]
    order = [spatial.index(i) for i in crop.layer_axis]  # of the picture's axes in a position
    begins, within = crop.begins(positions[:, order]), positions.copy()
    within[:, order] = crop.within(positions[:, order])
    places = [_place(crop, begin) for begin in begins]
    parts = [row[place] for row, place in zip(rows, places, strict=True)]
    result = plan.run(parts, {"channel": channels, "position": within}, run.stop)
    attribution = np.zeros((len(rows), *rows[0].shape), np.float32)
    for whole, place, own in zip(attribution, places, result.attribution, strict=True):
        whole[place] = own
    return Projections(attribution, result.score, positions)


def _place(crop: Crop, begin: Positions) -> tuple[slice, ...]:
    """Return the crop that begins at these pixels as a part of an image without a batch axis."""
    place = [slice(None)] * max(crop.axes)
    for axis, first, size in zip(crop.axes, begin.tolist(), crop.size, strict=True):
        place[axis - 1] = slice(first, first + size)
    return tuple(place)


def _finite(run: Run, chosen: Chosen, image: int, chunk: slice, found: Projections) -> Projections:
    """Return projections, from the whole picture where those from crops are not finite.

    A network that divides may divide by a zero of the padding, which the picture does not have.
    """
    if np.isfinite(found.attribution).all():
        return found
    plan, row = run.plan(run.method, run.options, one_unit=True), run.rows[image]
    added = [chosen.added([image], slice(u, u + 1)) for u in range(chunk.start, chunk.stop)]
    return Projections.join([plan.run([row], one, run.stop) for one in added])
