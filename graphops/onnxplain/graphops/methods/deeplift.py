"""DeepLIFT's rescale rule: what a unit owes to each difference of the picture from a baseline.

The definitions are Captum's; where they part, the functions say so. x and y are what goes into a
node and what comes out, Δ is the picture's less the baseline's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from onnxplain.graphops.backward import Attribution, Walk, require_signal
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute
from onnxplain.graphops.methods.completeness import baseline_input, completeness_error
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
    unpooling,
)
from onnxplain.graphops.options import Options

__all__ = ["deeplift"]

NOTHING = 1e-10  # a smaller Δx counts as none: no slope can be told from it

Baseline: TypeAlias = Mapping[str, Tensor]  # the baseline's tensors by the names of the picture's


def deeplift(walk: Walk) -> Attribution:
    """Shrikumar et al. 2017: Δx times what its multiplier is, [B, ...shape of the target].

    A multiplier is a gradient in which every activation has the slope Δy/Δx. The artefact's input
    `baseline` is zero by default.
    """
    op = walk.op
    start = baseline_input(walk)
    baseline = walk.again(start)
    multiplier = walk.back(_rules(baseline, walk.options))
    difference = op.Sub(walk.path.target, op.wide(start))
    values = op.Mul(multiplier, difference)
    error = completeness_error(walk, values, baseline[walk.path.layer.name])
    return Attribution(values, error)


def _rules(baseline: Baseline, options: Options) -> Table:
    """Return the table: activations and max-pools by differences, all else as in the gradient.

    Captum rescales only those that are modules of a kind it knows: not PReLU, GELU or SiLU, no
    adaptive pools, no function calls. Captum 0.9 loses signals where one of them reads another's
    output (its issue 1104), or reads what another node reads too.
    """
    pool = unpooling(options.unpool, options.target)
    activations = {*ACTIVATIONS, *PLACES} - {"LogSoftmax"}
    rules: dict[str, Rule] = {
        **{name: _rescaled(GRADIENT[name], baseline) for name in activations},
        "Softmax": _centred(GRADIENT["Softmax"], baseline),
        "MaxPool": _cross_maximum(pool, baseline),
        "GlobalMaxPool": _cross_maximum(GRADIENT["GlobalMaxPool"], baseline),
    }
    return GRADIENT | in_float32(rules)


def _rescaled(gradient: Rule, baseline: Baseline) -> Rule:
    """Pass g·Δy/Δx through an activation, and the gradient where Δx is nothing."""

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signals = gradient(op, n, g)
        if n.op not in ACTIVATIONS and not is_rectifier(n):
            return signals
        x, y = rectified(n), n.outputs[0]
        rise = op.Mul(g, op.Sub(y, baseline[y.name]))
        return tuple(
            _per_difference(op, rise, x, baseline, require_signal(n, signal))
            if tensor is x
            else signal
            for tensor, signal in zip(n.inputs, signals, strict=True)
        )

    return rule


def _centred(gradient: Rule, baseline: Baseline) -> Rule:
    """Rescale, then take the mean off over the classes, so that none gains if all do.

    Captum takes it over the whole batch and all positions, which is the same for one picture and
    one softmax; what one picture gets does not depend on the others here.
    """
    rescaled = _rescaled(gradient, baseline)

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        signal = require_signal(n, rescaled(op, n, g)[0])
        return (op.Sub(signal, op.mean(signal, [attribute(n, "axis", -1)])),)

    return rule


def _cross_maximum(unpool: Rule, baseline: Baseline) -> Rule:
    """Credit what a max-pool's output rose by to the picture's switch, what it fell by to the
    baseline's.

    Where windows overlap and share a switch their signals add; Captum keeps the last of them there,
    so that its attributions do not sum up. Where Δx is nothing, Captum 0.9 takes the gradient of
    the batch's first picture for all (its issue 1276).
    """

    def rule(op: Emitter, n: Node, g: Tensor) -> Signals:
        x, y = n.inputs[0], n.outputs[0]
        (same_node,) = baseline[y.name].inputs
        difference = op.Sub(y, baseline[y.name])
        rise = op.Relu(difference)
        (risen,) = unpool(op, n, op.Mul(g, rise))
        (fallen,) = unpool(op, same_node, op.Mul(g, op.Sub(difference, rise)))
        signal = require_signal(n, unpool(op, n, g)[0])
        return (_per_difference(op, op.Add(risen, fallen), x, baseline, signal),)

    return rule


def _per_difference(
    op: Emitter, rise: Tensor, x: Tensor, baseline: Baseline, gradient: Tensor
) -> Tensor:
    """Return rise/Δx, and the gradient where Δx is nothing."""
    difference = op.Sub(x, baseline[x.name])
    none = op.Less(op.Abs(difference), NOTHING)
    return op.Where(none, gradient, op.Div(rise, op.Where(none, 1.0, difference)))
