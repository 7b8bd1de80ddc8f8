"""DeepLIFT's rescale rule: the contribution of each difference of the picture from a baseline.

The definitions are Captum's; functions document where they deviate. x and y are a node's input and
output, Δ is the picture's value minus the baseline's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

from onnxplain.graphops.backward import Attribution, Path, Walk, chained, require_signal
from onnxplain.graphops.fusion import ACTIVATION
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, rank_of
from onnxplain.graphops.methods.completeness import baseline_input, completeness_error
from onnxplain.graphops.operators import (
    ACTIVATIONS,
    GRADIENT,
    SPELLED,
    Rule,
    Signals,
    Table,
    attention_softmax,
    in_float32,
    through_attention,
    unpooling,
)
from onnxplain.graphops.options import Options

__all__ = ["deeplift"]

MIN_DIFFERENCE = 1e-10  # below this |Δx| the slope Δy/Δx is numerically undefined
MIN_RELATIVE_DIFFERENCE = 1e-4  # below this |Δx|/|x| rounding errors of y count in the slope

# The operators that are functions of one tensor where their other inputs are constants.
CURVES = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Div", "Erf", "Exp",
    "Log", "Max", "Min", "Pow", "Reciprocal", "Sin", "Sinh", "Sqrt", "Tan",
})  # fmt: skip

Baseline: TypeAlias = Mapping[str, Tensor]  # the tensors of the baseline's forward pass, by name


def deeplift(walk: Walk) -> Attribution:
    """Shrikumar et al. 2017: Δx times its multiplier, [B, ...shape of the target].

    The multiplier is the gradient with Δy/Δx as the slope of every activation. The artefact's
    input `baseline` is zero by default.
    """
    op = walk.op
    start = baseline_input(walk)
    baseline = walk.again(start)
    multiplier = walk.back(partial(_rules, baseline))
    difference = op.Sub(walk.path.target, op.wide(start))
    values = op.Mul(multiplier, difference)
    error = completeness_error(walk, values, baseline[walk.path.layer.name])
    return Attribution(values, error)


def _rules(baseline: Baseline, path: Path, options: Options) -> Table:
    """Return the table: the rescale rule for activations and max-pools, else the gradient's rules.

    An activation is any function of one tensor, element by element, in one node or in several.
    Captum rescales only some kinds of modules: not PReLU, GELU or SiLU, no adaptive pools, no
    function calls. Captum 0.9 loses signals where one of them reads another's output (its issue
    1104), or an input that another node also reads.
    """
    pool = unpooling(options.unpool, options.target)
    activations = {*ACTIVATIONS, *CURVES} - {"LogSoftmax", "Softmax"}
    rules: dict[str, Rule] = {
        **{name: _rescaled(GRADIENT[name], path, baseline) for name in activations},
        ACTIVATION: _rescaled(chained, path, baseline),
        "Attention": _attention(baseline),
        "Softmax": _centred(GRADIENT["Softmax"], baseline),
        "MaxPool": _cross_maximum(pool, baseline),
        "GlobalMaxPool": _cross_maximum(GRADIENT["GlobalMaxPool"], baseline),
    }
    return GRADIENT | in_float32(rules)


def _rescaled(gradient: Rule, path: Path, baseline: Baseline) -> Rule:
    """Pass g·Δy/Δx through an activation, and the gradient where Δx is about zero.

    In Captum, only the difference itself counts, not in proportion to x.
    """

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signals = gradient(op, n, g)
        index = _argument(n, path)
        if index is None:
            return signals
        x = n.inputs[index]
        least = op.Max(op.Mul(op.Abs(x), MIN_RELATIVE_DIFFERENCE), MIN_DIFFERENCE)
        slope = _slope(op, n, g, x, baseline, require_signal(n, signals[index]), least)
        return tuple(slope if i == index else signal for i, signal in enumerate(signals))

    return rule


def _argument(n: Node, path: Path) -> int | None:
    """Return the input that the node is a function of, None where it is linear or of several."""
    on_path = [i for i, t in enumerate(n.inputs) if t.name in path.tensors]
    if len(on_path) != 1 or (n.op == "Div" and on_path == [0]):
        return None
    x, y = n.inputs[on_path[0]], n.outputs[0]
    return on_path[0] if rank_of(x) == rank_of(y) and x.shape == y.shape else None


def _centred(gradient: Rule, baseline: Baseline) -> Rule:
    """Rescale, then subtract the mean over the classes, since Softmax ignores a common shift.

    Captum subtracts the mean over the whole batch and all positions, which is the same for one
    picture and one softmax. Here the pictures of a batch do not affect each other.
    """

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signal = require_signal(n, gradient(op, n, g)[0])
        signal = _slope(op, n, g, n.inputs[0], baseline, signal, MIN_DIFFERENCE)
        return (op.Sub(signal, op.mean(signal, [attribute(n, "axis", -1)])),)

    return rule


def _attention(baseline: Baseline) -> Rule:
    """Treat the softmax inside Attention as one that is spelled out."""

    def rule(op: Emitter, n: Node, g: Tensor | Signals) -> Signals:
        (baseline_node,) = baseline[n.outputs[0].name].inputs
        other = attention_softmax(op, baseline_node)

        def rescaled(op: Emitter, n: Node, g: Tensor) -> Signals:
            pairs = zip([*n.inputs, *n.outputs], [*other.inputs, *other.outputs], strict=True)
            return _centred(SPELLED["Softmax"], {t.name: b for t, b in pairs})(op, n, g)

        return through_attention(SPELLED | {"Softmax": rescaled})(op, n, g)

    return rule


def _cross_maximum(unpool: Rule, baseline: Baseline) -> Rule:
    """Pass a rise of a max-pool's output to the picture's switch, and a fall to the baseline's.

    Signals of overlapping windows with the same switch are added; Captum keeps only the last, so
    its attributions are not complete. Where Δx is about zero, Captum 0.9 uses the gradient of the
    batch's first picture for all (its issue 1276).
    """

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        x, y = n.inputs[0], n.outputs[0]
        (baseline_node,) = baseline[y.name].inputs
        difference = op.Sub(y, baseline[y.name])
        rise = op.Relu(difference)
        (at_switch,) = unpool(op, n, op.Mul(g, rise))
        (at_baseline_switch,) = unpool(op, baseline_node, op.Mul(g, op.Sub(difference, rise)))
        signal = require_signal(n, unpool(op, n, g)[0])
        rise = op.Add(at_switch, at_baseline_switch)
        return (_divide_by_difference(op, rise, x, baseline, signal, MIN_DIFFERENCE),)

    return rule


def _slope(
    op: Emitter,
    n: Node,
    g: Tensor,
    x: Tensor,
    baseline: Baseline,
    gradient: Tensor,
    least: Tensor | float,
) -> Tensor:
    """Return g·Δy/Δx, and the gradient where |Δx| is less than `least`."""
    y = n.outputs[0]
    rise = op.Mul(g, op.Sub(y, baseline[y.name]))
    return _divide_by_difference(op, rise, x, baseline, gradient, least)


def _divide_by_difference(
    op: Emitter,
    rise: Tensor,
    x: Tensor,
    baseline: Baseline,
    gradient: Tensor,
    least: Tensor | float,
) -> Tensor:
    """Return rise/Δx, and the gradient where |Δx| is less than `least`."""
    difference = op.Sub(x, baseline[x.name])
    none = op.Not(op.GreaterOrEqual(op.Abs(difference), least))  # also where both are −∞, a mask
    return op.Where(none, gradient, op.Div(rise, op.Where(none, 1.0, difference)))
