"""The methods: each is a table of rules, written as its difference from the gradient's, and a way
to make a map of what these carry back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from onnxplain.graphops import composites
from onnxplain.graphops.cams import grad_cam, grad_cam_pp, guided_grad_cam, layer_cam
from onnxplain.graphops.deeplift import deeplift
from onnxplain.graphops.errors import OptionError, UnknownMethod, nearest
from onnxplain.graphops.options import Position, SeedValue, Select
from onnxplain.graphops.rules import GRADIENT
from onnxplain.graphops.rules.rectifier import gate, rectifiers
from onnxplain.graphops.sampling import (
    integrated_gradients,
    smoothgrad,
    smoothgrad_sq,
    vargrad,
)
from onnxplain.graphops.simple import activation, times_input
from onnxplain.graphops.walk import Attribution, Rules, Walk, projected

__all__ = ["METHODS", "Method", "find_method"]

Over: TypeAlias = Literal["target", "map", "layer"]


@dataclass(frozen=True, eq=False)
class Method:
    """How a signal passes each operator, what is made of it, and where it starts by default.

    over: what the attribution lies over: the "target" (the picture, or what `to` names); for class
    activation maps a "map", the layer that is named, while the signal starts at the class score;
    or the "layer" itself. onwards: whether the signal of a "map" is also walked to the picture.
    """

    name: str
    rules: Rules
    compute: Callable[[Walk], Attribution] = projected
    over: Over = "target"
    onwards: bool = False
    select: Select = "channel"
    position: Position = "all"
    seed_value: SeedValue = "one"


# Zeiler and Fergus 2014: rectify the signal itself, whatever the rectifier's input was.
DECONVNET = GRADIENT | rectifiers(GRADIENT, lambda op, n, g: (op.Relu(g),))

# Springenberg et al. 2015: rectify the signal, and gate it by the rectifier's input.
GUIDED_BACKPROP = GRADIENT | rectifiers(GRADIENT, lambda op, n, g: (gate(op, n, op.Relu(g)),))


def _relevance(name: str, rules: Rules) -> Method:
    """Return a method that hands relevance down: from the unit's own value on, as Captum does."""
    compute = composites.relevance
    return Method(name, rules, compute, seed_value="activation")


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method("gradient", GRADIENT),
        Method("deconvnet", DECONVNET, position="max", seed_value="activation"),
        Method("guided_backprop", GUIDED_BACKPROP),
        Method("input_x_gradient", GRADIENT, compute=times_input),
        Method("smoothgrad", GRADIENT, compute=smoothgrad),
        Method("smoothgrad_sq", GRADIENT, compute=smoothgrad_sq),
        Method("vargrad", GRADIENT, compute=vargrad),
        Method("integrated_gradients", GRADIENT, compute=integrated_gradients),
        Method("inverse", GRADIENT, select="whole", seed_value="activation"),
        Method("grad_cam", GRADIENT, compute=grad_cam, over="map"),
        Method("grad_cam_pp", GRADIENT, compute=grad_cam_pp, over="map"),
        Method("layer_cam", GRADIENT, compute=layer_cam, over="map"),
        Method(
            "guided_grad_cam", GUIDED_BACKPROP, compute=guided_grad_cam, over="map", onwards=True
        ),
        Method("deeplift", GRADIENT, compute=deeplift),
        _relevance("lrp", composites.EPSILON_PLUS_FLAT),
        _relevance("lrp_epsilon", composites.EPSILON),
        _relevance("lrp_epsilon_plus", composites.EPSILON_PLUS),
        _relevance("lrp_epsilon_plus_flat", composites.EPSILON_PLUS_FLAT),
        _relevance("lrp_epsilon_alpha2_beta1", composites.EPSILON_ALPHA2_BETA1),
        _relevance("lrp_epsilon_alpha2_beta1_flat", composites.EPSILON_ALPHA2_BETA1_FLAT),
        _relevance("lrp_epsilon_gamma_box", composites.EPSILON_GAMMA_BOX),
        _relevance("excitation_backprop", composites.EXCITATION_BACKPROP),
        Method("activation", GRADIENT, compute=activation, over="layer"),
    )
}

# Methods that take many runs of the network and are no one graph: the engine runs them.
RUN = ("activation_maximisation", "occlusion", "rise")


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
