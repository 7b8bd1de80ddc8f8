"""LRP's composites: which rule of relevance each layer of a network gets. They are Zennit's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxplain.graphops.backward import Attribution, Path, Rules, Walk
from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, rank_of
from onnxplain.graphops.methods.lrp_layers import CONVOLUTIONS, DENSE, Weighted, linear_parts
from onnxplain.graphops.methods.lrp_rules import (
    LinearRule,
    alpha_beta,
    box,
    epsilon,
    flat,
    gamma,
    stabilized,
    z_plus,
)
from onnxplain.graphops.operators import (
    ACTIVATIONS,
    GRADIENT,
    PLACES,
    Rule,
    Signals,
    Table,
    broadcasting,
    in_float32,
    is_rectifier,
    rectified,
    unbroadcast,
)
from onnxplain.graphops.options import Options

__all__ = [
    "EPSILON",
    "EPSILON_ALPHA2_BETA1",
    "EPSILON_ALPHA2_BETA1_FLAT",
    "EPSILON_GAMMA_BOX",
    "EPSILON_PLUS",
    "EPSILON_PLUS_FLAT",
    "EXCITATION_BACKPROP",
    "relevance",
]


def relevance(walk: Walk) -> Attribution:
    """One walk back; the completeness error is what arrives less what was placed at the layer."""
    op = walk.op
    values = walk.back()
    arrived, placed = op.widened(values), op.widened(walk.seed.cotangent)
    ranks = rank_of(walk.path.target), rank_of(walk.path.layer)
    totals = [
        op.ReduceSum(tensor, list(range(1, rank)), keepdims=0) if rank > 1 else tensor
        for tensor, rank in zip((arrived, placed), ranks, strict=True)
    ]
    return Attribution(values, op.Sub(*totals))


def composite(
    convolution: LinearRule,
    dense: LinearRule = epsilon,
    first: LinearRule | None = None,
    first_of: tuple[str, ...] = (*CONVOLUTIONS, *DENSE),
    activations_pass: bool = True,
) -> Callable[[Path, Options], Table]:
    """Return the rules of a composite.

    first: the rule of the linear layers of `first_of` that no other linear layer comes before.
    activations_pass: whether relevance passes an activation and a BatchNormalization as it is,
    rather than as the gradient.
    """

    def table(path: Path, options: Options) -> Table:
        parts = linear_parts(path.nodes, path.tensors, path.layer)
        own = {part.name for absorbed in parts.values() for part in absorbed}
        leading = _leading(path, parts.keys()) if first is not None else set()

        def linear(op: Emitter, n: Node, g: Tensor) -> Signals:
            if any(t.name in path.tensors for t in n.inputs[2:]):
                raise UnsupportedOperator(
                    f"{n.op} '{n.name}' has a bias that depends on '{path.target.name}', which "
                    "gets no share of its relevance: export the model with an Add in its place"
                )
            if n.name not in parts:
                return GRADIENT[n.op](op, n, g)
            weighted = Weighted.of(op, n, path.tensors, parts[n.name])
            rule = convolution if n.op in CONVOLUTIONS else dense
            if first is not None and n.name in leading and n.op in first_of:
                rule = first
            return _at(n, weighted.place, rule(op, weighted, g))

        def batch_norm(op: Emitter, n: Node, g: Tensor) -> Signals:
            if activations_pass or n.name in own:
                return _at(n, 0, g)
            return GRADIENT[n.op](op, n, g)

        rules: dict[str, Rule] = {
            **dict.fromkeys((*CONVOLUTIONS, *DENSE), linear),
            **broadcasting(dict.fromkeys(("Add", "Sum"), _shared(path))),
            **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean"), _norm),
            "BatchNormalization": batch_norm,
        }
        if activations_pass:
            names = {*ACTIVATIONS, *PLACES} - {"LogSoftmax", "Softmax"}
            rules |= {name: _passed(path) for name in names}
        return GRADIENT | in_float32(rules)

    return table


def _leading(path: Path, linear: Any) -> set[str]:
    """Return the names of the linear nodes that no other linear node comes before."""
    before = {path.target.name}  # the tensors that no linear node has made yet
    leading = set()
    for node in path.nodes:
        if not any(t.name in before for t in node.inputs):
            continue
        if node.name in linear:
            leading.add(node.name)
        else:
            before.update(t.name for t in node.outputs)
    return leading


def _shared(path: Path) -> Rule:
    """Share the relevance of a sum among the signals in it, by their parts; a bias gets none."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signals = [t for t in n.inputs if t.name in path.tensors]
        if len(signals) == 1:
            return _at(n, n.inputs.index(signals[0]), g)
        s = op.Div(g, stabilized(op, n.outputs[0]))
        return tuple(op.Mul(t, s) if t.name in path.tensors else None for t in n.inputs)

    return rule


def _norm(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Share the relevance of a mean among what it is the mean of, by their parts."""
    s = op.Div(g, stabilized(op, n.outputs[0]))
    signal = GRADIENT[n.op](op, n, s)[0]
    return _at(n, 0, op.Mul(n.inputs[0], signal))


def _passed(path: Path) -> Rule:
    """Pass the relevance of an activation as it is, and of x·sigmoid(x) and x·constant too."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        if is_rectifier(n):
            return _at(n, n.inputs.index(rectified(n)), g)
        if n.op in ACTIVATIONS:
            return _at(n, 0, g)
        place = _gated(n, path) if n.op == "Mul" else None
        if place is None:
            return GRADIENT[n.op](op, n, g)
        return _at(n, place, unbroadcast(op, g, n.inputs[place], n.outputs[0].shape))

    return rule


def _gated(n: Node, path: Path) -> int | None:
    """Return which input of a product has all its relevance: that which a constant or a gate
    made from it multiplies, such as the x of x·sigmoid(x).
    """
    for place, other in ((0, n.inputs[1]), (1, n.inputs[0])):
        x = n.inputs[place]
        if other.name not in path.tensors:
            return place
        makers = other.inputs
        if makers and makers[0].op in ("HardSigmoid", "Sigmoid") and makers[0].inputs[0] is x:
            return place
    return None


def _at(n: Node, place: int, signal: Tensor) -> Signals:
    """Return the signal for one input of a node, and none for the others."""
    return tuple(signal if i == place else None for i in range(len(n.inputs)))


# Every linear layer by LRP-ε.
EPSILON = composite(epsilon)
EPSILON_PLUS = composite(z_plus)
EPSILON_PLUS_FLAT = composite(z_plus, first=flat)
EPSILON_ALPHA2_BETA1 = composite(alpha_beta(2.0, 1.0))
EPSILON_ALPHA2_BETA1_FLAT = composite(alpha_beta(2.0, 1.0), first=flat)


def _gamma_box(path: Path, options: Options) -> Table:
    """Return the rules with the bounds of the input that the options give."""
    first = box(options.low, options.high)
    return composite(gamma(0.25), first=first, first_of=CONVOLUTIONS)(path, options)


EPSILON_GAMMA_BOX: Rules = _gamma_box


# Zhang et al. 2016: only positive weights count, and activations keep their gradient.
EXCITATION_BACKPROP = composite(z_plus, dense=z_plus, activations_pass=False)
