"""Operators that keep every value, or change its type: Identity, Dropout, Cast, CastLike."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_constant, is_float, optional_input
from onnxplain.graphops.operators import batching, roles
from onnxplain.graphops.operators.constructors import NOT_FOLLOWED, elementwise
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.rules import Signals, to_first

__all__ = ["OPERATORS"]


def _cast(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Cast the signal back; the signal of quantised integers stays a float."""
    if not is_float(n.inputs[0]):
        return (g,)
    return (op.Cast(g, to=op.signal_type(n.inputs[0])),)


def _cast_like(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The values of the second input have no influence, so its signal is zero."""
    x, like = n.inputs
    return op.Cast(g, to=op.signal_type(x)), op.zeros_like(like)


def _dropout(op: Emitter, n: Node, g: Tensor) -> Signals:
    training = optional_input(n, 2)
    if training is not None and not (is_constant(training) and not np.any(training.values)):
        raise UnsupportedModel(
            f"Dropout '{n.name}' is in training mode: export the model for inference"
        )
    return to_first(n, g)


OPERATORS: dict[str, Operator] = {
    "Cast": elementwise(_cast),
    "CastLike": Operator(
        _cast_like,
        batch=batching.first_input,
        axes=NOT_FOLLOWED,
        slide=Without("not written: exporters write Cast instead"),
        roles=roles.same,
        type_only=(1,),
    ),
    "Dropout": elementwise(_dropout),
    "Identity": elementwise(lambda op, n, g: (g,)),
}
