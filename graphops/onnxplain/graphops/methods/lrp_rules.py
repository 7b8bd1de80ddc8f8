"""The rules of LRP: how relevance R passes a linear layer z = x·W + b.

Each rule is a variant of x·∂z/∂x·R/z (Bach et al. 2015; Montavon et al. 2019). The definitions are
Zennit's: z is stabilised as z + ε·sign(z), where sign(0) = 1; ⁺ and ⁻ are positive and negative
parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, overload

import numpy as np

from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import Emitter, Tensor, rank_of
from onnxplain.graphops.methods.lrp_layers import Weighted
from onnxplain.graphops.operators import is_rectifier

__all__ = ["LinearRule", "alpha_beta", "box", "epsilon", "flat", "gamma", "stabilized", "z_plus"]

LinearRule: TypeAlias = Callable[[Emitter, Weighted, Tensor], Tensor]

EPSILON = 1e-6
KEEP_SIGN = {"AveragePool", "Dropout", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity",
             "MaxPool", "Reshape", "Sigmoid", "Squeeze", "Transpose", "Unsqueeze"}  # fmt: skip


def stabilized(op: Emitter, z: Tensor) -> Tensor:
    """Return z + ε·sign(z), never zero."""
    return op.Where(op.GreaterOrEqual(z, 0.0), op.Add(z, EPSILON), op.Sub(z, EPSILON))


def epsilon(op: Emitter, n: Weighted, g: Tensor) -> Tensor:
    """LRP-ε: each input in proportion to its part of z."""
    return op.Mul(n.x, n.backward(op, op.Div(g, stabilized(op, n.z)), n.weight))


def z_plus(op: Emitter, n: Weighted, g: Tensor) -> Tensor:
    """LRP-z⁺: only positive contributions count, z = x⁺W⁺ + x⁻W⁻ + b⁺."""
    return _part(op, n, g, _positive(op, n.weight), _negative(op, n.weight), _positive(op, n.bias))


def alpha_beta(alpha: float, beta: float) -> LinearRule:
    """Return LRP-αβ: α times the positive contributions minus β times the negative ones."""

    def rule(op: Emitter, n: Weighted, g: Tensor) -> Tensor:
        up, down = _positive(op, n.weight), _negative(op, n.weight)
        pro = _part(op, n, g, up, down, _positive(op, n.bias))
        contra = _part(op, n, g, down, up, _negative(op, n.bias))
        return op.Sub(op.Mul(pro, alpha), op.Mul(contra, beta))

    return rule


def gamma(strength: float) -> LinearRule:
    """Return the generalised LRP-γ: contributions of the output's sign count 1 + γ times."""

    def rule(op: Emitter, n: Weighted, g: Tensor) -> Tensor:
        positive, negative = _positive(op, n.weight), _negative(op, n.weight)
        up = op.Add(n.weight, op.Mul(positive, strength))
        down = op.Add(n.weight, op.Mul(negative, strength))
        more = less = None
        if n.bias is not None:
            more = op.Add(n.bias, op.Mul(op.Relu(n.bias), strength))
            less = op.Add(n.bias, op.Mul(op.Min(n.bias, 0.0), strength))
        above = op.Where(op.Greater(n.z, 0.0), g, 0.0)
        below = op.Where(op.Less(n.z, 0.0), g, 0.0)
        return op.Add(_part(op, n, above, up, down, more), _part(op, n, below, down, up, less))

    return rule


def flat(op: Emitter, n: Weighted, g: Tensor) -> Tensor:
    """LRP-flat: evenly over the inputs in an output's receptive field, whatever their values."""
    ones = op.Expand(op.constant(1, np.float32), op.shape(n.weight))
    inputs = op.Expand(op.constant(1, np.float32), op.shape(n.x))
    inputs.shape = op.signal_shape(n.x)
    z = n.forward(op, inputs, ones)
    return n.backward(op, op.Div(g, stabilized(op, z)), ones)


def box(low: Sequence[float], high: Sequence[float]) -> LinearRule:
    """Return LRP-z^B, for inputs between bounds: one number each, or one per channel."""

    def rule(op: Emitter, n: Weighted, g: Tensor) -> Tensor:
        if not low or not high:
            raise OptionError(
                "lrp_epsilon_gamma_box needs the bounds of the input's values: give low and high, "
                "one number each or one for each channel"
            )
        rank = rank_of(n.x)
        lowest, highest = (
            op.Expand(
                op.constant(np.reshape(bound, [-1, *[1] * (rank - 2)]), np.float32), op.shape(n.x)
            )
            for bound in (low, high)
        )
        up, down = _positive(op, n.weight), _negative(op, n.weight)
        bias_up, bias_down = _positive(op, n.bias), _negative(op, n.bias)
        bounds = op.Add(n.forward(op, lowest, up, bias_up), n.forward(op, highest, down, bias_down))
        s = op.Div(g, stabilized(op, op.Sub(n.z, bounds)))
        from_bounds = op.Add(
            op.Mul(lowest, n.backward(op, s, up)), op.Mul(highest, n.backward(op, s, down))
        )
        return op.Sub(op.Mul(n.x, n.backward(op, s, n.weight)), from_bounds)

    return rule


def _part(
    op: Emitter, n: Weighted, g: Tensor, up: Tensor, down: Tensor, bias: Tensor | None
) -> Tensor:
    """Return x⁺·(s·up) + x⁻·(s·down) with s = g / (x⁺·up + x⁻·down + bias)."""
    rising = op.Relu(n.x)
    if _is_never_negative(n.x):
        s = op.Div(g, stabilized(op, n.forward(op, rising, up, bias)))
        return op.Mul(rising, n.backward(op, s, up))
    falling = op.Min(n.x, 0.0)
    z = op.Add(n.forward(op, rising, up, bias), n.forward(op, falling, down))
    s = op.Div(g, stabilized(op, z))
    from_rising = op.Mul(rising, n.backward(op, s, up))
    return op.Add(from_rising, op.Mul(falling, n.backward(op, s, down)))


@overload
def _positive(op: Emitter, tensor: Tensor) -> Tensor: ...
@overload
def _positive(op: Emitter, tensor: Tensor | None) -> Tensor | None: ...
def _positive(op: Emitter, tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _shaped(op, op.Relu(tensor), tensor)


@overload
def _negative(op: Emitter, tensor: Tensor) -> Tensor: ...
@overload
def _negative(op: Emitter, tensor: Tensor | None) -> Tensor | None: ...
def _negative(op: Emitter, tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _shaped(op, op.Min(tensor, 0.0), tensor)


def _shaped(op: Emitter, tensor: Tensor, like: Tensor) -> Tensor:
    tensor.shape = op.signal_shape(like)
    return tensor


def _is_never_negative(tensor: Tensor) -> bool:
    """Tell whether a tensor is known to have no negative values, so that x⁻ is zero."""
    if not tensor.inputs:
        return False
    node = tensor.inputs[0]
    if node.op in ("Add", "Concat"):
        return all(_is_never_negative(t) for t in node.inputs)
    return is_rectifier(node) or (
        node.op in KEEP_SIGN and (node.op == "Sigmoid" or _is_never_negative(node.inputs[0]))
    )
