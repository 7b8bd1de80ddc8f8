"""Kinds of operators that have most facts in common, and reasons that many of them share."""

from __future__ import annotations

from onnxplain.graphops.operators import axes, batching, sliding
from onnxplain.graphops.operators.operator import (
    AxesRule,
    Channels,
    CostRule,
    Operator,
    SlideRule,
    Without,
)
from onnxplain.graphops.operators.table import Rule, unbroadcasting

__all__ = [
    "INTEGERS",
    "NOT_FOLLOWED",
    "NO_PRODUCTS",
    "STEPS",
    "broadcasting_elementwise",
    "channels_first",
    "elementwise",
    "no_flow",
]

NO_PRODUCTS = Without("only convolutions and matrix products are counted")
STEPS = Without("its derivative is zero wherever it exists")
NOT_FOLLOWED = Without("not followed: its output counts as seeing all of the input")
INTEGERS = Without("its output is true or false, or whole numbers")


def elementwise(vjp: Rule | Without, slide: SlideRule = sliding.elementwise) -> Operator:
    """An operator that gives each element of its output from the same element of its inputs."""
    return Operator(
        vjp,
        batch=batching.elementwise,
        axes=axes.elementwise,
        slide=slide,
        cost=NO_PRODUCTS,
        channels=Channels.KEPT,
    )


def broadcasting_elementwise(vjp: Rule) -> Operator:
    """An element-wise operator that repeats its inputs; its rule need not sum over the copies."""
    return elementwise(unbroadcasting(vjp))


def no_flow(why: Without) -> Operator:
    """An operator that no signal passes, so that nothing else was asked of it yet."""
    nothing = Without("no signal passes it")
    return Operator(why, batch=nothing, axes=nothing, slide=nothing, cost=NO_PRODUCTS)


def channels_first(
    vjp: Rule, axes: AxesRule, slide: SlideRule | Without, cost: CostRule | Without = NO_PRODUCTS
) -> Operator:
    """An operator with one data input, which is [N, C, ...] by definition."""
    return Operator(vjp, batching.first_input, axes, slide, cost, Channels.FIRST)
