"""The arrays of an explanation by name, the names of their axes, and their words for `repr`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import method_title
from onnxplain.engine.named_arrays import AxisNames, Coordinates, counted, sizes

if TYPE_CHECKING:
    from onnxplain.engine.explanation import Explanation

__all__ = ["arrays_of", "axes_of", "coordinates_of", "target_axes", "told_of"]

UNITS = ("image", "unit")
TOLD = 3  # units that `repr` names


def arrays_of(one: Explanation) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays and texts of an explanation by name."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "attribution": one.attribution,
        "score": one.score,
        "channels": one.channels,
        "layer": np.array(one.layer),
        "to": np.array(one.to),
        "method": np.array(one.method),
        "labels": np.array(one.labels, np.str_),
        "notes": np.array(one.notes, np.str_),
        "seed_value": np.array(one.seed_value),
    }
    arrays |= {f"attribution.{name}": values for name, values in one.others.items()}
    if any(one.names):
        arrays["names"] = np.array(one.names, np.str_)
    for name in ("position", "box", "completeness_error", "probability"):
        values = getattr(one, name)
        if values is not None:
            arrays[name] = values
    return arrays


def axes_of(one: Explanation) -> AxisNames:
    """Return the names of the axes of an explanation's arrays."""
    axes: AxisNames = {"attribution": (*UNITS, *target_axes(one))}
    axes |= dict.fromkeys(("score", "probability", "completeness_error"), UNITS)
    axes |= {"position": (*UNITS, "axis"), "box": (*UNITS, "side")}
    for name, values in one.others.items():
        further = (f"{name}_{i}" for i in range(values.ndim - len(UNITS)))
        axes[f"attribution.{name}"] = (*UNITS, *further)
    return axes


def target_axes(one: Explanation) -> tuple[str, ...]:
    """Return the names of the axes of the tensor projected back to, without its batch axis."""
    shape = one.attribution.shape[2:]
    seen = one.pictures[0].shape[:2] if one.pictures else None
    if len(shape) == 3 and seen == shape[:2] != shape[1:]:
        return ("y", "x", "channel")
    names = {
        1: ("x",),
        2: ("y", "x") if one.pictures else ("channel", "x"),
        3: ("channel", "y", "x"),
        4: ("channel", "z", "y", "x"),
    }
    return names.get(len(shape), tuple(f"axis_{i}" for i in range(len(shape))))


def coordinates_of(one: Explanation) -> Coordinates:
    """Return the pictures' names, the units' channels and labels, and the picture's channels."""
    coordinates: Coordinates = {"channels": (UNITS, one.channels)}
    if any(one.names):
        coordinates["image"] = (("image",), list(one.names))
    if (one.channels == one.channels[:1]).all():  # the same units of each image
        coordinates["unit"] = (("unit",), one.channels[0])
    if one.labels:
        named = [[_label(one, channel) for channel in row] for row in one.channels.tolist()]
        coordinates["label"] = (UNITS, named)
    axes = target_axes(one)
    colors = one.preprocess.color if one.preprocess is not None else ""
    if "channel" in axes and one.attribution.shape[2 + axes.index("channel")] == len(colors):
        coordinates["channel"] = (("channel",), list(colors))
    return coordinates


def told_of(one: Explanation) -> tuple[str, str]:
    """Return the two lines of `repr`: what is explained how, and the first units."""
    images, units = one.channels.shape
    counts = f"{counted(images, 'image')}, {counted(units, 'unit')}"
    sign = "the evidence against " if one.negated else ""
    what = (
        f"{method_title(one.method)} of {sign}'{one.layer}' back to '{one.to}' "
        f"[{counts}, {sizes(one.attribution.shape[2:])}]"
    )
    shown = [one.captions(0, unit)[0] for unit in range(min(units, TOLD))]
    more = ", ..." if units > TOLD else ""
    name = f"{one.names[0]}: " if images > 1 and any(one.names) else ""
    return what, f"{name}{', '.join(shown)}{more}"


def _label(one: Explanation, channel: int) -> str:
    return one.labels[channel] if 0 <= channel < len(one.labels) else ""
