"""LRP at softmax attention: AttnLRP (Achtibat et al. 2024) and CP-LRP (Ali et al. 2022)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, optional_input
from onnxplain.graphops.methods.lrp_layers import Weighted
from onnxplain.graphops.methods.lrp_products import VIEWS, passed_to, proportionally
from onnxplain.graphops.methods.lrp_rules import LinearRule
from onnxplain.graphops.operators import NOTHING, Rule, Signals, through_attention

__all__ = ["attention_rule", "attention_scores", "taylor_softmax"]


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


def attention_rule(carriers: Collection[str], dense: LinearRule, hold: bool) -> Rule:
    """Return the rule of the operator Attention, which is that of the operators that spell it.

    dense: the rule of dense layers, of which weights that carry no relevance are one. hold: whether
    the weights are held constant.
    """

    def rule(op: Emitter, n: Node, g: Tensor | Signals) -> Signals:
        of_q, of_k, of_v = (t.name in carriers for t in n.inputs[:3])
        mask = optional_input(n, 3)
        if mask is not None and mask.name in carriers and not hold:
            raise UnsupportedOperator(
                f"Attention '{n.name}' has a mask that depends on the image, to which LRP passes "
                "no relevance: export the model for opset 22 or older, or choose lrp_cp"
            )

        def mix(op: Emitter, n: Node, g: Tensor) -> Signals:
            weights, values = n.inputs
            if hold or not (of_q or of_k):
                layer = Weighted(n, 1, n.outputs[0], weights, None)
                return NOTHING, dense(op, layer, g) if of_v else NOTHING
            return _shared_product(op, n, g, (True, of_v))

        through = through_attention(
            {
                "Add": lambda op, n, g: proportionally(op, n, g, [n.inputs[0].name]),
                "Mix": mix,
                "Mul": lambda op, n, g: passed_to(n, 0, g),
                "Score": lambda op, n, g: _shared_product(op, n, g, (of_q, of_k)),
                "Softmax": taylor_softmax,
                "Tanh": lambda op, n, g: passed_to(n, 0, g),
            }
        )
        return through(op, n, g)

    return rule


def _shared_product(op: Emitter, n: Node, g: Tensor, carry: tuple[bool, bool]) -> Signals:
    """Share the relevance of a product of two matrices among those that carry any."""
    names = [t.name for t, carries in zip(n.inputs, carry, strict=True) if carries]
    return proportionally(op, n, g, names, degree=len(names))
