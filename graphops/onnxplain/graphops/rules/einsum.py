"""The vector-Jacobian product of Einsum: the same sum, an input and the output changing places."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.graph import Node, Tensor, attribute, is_constant
from onnxplain.graphops.rules.table import Rule, Signals

__all__ = ["RULES"]


def _einsum(op: Emitter, n: Node, g: Any) -> Signals:
    terms, result = _terms(n)
    return tuple(_signal(op, n, g, i, terms, result) for i in range(len(terms)))


def _signal(
    op: Emitter, n: Node, g: Tensor, i: int, terms: list[str], result: str
) -> Tensor | None:
    """For ab,bc→ac the signal of the first is ac,bc→ab; an index only it has is repeated."""
    x = n.inputs[i]
    if is_constant(x):
        return None
    others = [t for j, t in enumerate(terms) if j != i]
    known = set(result).union(*others)
    kept = "".join(c for c in terms[i] if c in known)
    equation = ",".join([result, *others]) + "->" + kept
    signal = op.Einsum(g, *(t for j, t in enumerate(n.inputs) if j != i), equation=equation)
    missing = [axis for axis, c in enumerate(terms[i]) if c not in known]
    if missing:
        signal = op.Expand(op.Unsqueeze(signal, missing), op.shape(x))
    return signal


def _terms(n: Node) -> tuple[list[str], str]:
    """Return the indices of each input and of the output."""
    equation = attribute(n, "equation").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        letters = left.replace(",", "")
        result = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    if "." in equation or any(len(set(t)) < len(t) for t in terms):
        raise UnsupportedOperator(
            f"Einsum '{n.name}' has the equation '{equation}'; an ellipsis or an index twice in "
            "one term has no rule: export the model with them written out"
        )
    return terms, result


RULES: dict[str, Rule] = {"Einsum": _einsum}
