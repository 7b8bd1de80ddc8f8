"""Max-poolings and MaxUnpool; `unpool.py` has the forms in which a MaxPool is undone."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxplain.graphops.ir import Emitter, Node
from onnxplain.graphops.operators import axes, sliding
from onnxplain.graphops.operators.average_pooling import pool_cost
from onnxplain.graphops.operators.kinds import NO_PRODUCTS, channels_first
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Rule, Signals
from onnxplain.graphops.operators.unpool import FORMS, choose_form

__all__ = ["OPERATORS", "unpooling"]


def unpooling(requested: str, target: str = "cpu") -> Rule:
    """Return the rule of MaxPool in the form asked for, `auto` for the target's best exact one."""

    def max_pool(op: Emitter, n: Node, g: Any) -> Signals:
        form, _ = choose_form(n, requested, target)
        return (FORMS[form](op, n, g),)

    return max_pool


def _global_max_pool(op: Emitter, n: Node, g: Any) -> Signals:
    """Everything goes to the first maximum of each channel, in row-major order."""
    x = n.inputs[0]
    values = op.Reshape(x, [0, 0, -1])
    switch = op.ArgMax(values, axis=2, keepdims=1)
    places = op.Range(
        op.constant(0, np.int64),
        op.ReduceProd(op.shape(x, 2), keepdims=0),
        op.constant(1, np.int64),
    )
    placed = op.Where(op.Equal(switch, places), op.Reshape(g, [0, 0, 1]), 0.0)
    return (op.reshape_like(placed, x),)


def _max_unpool(op: Emitter, n: Node, g: Any) -> Signals:
    """Pick the signal at the indices; they count through all images, and here within one."""
    indices = n.inputs[1]
    row = op.ReduceProd(op.shape(n.outputs[0], 1), keepdims=1)
    places = op.Flatten(op.Mod(indices, row), axis=1)
    picked = op.GatherElements(op.Flatten(g, axis=1), places, axis=1)
    return (op.reshape_like(picked, n.inputs[0]), *(None for _ in n.inputs[1:]))


def _max_unpool_batch(node: Node, batched: list[bool]) -> bool:
    return all(batched[:2])


OPERATORS: dict[str, Operator] = {
    "GlobalMaxPool": channels_first(
        _global_max_pool, axes=axes.batch_only, slide=sliding.global_pool("MaxPool")
    ),
    "MaxPool": channels_first(
        unpooling("auto"), axes=axes.window, slide=sliding.window, cost=pool_cost
    ),
    "MaxUnpool": Operator(
        _max_unpool,
        batch=_max_unpool_batch,
        axes=Without("the indices may put a value anywhere"),
        slide=Without("its indices count the positions of one window"),
        cost=NO_PRODUCTS,
    ),
}
