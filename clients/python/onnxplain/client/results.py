"""The results of `explain` and `evaluate`, assembled from the pieces that the service streams."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from onnxplain.client.errors import InvalidArgumentError
from onnxplain.client.pieces import Groups, Told, is_progress, joined
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["EvaluationParts", "Result", "ResultParts", "ServedEvaluations"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Projections of units of a layer back to the pixels, for one or more images.

    attribution: float32 [images, units, *shape of `to` without its batch].
    score: float32 [images, units]. channels: int64 [images, units].
    position: int64 [images, units, spatial rank], None where the signal started at all positions.
    box: int64 [images, units, 4], the receptive field of each unit's position in pixels of the
        network's input, clipped to it: top, left, bottom and right, the latter two exclusive. None
        where there is no position, or the input is not a picture.
    others: float32 [images, units, ...] by name, the attributions to further inputs where `to` was
        "all".
    completeness_error: float32 [images, units], the violation of the method's conservation law;
        None for methods without one.
    probability: float32 [images, units], the network's own; None unless the layer is the class
        score and a Softmax or Sigmoid follows it.
    layer, to: the tensors projected from and to. method: the method's name.
    labels: class names by channel, where the layer is the class score.
    seed_value: the value that the signal started with, "one" or "activation"; with the latter, the
        score is the sum of the activation's squares.
    notes: assumptions, and oddities of the result.
    pictures: uint8 [H, W, 3] each, as the network sees them; empty unless requested.
    preprocess: how pictures became inputs (size, crop, color, mean, std, scale, resize,
        interpolation); None if the images were network inputs.
    model: the version used, `models/{model}/versions/{version}`.
    """

    attribution: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    channels: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64] | None
    completeness_error: npt.NDArray[np.float32] | None
    probability: npt.NDArray[np.float32] | None
    layer: str
    to: str
    method: str
    seed_value: str
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    pictures: tuple[npt.NDArray[np.uint8], ...]
    preprocess: dict[str, Any] | None
    model: str
    others: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    box: npt.NDArray[np.int64] | None = None

    def to_numpy(self) -> npt.NDArray[np.float32]:
        """Return the attributions, float32 [images, units, ...]."""
        return self.attribution

    def __repr__(self) -> str:
        images, units, *shape = self.attribution.shape
        first = int(self.channels[0, 0])
        known = 0 <= first < len(self.labels)
        name = " ".join(self.labels[first].split())[:60] if known else f"channel {first}"
        return (
            f"Result: {self.method} of '{self.layer}' back to '{self.to}' [{images} images, "
            f"{units} units, {'x'.join(map(str, shape))}]\n"
            f"  first: {name} (score {self.score[0, 0]:.3g}); {len(self.notes)} notes"
        )


class ServedEvaluations(list[pb.MethodEvaluation]):
    """The evaluations of several methods, in their order; the last is "random", maps of noise.

    refused: by the name of each method that cannot explain the network, the reason.
    """

    def __init__(self, parts: Iterable[pb.EvaluateResponse] = ()) -> None:
        parts = list(parts)
        super().__init__(part.method for part in parts if part.HasField("method"))
        refused = [part.refused for part in parts if part.HasField("refused")]
        self.refused = {refusal.method: refusal.reason for refusal in refused}


class ResultParts:
    """The pieces of a Result, added as they arrive.

    progress: called with the projections received, and their total. passes: called with the runs
    done of the current projection, and their total.
    """

    def __init__(self, progress: Told, passes: Told) -> None:
        self._progress, self._passes = progress, passes
        self._groups = Groups(_key, self._take)
        self._header = pb.ExplainHeader()
        self._notes: list[str] = []
        self._pictures: list[npt.NDArray[np.uint8]] = []
        self._units: list[list[pb.UnitPart]] = []
        self._maps: list[list[Array]] = []
        self._others: dict[str, list[list[Array]]] = {}

    def add(self, message: pb.ExplainUnitsResponse) -> None:
        """Add a message of the stream. Raises ClientError if it is damaged."""
        if not is_progress(message, None, self._passes):
            self._groups.add(message)

    def result(self) -> Result:
        """Return the whole. Raises ClientError if the attributions differ in shape."""
        self._groups.end()
        for arrays in (self._maps, *self._others.values()):
            _require_one_shape(arrays)
        units, header = self._units, self._header
        position, box = (_by_unit(units, name, np.int64) for name in ("position", "box"))
        return Result(
            attribution=np.array(self._maps, np.float32),
            score=_by_unit(units, "score", np.float32),
            channels=_by_unit(units, "channel", np.int64),
            position=position if position.shape[-1] else None,
            box=box if box.shape[-1] else None,
            completeness_error=_where_set(units, "completeness_error"),
            probability=_where_set(units, "probability"),
            layer=header.layer,
            to=header.to,
            method=header.method,
            seed_value=pb.SeedValue.Name(header.seed_value).removeprefix("SEED_VALUE_").lower(),
            labels=tuple(header.labels),
            notes=tuple(self._notes),
            pictures=tuple(self._pictures),
            preprocess=_preprocess(header.preprocess) if header.HasField("preprocess") else None,
            model=header.model,
            others={name: np.array(maps, np.float32) for name, maps in self._others.items()},
        )

    def _take(self, messages: list[pb.ExplainUnitsResponse]) -> None:
        kind = messages[0].WhichOneof("part")
        if kind == "header":
            self._header = messages[0].header
        elif kind == "note":
            self._notes += [message.note for message in messages]
        elif kind == "picture":
            self._pictures.append(joined(message.picture.pixels for message in messages))
        elif kind == "unit":
            self._take_unit([message.unit for message in messages])
        if self._progress is not None and kind in ("header", "unit"):
            self._progress(sum(map(len, self._units)), self._header.total)

    def _take_unit(self, parts: list[pb.UnitPart]) -> None:
        image = parts[0].image
        if image == len(self._units):
            self._units.append([])
            self._maps.append([])
        pieces = [part.attribution for part in parts if part.HasField("attribution")]
        self._maps[image].append(joined(pieces))
        further = [named for part in parts for named in part.others]
        for name, named_parts in groupby(further, lambda named: named.name):
            rows = self._others.setdefault(name, [])
            if image == len(rows):
                rows.append([])
            rows[image].append(joined(part.values for part in named_parts))
        self._units[image].append(parts[0])


class EvaluationParts:
    """The pieces of ServedEvaluations, added as they arrive.

    progress: called with the steps done, and their total.
    """

    def __init__(self, progress: Told) -> None:
        self._progress = progress
        self._parts: list[pb.EvaluateResponse] = []

    def add(self, message: pb.EvaluateResponse) -> None:
        """Add a message of the stream."""
        if not is_progress(message, self._progress, None):
            self._parts.append(message)

    def result(self) -> ServedEvaluations:
        """Return the whole."""
        return ServedEvaluations(self._parts)


def _by_unit(units: list[list[pb.UnitPart]], field: str, dtype: type[np.generic]) -> Array:
    """Return a field of every unit as an array [images, units, ...]."""
    return np.array([[getattr(unit, field) for unit in row] for row in units], dtype)


def _where_set(
    units: list[list[pb.UnitPart]], field: Literal["completeness_error", "probability"]
) -> npt.NDArray[np.float32] | None:
    """Return an optional field of every unit, [images, units]; None unless all have it."""
    if not all(unit.HasField(field) for row in units for unit in row):
        return None
    return _by_unit(units, field, np.float32)


def _key(message: pb.ExplainUnitsResponse) -> tuple[str | None, int, int]:
    """Return what the pieces of one unit or picture have in common."""
    kind = message.WhichOneof("part")
    if kind == "unit":
        return kind, message.unit.image, message.unit.unit
    return kind, message.picture.image, 0


def _require_one_shape(maps: list[list[Array]]) -> None:
    shapes = sorted({array.shape for row in maps for array in row})
    if len(shapes) > 1:
        raise InvalidArgumentError(
            f"the pictures differ in size, so their attributions {list(shapes[0])} and "
            f"{list(shapes[1])} do not fit into one array: set a preprocessing size, or explain "
            "them one by one",
            "PictureError",
        )


def _preprocess(used: pb.Preprocess) -> dict[str, Any]:
    return {
        "size": (used.height, used.width) if used.height or used.width else None,
        "crop": used.crop,
        "color": used.color,
        "mean": tuple(used.mean),
        "std": tuple(used.std),
        "scale": used.scale,
        "resize": used.resize or None,
        "interpolation": used.interpolation or "bilinear",
    }
