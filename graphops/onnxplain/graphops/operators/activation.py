"""Activations, element by element; `softmax.py` has those along an axis.

x is the input, y the output, g the signal at it.
"""

from __future__ import annotations

import math

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute
from onnxplain.graphops.operators.constructors import broadcasting_elementwise, elementwise
from onnxplain.graphops.operators.operator import Operator
from onnxplain.graphops.operators.rectifier import clip, gate
from onnxplain.graphops.operators.rules import Signals

__all__ = ["OPERATORS", "tanh"]

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


def _leaky_relu(op: Emitter, n: Node, g: Tensor) -> Signals:
    slope = attribute(n, "alpha", 0.01)
    return (op.Where(op.Greater(n.inputs[0], 0.0), g, op.Mul(g, slope)),)


def _prelu(op: Emitter, n: Node, g: Tensor) -> Signals:
    x, slope = n.inputs
    positive = op.Greater(x, 0.0)
    return op.Where(positive, g, op.Mul(g, slope)), op.Where(positive, 0.0, op.Mul(g, x))


def _elu(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Below zero y = α·(eˣ − 1), whose derivative is y + α."""
    return _below_zero(op, n, g, op.Add(n.outputs[0], attribute(n, "alpha", 1.0)))


def _selu(op: Emitter, n: Node, g: Tensor) -> Signals:
    gamma = attribute(n, "gamma", SELU_GAMMA)
    offset = gamma * attribute(n, "alpha", SELU_ALPHA)
    return _below_zero(op, n, g, op.Add(n.outputs[0], offset), gamma)


def _celu(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Below zero y = α·(e^(x/α) − 1), whose derivative is y/α + 1."""
    slope = op.Add(op.Div(n.outputs[0], attribute(n, "alpha", 1.0)), 1.0)
    return _below_zero(op, n, g, slope)


def _below_zero(op: Emitter, n: Node, g: Tensor, slope: Tensor, above: float = 1.0) -> Signals:
    """Return g·slope below zero, g·above elsewhere."""
    passed = g if above == 1.0 else op.Mul(g, above)
    return (op.Where(op.Greater(n.inputs[0], 0.0), passed, op.Mul(g, slope)),)


def _thresholded_relu(op: Emitter, n: Node, g: Tensor) -> Signals:
    return (op.Where(op.Greater(n.inputs[0], attribute(n, "alpha", 1.0)), g, 0.0),)


def _shrink(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = 0 for |x| ≤ λ, else x moved by a constant."""
    return (op.Where(op.Greater(op.Abs(n.inputs[0]), attribute(n, "lambd", 0.5)), g, 0.0),)


def _sigmoid(op: Emitter, n: Node, g: Tensor) -> Signals:
    y = n.outputs[0]
    return (op.Mul(g, op.Mul(y, op.Sub(1.0, y))),)


def _hard_sigmoid(op: Emitter, n: Node, g: Tensor) -> Signals:
    y = n.outputs[0]
    inside = op.And(op.Greater(y, 0.0), op.Less(y, 1.0))
    return (op.Where(inside, op.Mul(g, attribute(n, "alpha", 0.2)), 0.0),)


def _hard_swish(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = x·clip(x/6 + 1/2, 0, 1), so dy/dx = clip(x/6 + 1/2, 0, 1) + x/6·[−3 < x < 3]."""
    x = n.inputs[0]
    sixth = op.Div(x, 6.0)
    ramp = op.Clip(op.Add(sixth, 0.5), 0.0, 1.0)
    return (op.Mul(g, op.Add(ramp, op.Where(op.Less(op.Abs(x), 3.0), sixth, 0.0))),)


def _swish(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = x·σ(αx), so dy/dx = σ + αx·σ·(1 − σ)."""
    scaled = op.Mul(n.inputs[0], attribute(n, "alpha", 1.0))
    sigma = op.Sigmoid(scaled)
    slope = op.Add(sigma, op.Mul(scaled, op.Mul(sigma, op.Sub(1.0, sigma))))
    return (op.Mul(g, slope),)


def _mish(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = x·t with t = tanh(softplus(x)), so dy/dx = t + x·(1 − t²)·σ(x)."""
    x = n.inputs[0]
    t = op.Tanh(op.Softplus(x))
    slope = op.Mul(op.Mul(x, op.Sigmoid(x)), op.Sub(1.0, op.Mul(t, t)))
    return (op.Mul(g, op.Add(t, slope)),)


def _gelu(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = x·Φ(x), so dy/dx = Φ(x) + x·φ(x); or the approximation of Φ by tanh."""
    x = n.inputs[0]
    if attribute(n, "approximate", "none") == "tanh":
        c, k = math.sqrt(2 / math.pi), 0.044715
        square = op.Mul(x, x)
        t = op.Tanh(op.Mul(c, op.Mul(x, op.Add(1.0, op.Mul(k, square)))))
        inner = op.Mul(c, op.Add(1.0, op.Mul(3 * k, square)))
        bend = op.Mul(op.Mul(x, op.Sub(1.0, op.Mul(t, t))), inner)
        return (op.Mul(g, op.Mul(0.5, op.Add(op.Add(1.0, t), bend))),)
    phi = op.Mul(1 / math.sqrt(2 * math.pi), op.Exp(op.Mul(-0.5, op.Mul(x, x))))
    below = op.Mul(0.5, op.Add(1.0, op.Erf(op.Mul(x, math.sqrt(0.5)))))
    return (op.Mul(g, op.Add(below, op.Mul(x, phi))),)


def _softsign(op: Emitter, n: Node, g: Tensor) -> Signals:
    """y = x / (1 + |x|), so dy/dx = 1 / (1 + |x|)²."""
    whole = op.Add(1.0, op.Abs(n.inputs[0]))
    return (op.Div(g, op.Mul(whole, whole)),)


def tanh(op: Emitter, n: Node, g: Tensor) -> Signals:
    """dy/dx = 1 − y²."""
    y = n.outputs[0]
    return (op.Mul(g, op.Sub(1.0, op.Mul(y, y))),)


OPERATORS: dict[str, Operator] = {
    "Celu": elementwise(_celu),
    "Clip": elementwise(clip),
    "Elu": elementwise(_elu),
    "Gelu": elementwise(_gelu),
    "HardSigmoid": elementwise(_hard_sigmoid),
    "HardSwish": elementwise(_hard_swish),
    "LeakyRelu": elementwise(_leaky_relu),
    "Mish": elementwise(_mish),
    "PRelu": broadcasting_elementwise(_prelu),
    "Relu": elementwise(lambda op, n, g: (gate(op, n, g),)),
    "Selu": elementwise(_selu),
    "Shrink": elementwise(_shrink),
    "Sigmoid": elementwise(_sigmoid),
    "Softplus": elementwise(lambda op, n, g: (op.Mul(g, op.Sigmoid(n.inputs[0])),)),
    "Softsign": elementwise(_softsign),
    "Swish": elementwise(_swish),
    "Tanh": elementwise(tanh),
    "ThresholdedRelu": elementwise(_thresholded_relu),
}
