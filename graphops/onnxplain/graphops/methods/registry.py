"""The methods: each is a table of rules, written as its difference from the gradient's, and a way
to make a map of what these carry back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from onnxplain.graphops.backward import Attribution, Rules, Walk, projected
from onnxplain.graphops.errors import OptionError, UnknownMethod, nearest
from onnxplain.graphops.methods import lrp_composites as composites
from onnxplain.graphops.methods.cam import grad_cam, grad_cam_pp, guided_grad_cam, layer_cam
from onnxplain.graphops.methods.deeplift import deeplift
from onnxplain.graphops.methods.elementary import activation, times_input
from onnxplain.graphops.methods.sampling import (
    integrated_gradients,
    smoothgrad,
    smoothgrad_sq,
    vargrad,
)
from onnxplain.graphops.operators import GRADIENT, gate, rectifiers
from onnxplain.graphops.options import Position, SeedValue, Select

__all__ = ["METHODS", "RUN", "Method", "find_method", "require_taken", "takes"]

Over: TypeAlias = Literal["target", "map", "layer"]


@dataclass(frozen=True, eq=False)
class Method:
    """How a signal passes each operator, what is made of it, and where it starts by default.

    over: what the attribution lies over: the "target" (the picture, or what `to` names); for class
    activation maps a "map", the layer that is named, while the signal starts at the class score;
    or the "layer" itself. onwards: whether the signal of a "map" is also walked to the picture.
    takes: which of the options that only single methods have. summary: what it shows, in a line.
    """

    name: str
    rules: Rules
    compute: Callable[[Walk], Attribution] = projected
    over: Over = "target"
    onwards: bool = False
    select: Select = "channel"
    position: Position = "all"
    seed_value: SeedValue = "one"
    takes: tuple[str, ...] = ()
    summary: str = ""


# Zeiler and Fergus 2014: rectify the signal itself, whatever the rectifier's input was.
DECONVNET = GRADIENT | rectifiers(GRADIENT, lambda op, n, g: (op.Relu(g),))

# Springenberg et al. 2015: rectify the signal, and gate it by the rectifier's input.
GUIDED_BACKPROP = GRADIENT | rectifiers(GRADIENT, lambda op, n, g: (gate(op, n, op.Relu(g)),))


MAPPED = ("score_layer", "upsample")
NOISY = ("samples", "noise_level", "noise_seed")


def _relevance(name: str, rules: Rules, summary: str, takes: tuple[str, ...] = ()) -> Method:
    """Return a method that hands relevance down: from the unit's own value on, as Captum does."""
    compute = composites.relevance
    return Method(name, rules, compute, seed_value="activation", takes=takes, summary=summary)


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("gradient", GRADIENT, summary="the unit's derivative by each pixel"),
        Method(
            "deconvnet",
            DECONVNET,
            position="max",
            seed_value="activation",
            summary="the unit's activity carried back to the pixels, rectified on its way",
        ),
        Method("guided_backprop", GUIDED_BACKPROP, summary="the gradient's positive signals only"),
        Method("input_x_gradient", GRADIENT, times_input, summary="the gradient times the picture"),
        Method(
            "smoothgrad",
            GRADIENT,
            smoothgrad,
            takes=NOISY,
            summary="the mean of the gradients at noisy copies of the picture",
        ),
        Method(
            "smoothgrad_sq",
            GRADIENT,
            smoothgrad_sq,
            takes=NOISY,
            summary="the mean of the squared gradients at noisy copies",
        ),
        Method(
            "vargrad",
            GRADIENT,
            vargrad,
            takes=NOISY,
            summary="the variance of the gradients at noisy copies",
        ),
        Method(
            "integrated_gradients",
            GRADIENT,
            integrated_gradients,
            takes=("steps", "baseline"),
            summary="the gradients on the way from a baseline, added up",
        ),
        Method(
            "deeplift",
            GRADIENT,
            deeplift,
            takes=("baseline",),
            summary="what each difference from a baseline contributes, by the rescale rule",
        ),
        Method(
            "grad_cam",
            GRADIENT,
            grad_cam,
            over="map",
            takes=MAPPED,
            summary="where in a layer the evidence lies, its channels weighted by mean gradients",
        ),
        Method(
            "grad_cam_pp",
            GRADIENT,
            grad_cam_pp,
            over="map",
            takes=MAPPED,
            summary="Grad-CAM for several objects of a class",
        ),
        Method(
            "layer_cam",
            GRADIENT,
            layer_cam,
            over="map",
            takes=MAPPED,
            summary="Grad-CAM with weights place by place, for earlier layers too",
        ),
        Method(
            "guided_grad_cam",
            GUIDED_BACKPROP,
            guided_grad_cam,
            over="map",
            onwards=True,
            takes=MAPPED,
            summary="guided backpropagation where Grad-CAM sees evidence",
        ),
        _relevance("lrp", composites.EPSILON_PLUS_FLAT, "the same as lrp_epsilon_plus_flat"),
        _relevance("lrp_epsilon", composites.EPSILON, "relevance by each input's part of the sum"),
        _relevance(
            "lrp_epsilon_plus",
            composites.EPSILON_PLUS,
            "relevance along positive parts in convolutions, epsilon in dense layers",
        ),
        _relevance(
            "lrp_epsilon_plus_flat",
            composites.EPSILON_PLUS_FLAT,
            "as epsilon_plus, spread evenly in the first layer",
        ),
        _relevance(
            "lrp_epsilon_alpha2_beta1",
            composites.EPSILON_ALPHA2_BETA1,
            "twice the positive parts less the negative ones in convolutions",
        ),
        _relevance(
            "lrp_epsilon_alpha2_beta1_flat",
            composites.EPSILON_ALPHA2_BETA1_FLAT,
            "as epsilon_alpha2_beta1, spread evenly in the first layer",
        ),
        _relevance(
            "lrp_epsilon_gamma_box",
            composites.EPSILON_GAMMA_BOX,
            "positive parts count more in convolutions, the first knows the pixels' bounds",
            takes=("low", "high"),
        ),
        _relevance(
            "excitation_backprop",
            composites.EXCITATION_BACKPROP,
            "winners by their positive weights, layer after layer",
        ),
        Method(
            "inverse",
            GRADIENT,
            select="whole",
            seed_value="activation",
            summary="a whole layer's activity carried back through one layer or a span of them",
        ),
        Method(
            "activation", GRADIENT, activation, over="layer", summary="the unit's own map, forwards"
        ),
    )
}

# Methods that take many runs of the network and are no one graph: the engine runs them. What each
# takes besides, and what it shows.
RUN: Mapping[str, tuple[tuple[str, ...], str]] = {
    "occlusion": (
        ("window", "stride", "baseline"),
        "what the score loses where a window of the picture is covered",
    ),
    "rise": (
        ("masks", "resolution", "keep", "noise_seed", "baseline"),
        "the mean of random masks, weighted by the score behind them",
    ),
    "activation_maximisation": (
        ("start", "iterations", "step_size", "jitter", "blur", "decay", "noise_seed"),
        "a picture that excites the unit, by gradient ascent",
    ),
}

# The options that only single methods have.
OWN = {o for m in METHODS.values() for o in m.takes} | {o for t, _ in RUN.values() for o in t}


def takes(method: str | Method) -> tuple[str, ...]:
    """Return the options that the method takes and not all others do. Raises UnknownMethod."""
    if isinstance(method, str) and method in RUN:
        return RUN[method][0]
    return find_method(method).takes


def require_taken(method: str | Method, given: Iterable[str]) -> None:
    """Raise OptionError where an option is given that only other methods take."""
    name = method if isinstance(method, str) else method.name
    for option in given:
        if option in OWN and option not in takes(method):
            others = [m.name for m in METHODS.values() if option in m.takes]
            others += [other for other, (taken, _) in RUN.items() if option in taken]
            raise OptionError(
                f"method '{name}' takes no {option.replace('_', ' ')}: leave it out, or choose "
                f"{' or '.join(others)}"
            )


def find_method(name: str | Method) -> Method:
    """Return the method of that name. Raises UnknownMethod with the nearest names."""
    if isinstance(name, Method):
        return name
    if name in RUN:
        raise OptionError(
            f"method '{name}' takes many runs of the network, so that it is no one graph: have "
            "`explain` run it, or choose another method"
        )
    if name not in METHODS:
        raise UnknownMethod(f"no method '{name}' ({nearest(name, [*METHODS, *RUN])})")
    return METHODS[name]
