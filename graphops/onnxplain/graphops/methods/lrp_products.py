"""LRP at products and quotients of signals, and at functions that are no layers.

R is the relevance at a node's output. A tensor carries relevance if it depends on the target and
is not held constant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from onnxplain.graphops.backward import require_signal
from onnxplain.graphops.ir import Emitter, Node, Tensor
from onnxplain.graphops.methods.lrp_rules import stabilized
from onnxplain.graphops.operators import (
    DEVIATION_HELD,
    GRADIENT,
    NOTHING,
    Rule,
    Signals,
    Table,
    unbroadcast,
)

__all__ = ["VIEWS", "held_factors", "passed_to", "product_rules", "proportionally"]

Carriers: TypeAlias = Collection[str]  # the names of the tensors that carry relevance
Producers: TypeAlias = Mapping[str, Node]  # the nodes of a path by the names of their outputs

GATES = ("HardSigmoid", "Sigmoid")
VIEWS = frozenset({
    "Cast", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Resize", "Slice",
    "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
# Functions of one signal, element by element, that are no activations.
CURVES = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Erf", "Exp", "Log",
    "Neg", "Reciprocal", "Sin", "Sinh", "Sqrt", "Tan",
)  # fmt: skip
# y(a·x) = a·y(x) for all a > 0, so that Σ x·∂y/∂x = y.
HOMOGENEOUS = ("CumSum", "GlobalLpPool", "LpPool", "Mean", "ReduceL1", "ReduceL2", "ReduceSum",
               "RotaryEmbedding", "Sub")  # fmt: skip
SCALINGS = ("LRN", "LpNormalization", "RMSNormalization")  # each x times a number


def product_rules(nodes: Iterable[Node], carriers: Carriers) -> Table:
    """Return the rules for products, quotients, sums, normalisations and functions of signals."""
    return {
        **dict.fromkeys(HOMOGENEOUS, _shared(carriers)),
        **dict.fromkeys(DEVIATION_HELD, _normalization),
        **dict.fromkeys((*CURVES, *SCALINGS), _pass_on),
        "Div": _quotient(carriers),
        "Einsum": _contraction(carriers),
        "Mul": _product(carriers, _producers(nodes)),
        "Pow": _quotient(carriers),
        "ReduceSumSquare": lambda op, n, g: proportionally(op, n, g, carriers, degree=2),
    }


def proportionally(
    op: Emitter, n: Node, g: Tensor, carriers: Carriers, degree: float = 1
) -> Signals:
    """Share R in proportion to each input's part of y: x·∂y/∂x·R/(degree·y).

    degree: that of y as a homogeneous function of all carriers: 2 for a product of two, of which
    each then gets half, as by the uniform rule of AttnLRP (Achtibat et al. 2024).
    """
    y = n.outputs[0]
    s = op.Div(g, stabilized(op, y if degree == 1 else op.Mul(y, float(degree))))
    return tuple(
        NOTHING if x.name not in carriers else None if r is None else op.Mul(x, r)
        for x, r in zip(n.inputs, GRADIENT[n.op](op, n, s), strict=True)
    )


def passed_to(n: Node, index: int, signal: Tensor) -> Signals:
    """Return the signals of a node that passes all relevance to one of its inputs."""
    return tuple(signal if i == index else NOTHING for i in range(len(n.inputs)))


def held_factors(
    nodes: Iterable[Node], carriers: Carriers, operators: Collection[str]
) -> frozenset[str]:
    """Return the names of the factors that come from one of the operators, through views alone.

    They are the factors of products of two carriers, where the other one does not come from such.
    """
    nodes = list(nodes)
    producers, held = _producers(nodes), set()
    for node in nodes:
        if node.op in ("Einsum", "Gemm", "MatMul", "Mul"):
            held |= {t.name for t in _weighting(node, carriers, producers, operators)}
    return frozenset(held)


def _producers(nodes: Iterable[Node]) -> Producers:
    return {t.name: node for node in nodes for t in node.outputs}


def _weighting(
    n: Node, carriers: Carriers, producers: Producers, operators: Collection[str]
) -> list[Tensor]:
    """Return the factor that comes from one of the operators if exactly one of two does."""
    factors = [t for t in n.inputs[:2] if t.name in carriers]
    found = [t for t in factors if _comes_from(t, carriers, producers, operators)]
    return found if len(factors) == 2 and len(found) == 1 else []


def _comes_from(
    tensor: Tensor, carriers: Carriers, producers: Producers, operators: Collection[str]
) -> bool:
    """Tell whether one of the operators computes the tensor, perhaps behind views and scalings."""
    while tensor.name in producers:
        node = producers[tensor.name]
        if node.op in operators:
            return True
        signals = [t for t in node.inputs if t.name in carriers]
        if len(signals) != 1 or node.op not in {*VIEWS, "Div", "Mul"}:
            return False
        tensor = signals[0]
    return False


def _product(carriers: Carriers, producers: Producers) -> Rule:
    """Return the rule of Mul: all to x in x·constant and x·gate, else half to each factor.

    The gate decides what passes, the signal is what passes (Arras et al. 2019).
    """

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        factors = [i for i, t in enumerate(n.inputs) if t.name in carriers]
        gates = _weighting(n, carriers, producers, GATES)
        if gates:
            factors = [i for i in factors if n.inputs[i] is not gates[0]]
        share = g if len(factors) == 1 else op.Mul(g, 0.5)
        return tuple(
            unbroadcast(op, share, x, n.outputs[0].shape) if i in factors else NOTHING
            for i, x in enumerate(n.inputs)
        )

    return rule


def _contraction(carriers: Carriers) -> Rule:
    """Return the rule of Einsum, a product of as many factors as carry relevance."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        degree = sum(t.name in carriers for t in n.inputs)
        return proportionally(op, n, g, carriers, degree)

    return rule


def _quotient(carriers: Carriers) -> Rule:
    """Return the rule of x/s and x^s: all to x; s counts as a scale, unless x is a constant."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        index = 0 if n.inputs[0].name in carriers else 1
        x = n.inputs[index]
        return passed_to(n, index, unbroadcast(op, g, x, n.outputs[0].shape))

    return rule


def _shared(carriers: Carriers) -> Rule:
    """Return the rule of sums and norms; a constant that is added or subtracted gets nothing."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signals = [i for i, t in enumerate(n.inputs) if t.name in carriers]
        if len(signals) == 1 and n.op in ("Mean", "Sub"):
            x = n.inputs[signals[0]]
            return passed_to(n, signals[0], unbroadcast(op, g, x, n.outputs[0].shape))
        return proportionally(op, n, g, carriers)

    return rule


def _pass_on(op: Emitter, n: Node, g: Tensor) -> Signals:
    return passed_to(n, 0, g)


def _normalization(op: Emitter, n: Node, g: Tensor | Signals) -> Signals:
    """Share R as by a linear layer, y = γ·(x − mean)/σ + β, in which σ is constant.

    That is the identity rule of AttnLRP at the division by σ, and the rule of Ali et al. 2022.
    """
    first = g[0] if isinstance(g, tuple) else g
    if first is None:
        return (NOTHING,) * len(n.inputs)
    (signal, *_) = DEVIATION_HELD[n.op](op, n, op.Div(first, stabilized(op, n.outputs[0])))
    return passed_to(n, 0, op.Mul(n.inputs[0], require_signal(n, signal)))
