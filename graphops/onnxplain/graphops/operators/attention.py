"""Softmax attention in one node.

The backward part of Attention computes the scores and the weights again, by basic operators, and
passes the signal through these by their rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import (
    Emitter,
    Node,
    StandIn,
    Tensor,
    attribute,
    is_float,
    optional_input,
    rank_of,
    shape_of,
)
from onnxplain.graphops.operators import axes, roles
from onnxplain.graphops.operators.activation import tanh
from onnxplain.graphops.operators.attention_heads import MASK, Heads, is_padded, score_bias
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.matmul import matmul
from onnxplain.graphops.operators.operator import Cost, Operator, Without
from onnxplain.graphops.operators.rules import NOTHING, Rule, Signals, Table, only_first, widening
from onnxplain.graphops.operators.softmax import softmax

__all__ = ["OPERATORS", "SPELLED", "attention_softmax", "through_attention"]

PAST = (4, 5)  # the inputs past_key and past_value
BESIDES = Without("each position depends on all positions of one window")


@dataclass(frozen=True)
class Parts:
    """The nodes that spell an Attention node.

    score: the MatMul of q, scaled, and kᵀ. cap: the Tanh of the softcap, or None. capped: the
    scores behind it. bias: what is added to them, or None. softmax: the Softmax of the sum.
    """

    heads: Heads
    scaling: StandIn
    score: StandIn
    cap: StandIn | None
    capped: Tensor
    bias: Tensor | None
    softmax: StandIn

    @classmethod
    def of(cls, op: Emitter, n: Node) -> Parts:
        """Append the nodes up to the softmax."""
        if any(optional_input(n, i) is not None for i in PAST):
            raise UnsupportedOperator(
                f"Attention '{n.name}' has past keys and values, which have no rule: export the "
                "model without a cache of keys and values"
            )
        heads = Heads.of(op, n)
        scale = heads.scale(op, n)
        scaled = _like(op.Mul(heads.q, scale), heads.q)
        score = _product(op, n, scaled, heads.exchanged(op, heads.k))
        scores = heads.joined(op, score.outputs[0])
        cap = _softcap(op, n, scores)
        capped = scores if cap is None else _like(op.Mul(cap.outputs[0], cap.attrs["cap"]), scores)
        bias = score_bias(op, n, scores)
        added = capped if bias is None else _like(op.Add(capped, bias), scores)
        weights = op.Softmax(added, axis=-1)
        # a query that sees no key has NaN there, and zero by the definition of Attention
        weights = _like(op.Where(op.Equal(weights, weights), weights, 0.0), scores)
        softmax = StandIn("Softmax", n.name, {"axis": -1}, [added], [weights])
        scaling = StandIn("Mul", n.name, {}, [heads.q, scale], [scaled])
        return cls(heads, scaling, score, cap, capped, bias, softmax)


def attention_softmax(op: Emitter, n: Node) -> Node:
    """Append the scores and weights of an Attention node, and return the Softmax between them."""
    return Parts.of(op, n).softmax


def through_attention(table: Table) -> Rule:
    """Return the rule of Attention that follows from those of the operators that spell it.

    table: the rules of Mix (the MatMul of weights and v), Softmax, Add (of scores and mask), Tanh
    (the softcap), Score (the MatMul of q and kᵀ) and Mul (of q and the scale). A signal that is
    NOTHING ends its branch.
    """

    def rule(op: Emitter, n: Node, g: Tensor | Signals) -> Signals:
        parts = Parts.of(op, n)
        heads = parts.heads
        mix = _product(op, n, heads.split(op, parts.softmax.outputs[0]), heads.v)
        first = only_first(n, g, "an output of {} other than the first")
        to_weights, to_v = table["Mix"](op, mix, heads.of_output(op, n, first))
        to_q, to_k = NOTHING, NOTHING
        to_mask: Tensor | None = NOTHING
        if (signal := _given(to_weights)) is not None:
            signal = heads.joined(op, _like(signal, mix.inputs[0]))
            to_q, to_k, to_mask = _to_scores(op, n, parts, table, signal)
        by_head = ((to_q, heads.q), (to_k, heads.k), (_required(n, to_v), heads.v))
        signals = [
            signal if signal is NOTHING else heads.to_input(op, n, i, _like(signal, x))
            for i, (signal, x) in enumerate(by_head)
        ]
        return tuple([*signals, to_mask, None, None, None][: len(n.inputs)])

    return rule


def _to_scores(
    op: Emitter, n: Node, parts: Parts, table: Table, g: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the signals at q, k and the mask from that at the weights."""
    to_q, to_k = NOTHING, NOTHING
    to_mask: Tensor | None = NOTHING
    (signal,) = table["Softmax"](op, parts.softmax, g)
    if parts.bias is not None:
        total = StandIn("Add", n.name, {}, [parts.capped, parts.bias], parts.softmax.inputs)
        signal, to_bias = table["Add"](op, total, _required(n, signal))
        to_mask = _to_mask(op, n, to_bias, parts.capped)
    if parts.cap is not None:
        (signal,) = table["Tanh"](op, parts.cap, _required(n, signal))
    signal = parts.heads.split(op, _like(_required(n, signal), parts.capped))
    to_scaled, to_keys = table["Score"](op, parts.score, signal)
    if _given(to_scaled) is not None:
        to_q = _required(n, table["Mul"](op, parts.scaling, to_scaled)[0])
    if (signal := _given(to_keys)) is not None:
        to_k = parts.heads.exchanged(op, _like(signal, parts.score.inputs[1]))
    return to_q, to_k, to_mask


def _softcap(op: Emitter, n: Node, scores: Tensor) -> StandIn | None:
    """Return the Tanh of softcap·tanh(scores/softcap), whose slope is that of the whole."""
    cap = attribute(n, "softcap", 0.0)
    if not cap:
        return None
    inner = _like(op.Div(scores, cap), scores)
    return StandIn("Tanh", n.name, {"cap": cap}, [inner], [_like(op.Tanh(inner), scores)])


def _product(op: Emitter, n: Node, a: Tensor, b: Tensor) -> StandIn:
    """Append the product of two matrices by heads, and return its node."""
    y = op.MatMul(a, b)
    y.shape = [*shape_of(a)[:-1], shape_of(b)[-1]]
    return StandIn("MatMul", n.name, {}, [a, b], [y])


def _to_mask(op: Emitter, n: Node, signal: Tensor | None, scores: Tensor) -> Tensor | None:
    """Return the signal at the mask from that at the scores' bias; a Boolean mask has none."""
    mask = optional_input(n, MASK)
    if mask is None or not is_float(mask) or signal is None or signal is NOTHING:
        return NOTHING if signal is NOTHING else None
    shape = shape_of(scores)
    if is_padded(n, scores):
        size = op.shape(mask, rank_of(mask) - 1)
        signal, shape = op.Slice(signal, [0], size, [3]), [*shape[:3], shape_of(mask)[-1]]
    return unbroadcast(op, signal, mask, shape)


def _given(signal: Tensor | None) -> Tensor | None:
    return None if signal is NOTHING else signal


def _required(n: Node, signal: Tensor | None) -> Tensor:
    if signal is None:
        raise UnsupportedOperator(f"Attention '{n.name}' passes no signal to its input")
    return signal


def _like(tensor: Tensor, other: Tensor) -> Tensor:
    tensor.shape = list(shape_of(other))
    return tensor


def _batch(node: Node, batched: list[bool]) -> bool:
    """Queries, keys and values are batched; what else is given is so, or the same for all."""
    if not all(batched[:3]) or any(optional_input(node, i) is not None for i in PAST):
        return False
    mask, lengths = optional_input(node, MASK), optional_input(node, 6)
    if lengths is not None and not batched[6]:
        return False
    if mask is None:
        return True
    rank = None if mask.shape is None else len(mask.shape)
    if batched[MASK]:
        return rank == 4
    return rank is not None and (rank < 4 or shape_of(mask)[0] == 1)


def _axes(node: Node, fields: list[Fields | None]) -> Fields:
    """Each position sees all of its image, and nothing of another."""
    return {i: f for i, f in axes.together(fields[:3]).items() if i == 0}


def _cost(node: Node) -> Cost:
    """The products of q and k, and of the weights and v."""
    q, k, y = (t.shape or [None] for t in (*node.inputs[:2], node.outputs[0]))
    if len(q) not in (3, 4) or not isinstance(q[-1], int) or not isinstance(y[-1], int):
        return Cost(None, None)
    return Cost.of_product([*q[1:-1], k[-2], q[-1] + y[-1]])


# The gradient's rules of the operators that spell Attention.
SPELLED: Table = {
    "Add": lambda op, n, g: (g, g),
    "Mix": matmul,
    "Mul": lambda op, n, g: (op.Mul(g, n.inputs[1]), NOTHING),
    "Score": matmul,
    "Softmax": softmax,
    "Tanh": tanh,
}

OPERATORS: dict[str, Operator] = {
    "Attention": Operator(
        widening(through_attention(SPELLED)),
        batch=_batch,
        axes=_axes,
        slide=BESIDES,
        cost=_cost,
        roles=roles.same,
    ),
}
