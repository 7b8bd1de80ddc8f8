"""The engine's methods: those of the rewriter, and here those of many runs, which are no one graph.

Only the standard library is imported.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from onnxplain.graphops.errors import UnknownMethod, nearest
from onnxplain.graphops.methods import METHODS as REWRITTEN
from onnxplain.graphops.methods import Imported, Method
from onnxplain.graphops.options import BASELINE, NOISE_SEED, Option

if TYPE_CHECKING:
    from onnxplain.engine.run import Chosen, ProjectedUnits, Run

__all__ = ["METHODS", "EngineMethod", "drawn_as", "find_method", "method_options", "own_options"]

HERE = "onnxplain.engine.methods"


@dataclass(frozen=True, eq=False, kw_only=True)
class EngineMethod(Method):
    """A method that takes many runs of the network.

    run: yields the projections of the chosen units, or names the function that does.
    """

    run: Imported[Callable[[Run, Chosen], Iterator[ProjectedUnits]]] = Imported()

    exportable: ClassVar[bool] = False


WINDOW = Option(
    "window", int, None, "pixels of the window's sides", each="side",
    default_text="an eighth of each side",
)  # fmt: skip
STRIDE = Option(
    "stride", int, None, "pixels from one window to the next", each="side",
    default_text="half the window",
)  # fmt: skip
MASKS = Option("masks", int, 1000, "how many masks", bounds=(1, math.inf))
RESOLUTION = Option("resolution", int, 8, "a mask's cells along a side", bounds=(1, 1000))
KEEP = Option("keep", float, 0.5, "the part of the cells that is kept", bounds=(0, 1), inside=True)
START = Option("start", str, "noise", "what the ascent starts from", choices=("noise", "picture"))
ITERATIONS = Option("iterations", int, 128, "how many steps", bounds=(1, math.inf))
STEP_SIZE = Option(
    "step_size", float, 0.02, "how far a step goes, root mean square, as a part of the range of "
    "values that pixels can have", bounds=(0, math.inf),
)  # fmt: skip
JITTER = Option(
    "jitter", int, 4, "pixels that the picture is shifted by at most before a step",
    bounds=(0, 10_000),
)  # fmt: skip
BLUR = Option(
    "blur", float, 0.5, "the deviation in pixels of the Gaussian after a step", bounds=(0, 1000)
)
DECAY = Option(
    "decay", float, 0.01, "the part of the way to mid-grey after a step", bounds=(0, math.inf)
)

OWN: dict[str, Method] = {
    method.name: method
    for method in (
        EngineMethod(
            "occlusion",
            run=f"{HERE}.occlusion:occlusion",
            takes=(WINDOW, STRIDE, BASELINE),
            summary="what the score loses where a window of the picture is covered",
            paper="Zeiler & Fergus 2014",
            peer="Captum `Occlusion`",
        ),
        EngineMethod(
            "rise",
            run=f"{HERE}.rise:rise",
            takes=(MASKS, RESOLUTION, KEEP, NOISE_SEED, BASELINE),
            summary="the mean of random masks, weighted by the score behind them",
            paper="Petsiuk et al. 2018",
            peer="DIANNA",
        ),
        EngineMethod(
            "activation_maximisation",
            run=f"{HERE}.activation_maximisation:maximise",
            takes=(START, ITERATIONS, STEP_SIZE, JITTER, BLUR, DECAY, NOISE_SEED),
            summary="a picture that excites the unit, by gradient ascent",
            paper="Erhan et al. 2009",
            drawn="picture",
            explains_class=False,
        ),
    )
}

# A view of both, in which a method that is added to either is found.
METHODS: Mapping[str, Method] = ChainMap(OWN, cast("dict[str, Method]", REWRITTEN))


def find_method(name: str | Method) -> Method:
    """Return the method of that name. Raises UnknownMethod with the nearest names."""
    if isinstance(name, Method):
        return name
    if name not in METHODS:
        raise UnknownMethod(f"no method '{name}' ({nearest(name, METHODS)})")
    return METHODS[name]


def method_options() -> dict[str, Option]:
    """Return the options that only single methods take, by their names."""
    return {option.name: option for method in METHODS.values() for option in method.takes}


def own_options(
    given: Mapping[str, Any], method: str | Method, methods: Sequence[str | Method]
) -> dict[str, Any]:
    """Return the options that one of several methods is given: without those of the others.

    What none of them takes stays, for the method to refuse. Raises UnknownMethod.
    """
    taken = {option.name for other in methods for option in find_method(other).takes}
    taken -= {option.name for option in find_method(method).takes}
    return {name: value for name, value in given.items() if name not in taken}


def drawn_as(method: str) -> str:
    """Return how a method's attributions are drawn; those of unknown methods are maps."""
    return METHODS[method].drawn if method in METHODS else "map"
