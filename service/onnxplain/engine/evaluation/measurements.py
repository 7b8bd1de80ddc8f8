"""The measurements of an evaluation: how faithful the maps of each method are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.evaluation import metrics
from onnxplain.engine.named_arrays import AxisNames, Coordinates, NamedArrays, counted

__all__ = ["Evaluation", "Evaluations"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The faithfulness of one method's maps, as means over the pictures.

    method: its name, or "random" for maps of noise, for comparison.
    deletion, insertion: the class probability, [steps + 1], as the strongest pixels are replaced by
        the picture's mean colour, or inserted into the blurred picture, step by step; the areas
        under these curves are `deletion_area` (lower is better) and `insertion_area` (higher is
        better).
    quantity: "probability", or "value" for a regression, whose curves are of its value, and whose
        areas are scaled so that the untouched pictures have 1 and the blank ones 0.
    pointing: the fraction of pictures whose strongest pixel lies in the mask; None without masks.
    mass: the fraction of the map's strength that lies in the mask; None without masks.
    randomization: Spearman's rank correlation with the maps of networks whose layers are shuffled
        from the top down, [layers], the topmost alone first; empty without the check.
    """

    method: str
    deletion: npt.NDArray[np.float64]
    insertion: npt.NDArray[np.float64]
    pointing: float | None
    mass: float | None
    randomization: npt.NDArray[np.float64]
    quantity: str = "probability"

    @property
    def deletion_area(self) -> float:
        """The area under the deletion curve."""
        return self._area_under(self.deletion)

    @property
    def insertion_area(self) -> float:
        """The area under the insertion curve."""
        return self._area_under(self.insertion)

    def _area_under(self, curve: Array) -> float:
        if self.quantity == "probability":
            return metrics.area_under(curve)
        untouched, blank = float(self.deletion[0]), float(self.deletion[-1])
        return metrics.scaled_area(curve, untouched, blank)


class Evaluations(list[Evaluation], NamedArrays):
    """The evaluations of several methods, in their order.

    `to_numpy()` is the areas under the deletion and the insertion curves, [methods, 2].

    refused: by the name of each method that cannot explain the network, the reason.
    notes: a sentence for each of these.
    """

    main = "area"

    def __init__(
        self, evaluations: Iterable[Evaluation] = (), refused: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(evaluations)
        self.refused = dict(refused or {})

    __repr__ = NamedArrays.__repr__  # not the list's

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """A sentence for each method that is left out."""
        return tuple(f"{method} is left out: {why}" for method, why in self.refused.items())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the measurements of all methods, by name; NaN where there is none."""
        return {
            "method": np.array([one.method for one in self], np.str_),
            "area": np.array([[one.deletion_area, one.insertion_area] for one in self]),
            "deletion": np.array([one.deletion for one in self]),
            "insertion": np.array([one.insertion for one in self]),
            "pointing": np.array([one.pointing for one in self], np.float64),
            "mass": np.array([one.mass for one in self], np.float64),
            "randomization": np.array([one.randomization for one in self]),
        }

    def _axes(self) -> AxisNames:
        axes: AxisNames = dict.fromkeys(("deletion", "insertion"), ("method", "step"))
        axes |= dict.fromkeys(("pointing", "mass"), ("method",))
        return {**axes, "area": ("method", "curve"), "randomization": ("method", "layer")}

    def _coordinates(self) -> Coordinates:
        return {
            "method": (("method",), [one.method for one in self]),
            "curve": (("curve",), ["deletion", "insertion"]),
        }

    def _told(self) -> tuple[str, str]:
        areas = (f"{one.method} {one.deletion_area:.3f} / {one.insertion_area:.3f}" for one in self)
        return (
            f"areas under the curves of deletion / insertion [{counted(len(self), 'method')}]",
            ", ".join(areas),
        )
