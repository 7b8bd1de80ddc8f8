"""Operators that keep every value, or give it another type: Identity, Dropout, Cast, CastLike."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, is_constant, is_float
from onnxplain.graphops.operators import batching
from onnxplain.graphops.operators.kinds import NO_PRODUCTS, NOT_FOLLOWED, elementwise
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals

__all__ = ["OPERATORS"]


def _cast(op: Emitter, n: Node, g: Any) -> Signals:
    """The other way; the signal of quantised integers is a float."""
    if not is_float(n.inputs[0]):
        return (g,)
    return (op.Cast(g, to=op.signal_type(n.inputs[0])),)


def _cast_like(op: Emitter, n: Node, g: Any) -> Signals:
    """Of the second input only the type counts: what it says of itself changes nothing."""
    x, like = n.inputs
    return op.Cast(g, to=op.signal_type(x)), op.zeros_like(like)


def _dropout(op: Emitter, n: Node, g: Any) -> Signals:
    training = n.inputs[2] if len(n.inputs) > 2 and not n.inputs[2].is_empty() else None
    if training is not None and not (is_constant(training) and not np.any(training.values)):
        raise UnsupportedModel(
            f"Dropout '{n.name}' is in training mode: export the model for inference"
        )
    return (g, *(None for _ in n.inputs[1:]))


OPERATORS: dict[str, Operator] = {
    "Cast": elementwise(_cast),
    "CastLike": Operator(
        _cast_like,
        batch=batching.first_input,
        axes=NOT_FOLLOWED,
        slide=Without("not written: exporters write Cast"),
        cost=NO_PRODUCTS,
        type_only=(1,),
    ),
    "Dropout": elementwise(_dropout),
    "Identity": elementwise(lambda op, n, g: (g,)),
}
