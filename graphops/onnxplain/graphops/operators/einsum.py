"""Einsum: its vector-Jacobian product is the same sum, an input and the output changing places."""

from __future__ import annotations

import string
from typing import Any

from onnxplain.graphops.errors import UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, is_constant
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.kinds import NOT_FOLLOWED
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals

__all__ = ["OPERATORS"]


def _einsum(op: Emitter, n: Node, g: Any) -> Signals:
    terms, result = _terms(n)
    return tuple(_signal(op, n, g, i, terms, result) for i in range(len(terms)))


def _signal(
    op: Emitter, n: Node, g: Tensor, i: int, terms: list[str], result: str
) -> Tensor | None:
    """For ab,bc→ac the signal of the first is ac,bc→ab; an index only it has is repeated.

    So is one that has size 1 in all other terms; over one that has size 1 only here, it is summed.
    """
    x = n.inputs[i]
    if is_constant(x):
        return None
    sizes = _sizes(n, terms)
    others = [t for j, t in enumerate(terms) if j != i]
    known = set(result).union(*others)
    kept = "".join(c for c in terms[i] if c in known)
    equation = ",".join([result, *others]) + "->" + kept
    signal = op.Einsum(g, *(t for j, t in enumerate(n.inputs) if j != i), equation=equation)
    missing = [axis for axis, c in enumerate(terms[i]) if c not in known]
    if missing:
        signal = op.Unsqueeze(signal, missing)
    if missing or any(_is_repeated(c, i, terms, result, sizes) for c in kept):
        signal = op.Expand(signal, op.shape(x))
    return unbroadcast(op, signal, x, [_whole(sizes[c]) for c in terms[i]])


def _sizes(n: Node, terms: list[str]) -> dict[str, list[int | str | None]]:
    """Return for each index what sizes the inputs have along it; None is not known."""
    found: dict[str, list[int | str | None]] = {}
    for tensor, term in zip(n.inputs, terms, strict=True):
        for c, size in zip(term, tensor.shape or [None] * len(term), strict=True):
            found.setdefault(c, []).append(size)
    return found


def _whole(sizes: list[int | str | None]) -> int | str | None:
    """Return the size that an index runs through: 1 gives way to any other."""
    known = {size for size in sizes if size != 1}
    numbers = [size for size in known if isinstance(size, int)]
    if numbers:
        return numbers[0]
    return 1 if not known else known.pop() if len(known) == 1 else None


def _is_repeated(
    c: str, i: int, terms: list[str], result: str, sizes: dict[str, list[int | str | None]]
) -> bool:
    """Tell whether all others may have size 1 along an index that the term runs through."""
    places = [j for j, term in enumerate(terms) if c in term]
    own = sizes[c][places.index(i)]
    others = [size for j, size in zip(places, sizes[c], strict=True) if j != i]
    if c in result or own == 1:
        return False
    return not any(size == own and size is not None or _is_many(size) for size in others)


def _is_many(size: int | str | None) -> bool:
    return isinstance(size, int) and size > 1


def _indices_of(n: Node) -> tuple[list[str], str] | None:
    """Return the indices of each input and of the output of an Einsum, a letter each.

    An ellipsis becomes letters; it has the same rank everywhere. None where that is not known.
    """
    left, arrow, result = attribute(n, "equation").replace(" ", "").partition("->")
    letters = left.replace(",", "").replace(".", "")
    if not arrow:
        once = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
        result = "..." + once if "." in left else once
    terms = left.split(",")
    if "." not in left:
        return terms, result
    known = zip(n.inputs, terms, strict=True)
    ranks = [len(x.shape) - len(t) + 3 for x, t in known if "." in t and x.shape is not None]
    if not ranks:
        return None
    spelled = "".join(c for c in string.ascii_letters if c not in letters)[: ranks[0]]
    return [term.replace("...", spelled) for term in terms], result.replace("...", spelled)


def _terms(n: Node) -> tuple[list[str], str]:
    """Return the indices of each input and of the output. Raises UnsupportedOperator."""
    found = _indices_of(n)
    if found is None or any(len(set(term)) < len(term) for term in found[0]):
        raise UnsupportedOperator(
            f"Einsum '{n.name}' has the equation '{attribute(n, 'equation')}'; an index twice in "
            "one term, or an ellipsis of unknown rank, has no rule: export the model with it "
            "written out"
        )
    return found


def _batch(node: Node, batched: list[bool]) -> bool:
    """The first index is the same in all batched inputs, and stands nowhere else."""
    terms, result = _indices_of(node) or ([], "")
    return bool(result) and all(
        term.startswith(result[0]) and result[0] not in term[1:]
        if is_batched
        else result[0] not in term
        for term, is_batched in zip(terms, batched, strict=True)
    )


OPERATORS: dict[str, Operator] = {
    "Einsum": Operator(
        _einsum,
        batch=_batch,
        axes=NOT_FOLLOWED,
        slide=Without("an equation has no fully convolutional form in general; MatMul has one"),
        cost=Without("the products of an equation are not counted"),
    ),
}
