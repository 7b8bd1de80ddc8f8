"""Vector-Jacobian products of the matrix products."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.table import Rule, Signals

__all__ = ["RULES"]


def _gemm(op: Emitter, n: Node, g: Any) -> Signals:
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


def _matmul(op: Emitter, n: Node, g: Any) -> Signals:
    """da = g·bᵀ, db = aᵀ·g; a vector is a matrix of one row or column, leading axes broadcast."""
    a, b, y = n.inputs[0], n.inputs[1], n.outputs[0]
    rank_a, rank_b, _ = _rank(a, n), _rank(b, n), _rank(y, n)
    if rank_b == 1:
        g = op.Unsqueeze(g, [-1])
    if rank_a == 1:
        g = op.Unsqueeze(g, [-2])
    rows = op.Unsqueeze(a, [0]) if rank_a == 1 else a
    columns = op.Unsqueeze(b, [1]) if rank_b == 1 else b
    to_a = op.MatMul(g, _transposed(op, columns, max(rank_b, 2)))
    to_b = op.MatMul(_transposed(op, rows, max(rank_a, 2)), g)
    leading = y.shape[: len(y.shape) - (rank_a > 1) - (rank_b > 1)]
    if rank_a == 1:
        to_a = _to_vector(op, to_a, -2, len(leading))
    else:
        to_a = unbroadcast(op, to_a, a, [*leading, *a.shape[-2:]])
    if rank_b == 1:
        to_b = _to_vector(op, to_b, -1, len(leading))
    else:
        to_b = unbroadcast(op, to_b, b, [*leading, *b.shape[-2:]])
    return to_a, to_b


def _to_vector(op: Emitter, signal: Tensor, spare: int, leading: int) -> Tensor:
    """Take away the axis that a vector was given, and sum over the matrices it met."""
    signal = op.Squeeze(signal, [spare])
    return op.ReduceSum(signal, list(range(leading)), keepdims=0) if leading else signal


def _rank(tensor: Tensor, n: Node) -> int:
    if tensor.shape is None:
        raise UnsupportedModel(f"'{tensor.name}', an input of {n.op} '{n.name}', has no known rank")
    return len(tensor.shape)


def _transposed(op: Emitter, tensor: Tensor, rank: int) -> Tensor:
    order = list(range(rank))
    order[-2:] = reversed(order[-2:])
    return op.Transpose(tensor, perm=order)


RULES: dict[str, Rule] = {"Gemm": _gemm, "MatMul": _matmul}
