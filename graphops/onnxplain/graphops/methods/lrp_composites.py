"""LRP composites, which assign a rule of LRP to each layer. The definitions are Zennit's."""

from __future__ import annotations

from collections.abc import Callable, Collection

from onnxplain.graphops.backward import Attribution, Path, Walk, chained
from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.fusion import ACTIVATION
from onnxplain.graphops.ir import Emitter, Node, Tensor
from onnxplain.graphops.methods.lrp_attention import (
    attention_rule,
    attention_scores,
    taylor_softmax,
)
from onnxplain.graphops.methods.lrp_layers import CONVOLUTIONS, DENSE, Weighted, merged_nodes
from onnxplain.graphops.methods.lrp_products import (
    held_factors,
    passed_to,
    product_rules,
    proportionally,
)
from onnxplain.graphops.methods.lrp_rules import (
    LinearRule,
    alpha_beta,
    box,
    epsilon,
    flat,
    gamma,
    z_plus,
)
from onnxplain.graphops.operators import (
    ACTIVATIONS,
    GRADIENT,
    PLACES,
    Rule,
    Signals,
    Table,
    in_float32,
    is_rectifier,
    rectified,
    to_first,
    unbroadcast,
)
from onnxplain.graphops.options import Options

__all__ = [
    "CP",
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
    hold_softmax: bool = False,
) -> Callable[[Path, Options], Table]:
    """Return the rules of a composite.

    first: the rule of the first linear layers on the path whose operator is in `first_of`.
    activations_pass: whether relevance passes activations and BatchNormalizations unchanged, rather
    than like the gradient.
    hold_softmax: whether what a Softmax weights is a linear layer, of which it is the weight.
    """

    def table(path: Path, options: Options) -> Table:
        held = held_factors(path.nodes, path.tensors, ["Softmax"]) if hold_softmax else frozenset()
        carriers = path.tensors - held
        parts = merged_nodes(path.nodes, carriers, path.layer)
        own = {part.name for absorbed in parts.values() for part in absorbed}
        leading = _leading(path, parts.keys()) if first is not None else set()
        products = product_rules(path.nodes, carriers)

        def linear(op: Emitter, n: Node, g: Tensor) -> Signals:
            if any(t.name in path.tensors for t in n.inputs[2:]):
                raise UnsupportedOperator(
                    f"{n.op} '{n.name}' has a bias that depends on '{path.target.name}', to which "
                    "LRP passes no relevance: export the model with an Add instead of the bias"
                )
            if n.name not in parts:
                return proportionally(op, n, g, carriers, degree=2)
            weighted = Weighted.of(op, n, carriers, parts[n.name])
            rule = convolution if n.op in CONVOLUTIONS else dense
            if first is not None and n.name in leading and n.op in first_of:
                rule = first
            return passed_to(n, weighted.data_index, rule(op, weighted, g))

        def batch_norm(op: Emitter, n: Node, g: Tensor) -> Signals:
            if activations_pass or n.name in own:
                return to_first(n, g)
            return GRADIENT[n.op](op, n, g)

        rules: dict[str, Rule] = {
            **products,
            **dict.fromkeys((*CONVOLUTIONS, *DENSE), linear),
            **dict.fromkeys(("Add", "Sum"), _share_sum(path, carriers)),
            **dict.fromkeys(("AveragePool", "GlobalAveragePool", "ReduceMean"), _share_mean),
            "Attention": attention_rule(carriers, dense, hold_softmax),
            "BatchNormalization": batch_norm,
            "Mul": _unless_rectifier(GRADIENT["Mul"], products["Mul"]),
            "Softmax": taylor_softmax,
        }
        if activations_pass:
            names = {*ACTIVATIONS, *PLACES} - {"LogSoftmax", "Softmax"}
            rules |= {name: _pass_activation({**GRADIENT, **products}[name]) for name in names}
            rules[ACTIVATION] = lambda op, n, g: passed_to(n, 0, g)
        else:
            rules[ACTIVATION] = chained
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


def _share_sum(path: Path, carriers: Collection[str]) -> Rule:
    """Share the relevance of a sum among its signals in proportion; a bias gets none.

    Where a bias is added to one signal, that gets all, and in the scores of a softmax its part.
    """
    scores = attention_scores(path.nodes, carriers)

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signals = [i for i, t in enumerate(n.inputs) if t.name in carriers]
        if len(signals) == 1 and n.outputs[0].name not in scores:
            x = n.inputs[signals[0]]
            return passed_to(n, signals[0], unbroadcast(op, g, x, n.outputs[0].shape))
        return proportionally(op, n, g, carriers)

    return rule


def _share_mean(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Share the relevance of a mean among its elements in proportion."""
    return proportionally(op, n, g, [n.inputs[0].name])


def _unless_rectifier(rectifying: Rule, otherwise: Rule) -> Rule:
    """Return the rule that is `rectifying` for rectifiers and `otherwise` for other nodes."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        return (rectifying if is_rectifier(n) else otherwise)(op, n, g)

    return rule


def _pass_activation(otherwise: Rule) -> Rule:
    """Pass relevance unchanged through activations; other nodes follow `otherwise`."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        if is_rectifier(n):
            return passed_to(n, n.inputs.index(rectified(n)), g)
        if n.op in ACTIVATIONS:
            return passed_to(n, 0, g)
        return otherwise(op, n, g)

    return rule


EPSILON = composite(epsilon)
CP = composite(epsilon, hold_softmax=True)  # Ali et al. 2022
EPSILON_PLUS = composite(z_plus)
EPSILON_PLUS_FLAT = composite(z_plus, first=flat)
EPSILON_ALPHA2_BETA1 = composite(alpha_beta(2.0, 1.0))
EPSILON_ALPHA2_BETA1_FLAT = composite(alpha_beta(2.0, 1.0), first=flat)


def epsilon_gamma_box(path: Path, options: Options) -> Table:
    """Return the composite whose first layer uses the input bounds `low` and `high`."""
    first = box(options.low, options.high)
    return composite(gamma(0.25), first=first, first_of=CONVOLUTIONS)(path, options)


# Zhang et al. 2016: only positive weights count, and activations pass the gradient.
EXCITATION_BACKPROP = composite(z_plus, dense=z_plus, activations_pass=False, hold_softmax=True)
