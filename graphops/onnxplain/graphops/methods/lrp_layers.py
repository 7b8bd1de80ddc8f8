"""Linear layers for LRP, with the biases and BatchNormalizations after them merged in.

Zennit merges a BatchNorm into the convolution before it. Here the forward pass stays unchanged: the
merged weight and bias are computed from the initialisers, and runtimes fold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from onnxplain.graphops.backward import require_signal
from onnxplain.graphops.ir import Emitter, Node, StandIn, Tensor, attribute, rank_of
from onnxplain.graphops.operators import GRADIENT

__all__ = ["CONVOLUTIONS", "DENSE", "Weighted", "merged_nodes"]

CONVOLUTIONS, DENSE = ("Conv", "ConvTranspose"), ("Gemm", "MatMul")


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
            if part.op == "Add":
                added = next(t for t in part.inputs if t.name not in carriers)
                bias = added if bias is None else op.Add(bias, added)
            else:
                weight, bias = _normalized(op, node, weight, bias, part)
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
                if not _belongs(reader, node, parts, carriers):
                    break
                parts.append(reader)
                tensor = reader.outputs[0]
            merged[node.name] = tuple(parts)
    return merged


def _belongs(reader: Node, node: Node, parts: list[Node], carriers: frozenset[str]) -> bool:
    """Tell whether a node adds a constant to a linear node's output, or normalises it."""
    if parts and parts[-1].op == "BatchNormalization":
        return False
    if reader.op == "Add":
        return sum(t.name in carriers for t in reader.inputs) == 1
    if reader.op != "BatchNormalization" or node.inputs[0].name not in carriers:
        return False
    if node.op == "MatMul":
        return len(node.outputs[0].shape or ()) == 2
    return bool(node.op != "ConvTranspose" or attribute(node, "group", 1) == 1)


def _own_bias(op: Emitter, node: Node) -> Tensor | None:
    if len(node.inputs) < 3 or node.inputs[2].is_empty():
        return None
    bias, beta = node.inputs[2], attribute(node, "beta", 1.0)
    if node.op == "Gemm":
        return bias if beta == 1.0 else op.Mul(bias, beta)
    return _over_channels(op, bias, rank_of(node.outputs[0]))


def _normalized(
    op: Emitter, node: Node, weight: Tensor, bias: Tensor | None, norm: Node
) -> tuple[Tensor, Tensor]:
    """Merge a BatchNormalization: scale = γ/√(σ² + ε), bias' = (bias − μ)·scale + β."""
    gamma, beta, mean, variance = norm.inputs[1:5]
    scale = op.Div(gamma, op.Sqrt(op.Add(variance, attribute(norm, "epsilon", 1e-5))))
    rank, axis = rank_of(weight), _output_axis(node)
    along = [1] * rank
    along[axis] = -1
    merged = _like(op.Mul(weight, op.Reshape(scale, along)), weight)
    outputs = rank_of(norm.outputs[0])
    scale, mean, beta = (_over_channels(op, t, outputs) for t in (scale, mean, beta))
    centred = op.Neg(mean) if bias is None else op.Sub(bias, mean)
    return merged, op.Add(op.Mul(centred, scale), beta)


def _output_axis(node: Node) -> int:
    """Return the weight's axis of output channels."""
    if node.op == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return 0 if node.op == "Conv" else 1


def _over_channels(op: Emitter, vector: Tensor, rank: int) -> Tensor:
    """Reshape one value per channel to broadcast against [N, C, ...] of that rank."""
    return op.Reshape(vector, [-1, *[1] * (rank - 2)]) if rank > 2 else vector


def _like(weight: Tensor, original: Tensor) -> Tensor:
    """Return a weight with the static shape of the original that it is computed from."""
    if weight.shape is None:
        weight.shape = original.shape
    return weight
