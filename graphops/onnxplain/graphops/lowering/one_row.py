"""The weight's row of one unit, where the signal is zero at all other units: a class score's.

From the class score, the signal reaches the classifier's weight, a Gemm or a convolution of one
element, with one channel that is not zero. The product is that channel's value times its row.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, is_fixed, known_number

__all__ = ["OneUnit"]

# Operators of the first input that keep zeros where they are, channel by channel.
KEEPING = {
    "Cast", "Div", "Expand", "Identity", "Mul", "Neg", "Relu", "Reshape", "Resize", "Squeeze",
    "Unsqueeze",
}  # fmt: skip


@dataclass(frozen=True)
class OneUnit:
    """The seed of a backward pass from one unit per result.

    cotangent: [B, C, ...], zero but at the channel of each result. channel: int64[B].
    """

    cotangent: Tensor
    channel: Tensor

    def product(self, op: Emitter, node: Node) -> Tensor | None:
        """Return the result of a Gemm, MatMul or ConvTranspose whose input has one channel."""
        x, weight = node.inputs[:2]
        if len(node.inputs) > 2 or not is_fixed(weight) or not self._is_alone_in(x):
            return None
        transposed = False
        if node.op == "ConvTranspose":
            plain = max(attribute(node, "strides", [1])) == attribute(node, "group", 1) == 1
            sized = ("pads", "output_padding", "output_shape")
            spare = [size for name in sized for size in attribute(node, name, [])]
            if not plain or any(spare) or set((weight.shape or [0])[2:]) != {1}:
                return None
        else:
            transposed = bool(attribute(node, "transB", 0))
            if attribute(node, "transA", 0) or attribute(node, "alpha", 1.0) != 1:
                return None
            if len(x.shape or []) != 2 or len(weight.shape or []) != 2:
                return None
        rows = op.Transpose(weight, perm=[1, 0]) if transposed else weight
        return op.Mul(op.ReduceSum(x, [1]), op.Gather(rows, self.channel, axis=0))

    def _is_alone_in(self, x: Tensor) -> bool:
        """Tell whether the tensor is zero but at the channel of each result, on axis 1."""
        shape = self.cotangent.shape or []
        channels = shape[1] if len(shape) > 1 else None
        while isinstance(channels, int) and (x.shape or [])[1:2] == [channels]:
            if x is self.cotangent:
                return True
            node = x.inputs[0] if x.inputs else None
            if node is None:
                return False
            if node.op == "Where" and known_number(node.inputs[2]) == 0:
                x = node.inputs[1]
            elif node.op in KEEPING or (node.op == "Conv" and _scales(node, channels)):
                x = node.inputs[0]
            else:
                return False
        return False


def _scales(node: Node, channels: int) -> bool:
    return attribute(node, "group", 1) == channels and len(node.inputs) == 2
