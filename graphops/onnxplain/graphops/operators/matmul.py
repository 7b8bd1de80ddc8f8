"""Matrix products, which are a network's dense layers: Gemm and MatMul."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.ir import (
    Emitter,
    Node,
    Tensor,
    attribute,
    constant,
    optional_input,
    rank_of,
    shape_of,
)
from onnxplain.graphops.operators.axes import Fields, batch_only, of_first
from onnxplain.graphops.operators.batching import first_input
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.operator import Channels, Cost, Operator
from onnxplain.graphops.operators.roles import Lines, Role, fresh, joined, unknown
from onnxplain.graphops.operators.rules import Signals
from onnxplain.graphops.operators.window_layout import (
    Placed,
    Slide,
    as_weight,
    constant_value,
    refuse,
)

__all__ = ["OPERATORS", "matmul", "product_roles"]

Factor = tuple[Tensor, "Lines | None"]  # a tensor and what is known of its axes


def _gemm(op: Emitter, n: Node, g: Tensor) -> Signals:
    a, b = n.inputs[0], n.inputs[1]
    trans_a, trans_b = attribute(n, "transA", 0), attribute(n, "transB", 0)
    alpha, beta = attribute(n, "alpha", 1.0), attribute(n, "beta", 1.0)
    if trans_a:
        to_a = op.Gemm(b, g, transA=trans_b, transB=1, alpha=alpha)
    else:
        to_a = op.Gemm(g, b, transB=1 - trans_b, alpha=alpha)
    if trans_b:
        to_b = op.Gemm(g, a, transA=1, transB=trans_a, alpha=alpha)
    else:
        to_b = op.Gemm(a, g, transA=1 - trans_a, alpha=alpha)
    if len(n.inputs) == 2:
        return to_a, to_b
    to_c = g if beta == 1.0 else op.Mul(g, beta)
    return to_a, to_b, unbroadcast(op, to_c, n.inputs[2], n.outputs[0].shape)


def matmul(op: Emitter, n: Node, g: Tensor) -> Signals:
    """da = g·bᵀ, db = aᵀ·g; a vector is a matrix of one row or column, leading axes broadcast."""
    a, b = n.inputs
    shape_a, shape_b, shape = shape_of(a), shape_of(b), shape_of(n.outputs[0])
    rank_a, rank_b = len(shape_a), len(shape_b)
    if rank_b == 1:
        g = op.Unsqueeze(g, [-1])
    if rank_a == 1:
        g = op.Unsqueeze(g, [-2])
    rows = op.Unsqueeze(a, [0]) if rank_a == 1 else a
    columns = op.Unsqueeze(b, [1]) if rank_b == 1 else b
    to_a = op.MatMul(g, _transposed(op, columns, max(rank_b, 2)))
    to_b = op.MatMul(_transposed(op, rows, max(rank_a, 2)), g)
    leading = shape[: len(shape) - (rank_a > 1) - (rank_b > 1)]
    if rank_a == 1:
        to_a = _to_vector(op, to_a, -2, len(leading))
    else:
        to_a = unbroadcast(op, to_a, a, [*leading, *shape_a[-2:]])
    if rank_b == 1:
        to_b = _to_vector(op, to_b, -1, len(leading))
    else:
        to_b = unbroadcast(op, to_b, b, [*leading, *shape_b[-2:]])
    return to_a, to_b


def _to_vector(op: Emitter, signal: Tensor, spare: int, leading: int) -> Tensor:
    """Remove the axis that was added to a vector, and sum over the matrices it multiplied."""
    signal = op.Squeeze(signal, [spare])
    return op.ReduceSum(signal, list(range(leading)), keepdims=0) if leading else signal


def _transposed(op: Emitter, tensor: Tensor, rank: int) -> Tensor:
    order = list(range(rank))
    order[-2:] = reversed(order[-2:])
    return op.Transpose(tensor, perm=order)


def _gemm_batch(node: Node, batched: list[bool]) -> bool:
    bias = optional_input(node, 2)
    one_row = bias is None or not bias.shape or len(bias.shape) < 2 or bias.shape[0] == 1
    return first_input(node, batched) and not attribute(node, "transA", 0) and one_row


def _matmul_batch(node: Node, batched: list[bool]) -> bool:
    a, b = (t.shape for t in node.inputs)
    if a is None or b is None:
        return False
    if all(batched):
        return len(a) == len(b) >= 3
    if batched[0]:
        return len(a) >= 2 and (len(b) <= 2 or len(b) < len(a) or b[0] == 1)
    return len(b) >= 3 and (len(a) < len(b) or a[0] == 1)


def _gemm_axes(node: Node, fields: list[Fields | None]) -> Fields:
    return {} if attribute(node, "transA", 0) else batch_only(node, fields)


@of_first
def _matmul_axes(node: Node, fields: Fields) -> Fields:
    """All axes but the last, which is summed over, moved by the second input's leading axes."""
    rank = rank_of(node.inputs[0])
    shift = rank_of(node.outputs[0]) - rank
    return {i + shift: f for i, f in fields.items() if i < rank - 1} if shift >= 0 else {}


def _gemm_roles(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    a, b = lines[0], lines[1]
    rows = a[1 if attribute(node, "transA", 0) else 0] if a else unknown(output)[0]
    columns = b[0 if attribute(node, "transB", 0) else 1] if b else fresh(Role.CHANNEL, output, 1)
    return [rows, columns]


def _matmul_roles(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    return product_roles((node.inputs[0], lines[0]), (node.inputs[1], lines[1]), output)


def product_roles(first: Factor, second: Factor, output: Tensor) -> Lines:
    """The rows are those of the first factor, the columns those of the second.

    A weight's axis that is not summed over makes new channels.
    """
    (_, a), (_, b) = first, second
    rank, ranks = rank_of(output), [rank_of(t) for t, _ in (first, second)]
    result = unknown(output)
    for known, own in ((b, ranks[1]), (a, ranks[0])):
        for i, line in enumerate((known or [])[: max(own - 2, 0)]):
            axis = rank - (ranks[0] > 1) - (ranks[1] > 1) - max(own - 2, 0) + i
            result[axis] = joined([line, result[axis]])
    if ranks[0] > 1:
        axis = rank - 1 - (ranks[1] > 1)
        result[axis] = a[-2] if a else fresh(Role.CHANNEL, output, axis)
    if ranks[1] > 1:
        result[-1] = b[-1] if b else fresh(Role.CHANNEL, output, rank - 1)
    return result


def _slide(slide: Slide, node: Node) -> Placed:
    """A dense layer is a convolution with a kernel as large as the window."""
    x, is_gemm = slide.data(node), node.op == "Gemm"
    weight = constant_value(node.inputs[1])
    if weight is None or weight.ndim != 2 or attribute(node, "transA", 0):
        refuse(node, "has no constant matrix as its weight")
    if attribute(node, "transB", 0):
        weight = weight.T
    if is_gemm and attribute(node, "alpha", 1.0) != 1:
        weight = (weight * attribute(node, "alpha")).astype(weight.dtype)
    kernel = as_weight(node, x, weight)
    outputs, op = kernel.shape[0], slide.op
    inputs = [x.tensor, constant(op.name("weight"), np.ascontiguousarray(kernel))]
    bias_input = optional_input(node, 2)
    if bias_input is not None:
        bias = constant_value(bias_input)
        if bias is None or bias.size not in (1, bias.shape[-1] if bias.shape else 1):
            refuse(node, "has no constant vector as its bias")
        scaled = (bias.ravel() * attribute(node, "beta", 1.0)).astype(weight.dtype)
        inputs.append(constant(op.name("bias"), np.broadcast_to(scaled, outputs).copy()))
    row = (*x.order.shape[:-1], outputs)
    node.op, node.inputs, node.attrs = "Conv", inputs, {"kernel_shape": list(x.window)}
    made = Placed(node.outputs[0], outputs, (1,) * len(x.window), x.stride)
    return made.ordered(np.arange(outputs, dtype=np.int32).reshape(row))


def _cost(node: Node) -> Cost:
    a, y = node.inputs[0].shape, node.outputs[0].shape
    inner = a[0 if attribute(node, "transA", 0) else -1] if a else None
    return Cost.of_product([*(y or [None])[1:], inner])


OPERATORS: dict[str, Operator] = {
    "Gemm": Operator(
        _gemm,
        batch=_gemm_batch,
        axes=_gemm_axes,
        slide=_slide,
        cost=_cost,
        roles=_gemm_roles,
        channels=Channels.LAST,
    ),
    "MatMul": Operator(
        matmul,
        batch=_matmul_batch,
        axes=_matmul_axes,
        slide=_slide,
        cost=_cost,
        roles=_matmul_roles,
        channels=Channels.LAST,
    ),
}
