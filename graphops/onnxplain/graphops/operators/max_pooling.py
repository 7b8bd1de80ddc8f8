"""MaxPool, GlobalMaxPool and MaxUnpool; `unpool.py` has the forms of a MaxPool's rule."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.ir import Emitter, Node, Tensor
from onnxplain.graphops.operators import axes, sliding
from onnxplain.graphops.operators.average_pooling import pool_cost
from onnxplain.graphops.operators.kinds import INDEXED, channels_first
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Rule, Signals, to_first
from onnxplain.graphops.operators.unpool import FORMS, choose_form

__all__ = ["OPERATORS", "unpooling"]


def unpooling(requested: str, target: str = "cpu") -> Rule:
    """Return MaxPool's rule in the requested form, for `auto` the target's best exact form."""

    def max_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
        form, _ = choose_form(n, requested, target)
        return (FORMS[form](op, n, g),)

    return max_pool


def _global_max_pool(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The signal goes to the first maximum of each channel, in row-major order."""
    x = n.inputs[0]
    values = op.Reshape(x, [0, 0, -1])
    switch = op.ArgMax(values, axis=2, keepdims=1)
    positions = op.Range(
        op.constant(0, np.int64),
        op.ReduceProd(op.shape(x, 2), keepdims=0),
        op.constant(1, np.int64),
    )
    placed = op.Where(op.Equal(switch, positions), op.Reshape(g, [0, 0, 1]), 0.0)
    return (op.reshape_like(placed, x),)


def _max_unpool(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Pick the signal at the indices, which count through the batch, by their part in one image."""
    indices = n.inputs[1]
    row = op.ReduceProd(op.shape(n.outputs[0], 1), keepdims=1)
    positions = op.Flatten(op.Mod(indices, row), axis=1)
    picked = op.GatherElements(op.Flatten(g, axis=1), positions, axis=1)
    return to_first(n, op.reshape_like(picked, n.inputs[0]))


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
        axes=Without("its indices may move a value to any position"),
        slide=INDEXED,
    ),
}
