"""Kinds of operators that share most facts, and the reasons that many operators share."""

from __future__ import annotations

from onnxplain.graphops.operators import axes, batching, roles, sliding
from onnxplain.graphops.operators.operator import (
    NO_PRODUCTS,
    AxesRule,
    Channels,
    CostRule,
    Operator,
    SlideRule,
    Without,
)
from onnxplain.graphops.operators.rules import Rule, unbroadcasting

__all__ = [
    "FRACTION", "INDEXED", "INTEGERS", "NOT_FOLLOWED", "STEPS", "broadcasting_elementwise",
    "channels_first", "elementwise", "no_flow",
]  # fmt: skip

STEPS = Without("its derivative is zero wherever it exists")
NOT_FOLLOWED = Without("not followed: each output counts as seeing all of the input")
INTEGERS = Without("its output is Boolean or whole numbers")
FRACTION = Without("one step of the map would be a fraction of a pixel")
INDEXED = Without("its indices count the positions of one window")


def elementwise(vjp: Rule | Without, slide: SlideRule = sliding.elementwise) -> Operator:
    """An operator whose output elements each depend on the same element of its inputs."""
    return Operator(vjp, batching.elementwise, axes.elementwise, slide, roles=roles.elementwise)


def broadcasting_elementwise(vjp: Rule) -> Operator:
    """An element-wise operator that broadcasts; its rule need not sum over the copies."""
    return elementwise(unbroadcasting(vjp))


def no_flow(why: Without) -> Operator:
    """An operator that no signal passes, so that its other facts are not needed."""
    nothing = Without("no signal passes it")
    return Operator(why, batch=nothing, axes=nothing, slide=nothing)


def channels_first(
    vjp: Rule,
    axes: AxesRule,
    slide: SlideRule | Without,
    cost: CostRule | Without = NO_PRODUCTS,
    *,
    makes_channels: bool = False,
) -> Operator:
    """An operator with one data input, which is [N, C, ...] by definition."""
    carried = roles.channels_first(makes_channels)
    return Operator(vjp, batching.first_input, axes, slide, cost, carried, Channels.FIRST)
