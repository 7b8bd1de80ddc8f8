"""LRP at softmax attention: AttnLRP (Achtibat et al. 2024) and CP-LRP (Ali et al. 2022)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute
from onnxplain.graphops.methods.lrp_products import VIEWS
from onnxplain.graphops.operators import Signals

__all__ = ["attention_scores", "taylor_softmax"]


def taylor_softmax(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Return x·(R − y·Σ R), softmax's Taylor rule.

    It is the gradient times x for relevance R = y·∂/∂y. The bias of the expansion absorbs the rest,
    so relevance is not conserved. Where y is zero, x may be −∞, a mask, and gets nothing.
    """
    x, y, axis = n.inputs[0], n.outputs[0], attribute(n, "axis", -1)
    signal = op.Mul(x, op.Sub(g, op.Mul(y, op.ReduceSum(g, [axis], keepdims=1))))
    return (op.Where(op.Equal(y, 0.0), 0.0, signal),)


def attention_scores(nodes: Iterable[Node], carriers: Collection[str]) -> frozenset[str]:
    """Return the names of the tensors from which a Softmax is computed by sums and views alone.

    A constant that is added to them, such as a mask or a bias for relative positions, is a part of
    the x that `taylor_softmax` shares relevance by, and keeps its part.
    """
    scores: set[str] = set()
    for node in reversed(list(nodes)):
        between = node.op == "Add" or node.op in VIEWS
        if node.op == "Softmax" or (between and node.outputs[0].name in scores):
            scores.update(t.name for t in node.inputs if t.name in carriers)
    return frozenset(scores)
