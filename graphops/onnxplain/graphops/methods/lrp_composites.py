"""LRP composites, which assign a rule of LRP to each layer. The definitions are Zennit's."""

from __future__ import annotations

from collections.abc import Callable, Collection

from onnxplain.graphops.backward import Attribution, Path, Walk
from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor
from onnxplain.graphops.methods.lrp_layers import CONVOLUTIONS, DENSE, Weighted, merged_nodes
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
    "EPSILON_PLUS",
    "EPSILON_PLUS_FLAT",
    "EXCITATION_BACKPROP",
    "epsilon_gamma_box",
    "relevance",
]


def relevance(walk: Walk) -> Attribution:
    """Append one backward pass.

    The completeness error is the relevance at the targets minus that at the layer.
    """
    op = walk.op
    values, *others = walk.back_to_all()
    arrived = walk.total(values, walk.path.target)
    for other, target in zip(others, walk.path.others, strict=True):
        arrived = op.Add(arrived, walk.total(other, target))
    placed = walk.total(walk.seed.cotangent, walk.path.layer)
    return Attribution(values, op.Sub(arrived, placed), others)


def composite(
    convolution: LinearRule,
    dense: LinearRule = epsilon,
    first: LinearRule | None = None,
    first_of: tuple[str, ...] = (*CONVOLUTIONS, *DENSE),
    activations_pass: bool = True,
) -> Callable[[Path, Options], Table]:
    """Return the rules of a composite.

    first: the rule of the first linear layers on the path whose operator is in `first_of`.
    activations_pass: whether relevance passes activations and BatchNormalizations unchanged, rather
    than like the gradient.
    """

    def table(path: Path, options: Options) -> Table:
        parts = merged_nodes(path.nodes, path.tensors, path.layer)
        own = {part.name for absorbed in parts.values() for part in absorbed}
        leading = _leading(path, parts.keys()) if first is not None else set()

        def linear(op: Emitter, n: Node, g: Tensor) -> Signals:
            if any(t.name in path.tensors for t in n.inputs[2:]):
                raise UnsupportedOperator(
                    f"{n.op} '{n.name}' has a bias that depends on '{path.target.name}', to which "
                    "LRP passes no relevance: export the model with an Add instead of the bias"
                )
            if n.name not in parts:
                return GRADIENT[n.op](op, n, g)
            weighted = Weighted.of(op, n, path.tensors, parts[n.name])
            rule = convolution if n.op in CONVOLUTIONS else dense
            if first is not None and n.name in leading and n.op in first_of:
                rule = first
            return _to_input(n, weighted.data_index, rule(op, weighted, g))

        def batch_norm(op: Emitter, n: Node, g: Tensor) -> Signals:
            if activations_pass or n.name in own:
                return _to_input(n, 0, g)
            return GRADIENT[n.op](op, n, g)

        rules: dict[str, Rule] = {
            **dict.fromkeys((*CONVOLUTIONS, *DENSE), linear),
            **broadcasting(dict.fromkeys(("Add", "Sum"), _share_sum(path))),
            **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean"), _share_mean),
            "BatchNormalization": batch_norm,
        }
        if activations_pass:
            names = {*ACTIVATIONS, *PLACES} - {"LogSoftmax", "Softmax"}
            rules |= {name: _pass_activation(path) for name in names}
        return GRADIENT | in_float32(rules)

    return table


def _leading(path: Path, linear: Collection[str]) -> set[str]:
    """Return the names of the linear nodes without another linear node before them."""
    before = {t.name for t in path.targets}  # tensors before any linear node
    leading = set()
    for node in path.nodes:
        if not any(t.name in before for t in node.inputs):
            continue
        if node.name in linear:
            leading.add(node.name)
        else:
            before.update(t.name for t in node.outputs)
    return leading


def _share_sum(path: Path) -> Rule:
    """Share the relevance of a sum among its signals in proportion; a bias gets none."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signals = [t for t in n.inputs if t.name in path.tensors]
        if len(signals) == 1:
            return _to_input(n, n.inputs.index(signals[0]), g)
        s = op.Div(g, stabilized(op, n.outputs[0]))
        return tuple(op.Mul(t, s) if t.name in path.tensors else None for t in n.inputs)

    return rule


def _share_mean(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Share the relevance of a mean among its elements in proportion."""
    s = op.Div(g, stabilized(op, n.outputs[0]))
    signal = GRADIENT[n.op](op, n, s)[0]
    return _to_input(n, 0, op.Mul(n.inputs[0], signal))


def _pass_activation(path: Path) -> Rule:
    """Pass relevance unchanged through activations, x·sigmoid(x) and x·constant."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        if is_rectifier(n):
            return _to_input(n, n.inputs.index(rectified(n)), g)
        if n.op in ACTIVATIONS:
            return _to_input(n, 0, g)
        index = _ungated_input(n, path) if n.op == "Mul" else None
        if index is None:
            return GRADIENT[n.op](op, n, g)
        return _to_input(n, index, unbroadcast(op, g, n.inputs[index], n.outputs[0].shape))

    return rule


def _ungated_input(n: Node, path: Path) -> int | None:
    """Return the input of a product that gets all its relevance: the x of x·constant or of
    x·sigmoid(x). None for other products.
    """
    for index, other in ((0, n.inputs[1]), (1, n.inputs[0])):
        x = n.inputs[index]
        if other.name not in path.tensors:
            return index
        gates = other.inputs
        if gates and gates[0].op in ("HardSigmoid", "Sigmoid") and gates[0].inputs[0] is x:
            return index
    return None


def _to_input(n: Node, index: int, signal: Tensor) -> Signals:
    """Return the signal for one input of a node, and None for the others."""
    return tuple(signal if i == index else None for i in range(len(n.inputs)))


EPSILON = composite(epsilon)
EPSILON_PLUS = composite(z_plus)
EPSILON_PLUS_FLAT = composite(z_plus, first=flat)
EPSILON_ALPHA2_BETA1 = composite(alpha_beta(2.0, 1.0))
EPSILON_ALPHA2_BETA1_FLAT = composite(alpha_beta(2.0, 1.0), first=flat)


def epsilon_gamma_box(path: Path, options: Options) -> Table:
    """Return the composite whose first layer uses the input bounds `low` and `high`."""
    first = box(options.low, options.high)
    return composite(gamma(0.25), first=first, first_of=CONVOLUTIONS)(path, options)


# Zhang et al. 2016: only positive weights count, and activations pass the gradient.
EXCITATION_BACKPROP = composite(z_plus, dense=z_plus, activations_pass=False)
