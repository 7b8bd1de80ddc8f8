"""The engine's methods: the rewriter's, and those of many runs, which no single graph computes.

Only the standard library is imported.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from onnxplain.graphops.methods import METHODS as REWRITTEN
from onnxplain.graphops.methods import Imported, Method, unknown_method
from onnxplain.graphops.options import BASELINE, NOISE_SEED, Option

if TYPE_CHECKING:
    from onnxplain.engine.run import Chosen, ProjectedUnits, Run

__all__ = [
    "METHODS",
    "EngineMethod",
    "drawn_as",
    "find_method",
    "method_options",
    "method_title",
    "own_options",
]

HERE = "onnxplain.engine.methods"


@dataclass(frozen=True, eq=False, kw_only=True)
class EngineMethod(Method):
    """A method that takes many runs of the network.

    run: a generator of the chosen units' projections, or its "module:function" name.
    """

    run: Imported[Callable[[Run, Chosen], Iterator[ProjectedUnits]]] = Imported()

    exportable: ClassVar[bool] = False


WINDOW = Option(
    "window", int, None, "the window's sides in pixels", each="side",
    default_text="an eighth of each side",
)  # fmt: skip
STRIDE = Option(
    "stride", int, None, "the distance between windows in pixels", each="side",
    default_text="half the window",
)  # fmt: skip
MASKS = Option("masks", int, 1000, "the number of masks", bounds=(1, math.inf))
RESOLUTION = Option(
    "resolution", int, 8, "the number of a mask's cells along a side", bounds=(1, 1000)
)
KEEP = Option(
    "keep", float, 0.5, "the probability that a cell stays visible", bounds=(0, 1), inside=True
)
START = Option(
    "start", str, "noise", "the picture that the ascent starts from", choices=("noise", "picture")
)
ITERATIONS = Option("iterations", int, 128, "the number of steps", bounds=(1, math.inf))
STEP_SIZE = Option(
    "step_size", float, 0.02, "the root mean square of a step, as a fraction of the range of pixel "
    "values", bounds=(0, math.inf),
)  # fmt: skip
JITTER = Option(
    "jitter", int, 4, "the largest random shift before a step, in pixels", bounds=(0, 10_000)
)
BLUR = Option(
    "blur", float, 0.5, "the standard deviation of the Gaussian blur after a step, in pixels",
    bounds=(0, 1000),
)  # fmt: skip
DECAY = Option(
    "decay", float, 0.01, "the fraction by which a step fades the picture to mid-grey",
    bounds=(0, math.inf),
)  # fmt: skip

OWN: dict[str, Method] = {
    method.name: method
    for method in (
        EngineMethod(
            "occlusion",
            aliases=("occlusion sensitivity", "ablation", "perturbation"),
            run=f"{HERE}.occlusion:occlusion",
            takes=(WINDOW, STRIDE, BASELINE),
            summary="the drop of the score where a window covers the picture",
            paper="Zeiler & Fergus 2014",
            peer="Captum `Occlusion`",
        ),
        EngineMethod(
            "rise",
            title="RISE",
            aliases=("randomized input sampling",),
            run=f"{HERE}.rise:rise",
            takes=(MASKS, RESOLUTION, KEEP, NOISE_SEED, BASELINE),
            summary="the mean score of masked pictures that show a pixel, less that of all",
            paper="Petsiuk et al. 2018",
            peer="DIANNA",
        ),
        EngineMethod(
            "activation_maximisation",
            aliases=(
                "activation maximization",
                "am",
                "feature visualisation",
                "feature visualization",
                "deep dream",
            ),
            run=f"{HERE}.activation_maximisation:maximise",
            takes=(START, ITERATIONS, STEP_SIZE, JITTER, BLUR, DECAY, NOISE_SEED),
            summary="a picture that excites the unit strongly, by gradient ascent",
            paper="Erhan et al. 2009",
            drawn="picture",
            explains_class=False,
        ),
    )
}

# A live view of both registries, so that a method added to either is in it.
METHODS: Mapping[str, Method] = ChainMap(OWN, cast("dict[str, Method]", REWRITTEN))


def find_method(name: str | Method) -> Method:
    """Return the named method. Raises UnknownMethod, whose text has the names meant."""
    if isinstance(name, Method):
        return name
    if not isinstance(name, str):
        raise TypeError(
            f"method must be the name of a method or a Method, not {name!r:.60} "
            f"({type(name).__name__})"
        )
    if name not in METHODS:
        raise unknown_method(name, METHODS)
    return METHODS[name]


def method_options() -> dict[str, Option]:
    """Return the options that only single methods take, by name."""
    return {option.name: option for method in METHODS.values() for option in method.takes}


def own_options(
    given: Mapping[str, Any], method: str | Method, methods: Sequence[str | Method]
) -> dict[str, Any]:
    """Return the options for one of several methods: those given, less those of the others.

    An option that none of them takes stays, for the method to refuse. Raises UnknownMethod.
    """
    taken = {option.name for other in methods for option in find_method(other).takes}
    taken -= {option.name for option in find_method(method).takes}
    return {name: value for name, value in given.items() if name not in taken}


def drawn_as(method: str) -> str:
    """Return how a method's attributions are drawn, "map" for unknown methods."""
    return METHODS[method].drawn if method in METHODS else "map"


def method_title(name: str) -> str:
    """Return a method's name in figures and lists, or `name` itself if no method has it."""
    return METHODS[name].title if name in METHODS else name
