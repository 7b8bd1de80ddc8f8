"""Linear layers for LRP, with the biases, scales and BatchNormalizations after them merged in.

Zennit merges a BatchNorm into the convolution before it. Here the forward pass stays unchanged: the
merged weight and bias are computed from the initialisers, and runtimes fold them. What an exporter
writes as Mul and Add of constants is merged alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from onnxplain.graphops.backward import require_signal
from onnxplain.graphops.ir import Emitter, Node, StandIn, Tensor, attribute, is_fixed, rank_of
from onnxplain.graphops.operators import GRADIENT

__all__ = ["CONVOLUTIONS", "DENSE", "Weighted", "merged_nodes"]

CONVOLUTIONS, DENSE = ("Conv", "ConvTranspose"), ("Gemm", "MatMul")

Carriers: TypeAlias = frozenset[str]  # the names of the tensors that carry signals
Merged: TypeAlias = "tuple[Tensor, Tensor | None]"  # weight and bias


@dataclass(frozen=True)
class Weighted:
    """A linear node with the nodes merged into it.

    data_index: the input that carries the signal. z: the output of the last merged node. weight,
    bias: with all nodes merged; the bias broadcasts against z, and may be None.
    """

    node: Node
    data_index: int
    z: Tensor
    weight: Tensor
    bias: Tensor | None

    @staticmethod
    def of(op: Emitter, node: Node, carriers: frozenset[str], parts: Sequence[Node]) -> Weighted:
        """Merge `parts` into a linear node. carriers: the tensors that carry signals."""
        data_index = 0 if node.inputs[0].name in carriers else 1
        weight, bias = node.inputs[1 - data_index], _own_bias(op, node)
        alpha = attribute(node, "alpha", 1.0)
        if node.op == "Gemm" and alpha != 1.0:
            weight = _like(op.Mul(weight, alpha), weight)
        for part in parts:
            weight, bias = MERGED[part.op](op, node, weight, bias, part, carriers)
        return Weighted(node, data_index, [node, *parts][-1].outputs[0], weight, bias)

    @property
    def x(self) -> Tensor:
        """The input that carries the signal."""
        return self.node.inputs[self.data_index]

    def forward(self, op: Emitter, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Append the layer with another input, weight and bias."""
        pair = (x, weight) if self.data_index == 0 else (weight, x)
        (y,) = op.many(self.node.op, *pair, outputs=1, **self._attributes())
        return y if bias is None else op.Add(y, bias)

    def backward(self, op: Emitter, signal: Tensor, weight: Tensor) -> Tensor:
        """Append the backward pass of a signal through the layer with another weight."""
        _like(weight, self.weight)
        inputs = [self.node.inputs[0], weight] if self.data_index == 0 else [weight, self.x]
        n = self.node
        node = StandIn(n.op, n.name, self._attributes(), inputs, n.outputs)
        return require_signal(node, GRADIENT[node.op](op, node, signal)[self.data_index])

    def _attributes(self) -> dict[str, Any]:
        """Return the node's attributes without those merged into weight and bias."""
        return {k: v for k, v in self.node.attrs.items() if k not in ("alpha", "beta")}


def merged_nodes(
    nodes: Iterable[Node], carriers: frozenset[str], layer: Tensor
) -> dict[str, tuple[Node, ...]]:
    """Return the nodes that are merged into each linear node on a path, by its name.

    nodes: those of the path. carriers: the names of the tensors that carry signals; a product of
    two of them is not linear. layer: the path's end, beyond which nothing is merged.
    """
    nodes = list(nodes)
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for tensor in node.inputs:
            readers.setdefault(tensor.name, []).append(node)
    merged = {}
    for node in nodes:
        signals = sum(t.name in carriers for t in node.inputs)
        if node.op in (*CONVOLUTIONS, *DENSE) and signals == 1:
            parts: list[Node] = []
            tensor = node.outputs[0]
            while tensor.name != layer.name and len(readers.get(tensor.name, ())) == 1:
                (reader,) = readers[tensor.name]
                if not _belongs(reader, node, carriers):
                    break
                parts.append(reader)
                tensor = reader.outputs[0]
            merged[node.name] = tuple(parts)
    return merged


def _belongs(reader: Node, node: Node, carriers: frozenset[str]) -> bool:
    """Tell whether a node adds a constant to a linear node's output, scales or normalises it."""
    if reader.op not in MERGED:
        return False
    constants = [t for t in reader.inputs if t.name not in carriers]
    if reader.op in ("Dropout", "Identity"):
        return True
    if reader.op == "Add":
        return len(constants) == 1
    if reader.op == "Sub":
        return constants == reader.inputs[1:]
    if node.inputs[0].name not in carriers:
        return False
    if node.op == "ConvTranspose" and attribute(node, "group", 1) != 1:
        return False
    if reader.op == "BatchNormalization":
        return node.op != "MatMul" or len(node.outputs[0].shape or ()) == 2
    divides = reader.op == "Div" and constants != reader.inputs[1:]
    return len(constants) == 1 and not divides and _is_per_output(constants[0], node)


def _is_per_output(factor: Tensor, node: Node) -> bool:
    """Tell whether a factor is constant: one number, or one for each output channel."""
    rank = rank_of(node.outputs[0])
    if factor.shape is None or len(factor.shape) > rank or not is_fixed(factor):
        return False
    channels = 1 if node.op in CONVOLUTIONS else rank - 1
    axes = enumerate(factor.shape, rank - len(factor.shape))
    return all(size == 1 or axis == channels for axis, size in axes)


def _own_bias(op: Emitter, node: Node) -> Tensor | None:
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return None
    bias, beta = node.inputs[2], attribute(node, "beta", 1.0)
    if node.op == "Gemm":
        return bias if beta == 1.0 else op.Mul(bias, beta)
    return _over_channels(op, bias, rank_of(node.outputs[0]))


def _kept(
    op: Emitter, node: Node, weight: Tensor, bias: Tensor | None, part: Node, carriers: Carriers
) -> Merged:
    return weight, bias


def _shifted(
    op: Emitter, node: Node, weight: Tensor, bias: Tensor | None, part: Node, carriers: Carriers
) -> Merged:
    """Merge an Add or a Sub of a constant."""
    other = next(t for t in part.inputs if t.name not in carriers)
    if bias is None:
        return weight, other if part.op == "Add" else op.Neg(other)
    return weight, op.Add(bias, other) if part.op == "Add" else op.Sub(bias, other)


def _multiplied(
    op: Emitter, node: Node, weight: Tensor, bias: Tensor | None, part: Node, carriers: Carriers
) -> Merged:
    """Merge a Mul or a Div by a constant."""
    factor = next(t for t in part.inputs if t.name not in carriers)
    if part.op == "Div":
        factor = op.Reciprocal(factor)
    return _scaled(op, node, weight, factor), None if bias is None else op.Mul(bias, factor)


def _normalized(
    op: Emitter, node: Node, weight: Tensor, bias: Tensor | None, norm: Node, carriers: Carriers
) -> Merged:
    """Merge a BatchNormalization: scale = γ/√(σ² + ε), bias' = (bias − μ)·scale + β."""
    gamma, beta, mean, variance = norm.inputs[1:5]
    scale = op.Div(gamma, op.Sqrt(op.Add(variance, attribute(norm, "epsilon", 1e-5))))
    merged = _scaled(op, node, weight, scale)
    outputs = rank_of(norm.outputs[0])
    scale, mean, beta = (_over_channels(op, t, outputs) for t in (scale, mean, beta))
    centred = op.Neg(mean) if bias is None else op.Sub(bias, mean)
    return merged, op.Add(op.Mul(centred, scale), beta)


def _scaled(op: Emitter, node: Node, weight: Tensor, factor: Tensor) -> Tensor:
    """Multiply a weight by one number, or by one for each output channel."""
    along = [1] * rank_of(weight)
    along[_output_axis(node)] = -1
    return _like(op.Mul(weight, op.Reshape(factor, along)), weight)


def _output_axis(node: Node) -> int:
    """Return the weight's axis of output channels."""
    if node.op == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op, -1)


def _over_channels(op: Emitter, vector: Tensor, rank: int) -> Tensor:
    """Reshape one value per channel to broadcast against [N, C, ...] of that rank."""
    return op.Reshape(vector, [-1, *[1] * (rank - 2)]) if rank > 2 else vector


def _like(weight: Tensor, original: Tensor) -> Tensor:
    """Return a weight with the static shape of the original that it is computed from."""
    if weight.shape is None:
        weight.shape = original.shape
    return weight


# How each operator behind a linear node is merged into its weight and bias.
MERGED: dict[str, Callable[[Emitter, Node, Tensor, Tensor | None, Node, Carriers], Merged]] = {
    "Add": _shifted,
    "BatchNormalization": _normalized,
    "Div": _multiplied,
    "Dropout": _kept,
    "Identity": _kept,
    "Mul": _multiplied,
    "Sub": _shifted,
}
