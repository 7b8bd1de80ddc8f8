"""Einsum: its vector-Jacobian product is an Einsum with an input and the output exchanged."""

from __future__ import annotations

import string

from onnxplain.graphops.errors import CorruptModel, UnsupportedOperator
from onnxplain.graphops.ir import Emitter, Node, Shape, Tensor, attribute, is_constant, shape_of
from onnxplain.graphops.operators.broadcast import unbroadcast
from onnxplain.graphops.operators.constructors import NOT_FOLLOWED
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.roles import Line, Lines, Role, fresh, joined, unknown
from onnxplain.graphops.operators.rules import Signals

__all__ = ["OPERATORS"]


def _einsum(op: Emitter, n: Node, g: Tensor) -> Signals:
    terms, result = _terms(n)
    return tuple(_signal(op, n, g, i, terms, result) for i in range(len(terms)))


def _signal(
    op: Emitter, n: Node, g: Tensor, i: int, terms: list[str], result: str
) -> Tensor | None:
    """Return the signal of input i: for ab,bc→ac, that of the first input is ac,bc→ab.

    Along an index that no other term has, or that has size 1 in all others, it is repeated; along
    one that has size 1 only in this term, it is summed.
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


def _sizes(n: Node, terms: list[str]) -> dict[str, Shape]:
    """Return for each index the sizes of the inputs along it, None where not known."""
    found: dict[str, Shape] = {}
    for tensor, term in zip(n.inputs, terms, strict=True):
        if len(tensor.shape or term) != len(term):
            raise CorruptModel(f"the equation of Einsum '{n.name}' does not fit '{tensor.name}'")
        for c, size in zip(term, tensor.shape or [None] * len(term), strict=True):
            found.setdefault(c, []).append(size)
    return found


def _whole(sizes: Shape) -> int | str | None:
    """Return the size of an index after broadcasting: 1 gives way to any other."""
    known = {size for size in sizes if size != 1}
    numbers = [size for size in known if isinstance(size, int)]
    if numbers:
        return numbers[0]
    return 1 if not known else known.pop() if len(known) == 1 else None


def _is_repeated(c: str, i: int, terms: list[str], result: str, sizes: dict[str, Shape]) -> bool:
    """Tell whether all other terms may have size 1 along an index of term i."""
    having = [j for j, term in enumerate(terms) if c in term]
    own = sizes[c][having.index(i)]
    others = [size for j, size in zip(having, sizes[c], strict=True) if j != i]
    if c in result or own == 1:
        return False
    return not any(
        (size == own and size is not None) or (isinstance(size, int) and size > 1)
        for size in others
    )


def _indices_of(n: Node) -> tuple[list[str], str] | None:
    """Return the indices of each input and of the output of an Einsum, a letter each.

    An ellipsis becomes letters; its rank is the same in all terms. None where it is not known.
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
            "one term and an ellipsis of unknown rank have no rule: export the model with MatMul, "
            "Mul and ReduceSum instead"
        )
    return found


def _batch(node: Node, batched: list[bool]) -> bool:
    """The output's first index is the first of all batched inputs, and in no other position."""
    terms, result = _indices_of(node) or ([], "")
    return bool(result) and all(
        term.startswith(result[0]) and result[0] not in term[1:]
        if is_batched
        else result[0] not in term
        for term, is_batched in zip(terms, batched, strict=True)
    )


def _roles(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    """An index keeps its line; one that only a weight has makes new channels."""
    terms, result = _indices_of(node) or ([], "")
    found: dict[str, list[Line]] = {}
    for tensor, term, known in zip(node.inputs, terms, lines, strict=False):
        for axis, (c, line) in enumerate(zip(term, known or [], strict=False)):
            if shape_of(tensor)[axis] != 1:
                found.setdefault(c, []).append(line)
    axes = unknown(output)
    for axis, c in enumerate(result[: len(axes)]):
        if c in found:
            axes[axis] = joined(found[c])
        elif shape_of(output)[axis] != 1:
            axes[axis] = fresh(Role.CHANNEL, output, axis)
    return axes


OPERATORS: dict[str, Operator] = {
    "Einsum": Operator(
        _einsum,
        batch=_batch,
        axes=NOT_FOLLOWED,
        roles=_roles,
        slide=Without("an equation has no fully convolutional form in general; MatMul has one"),
        cost=Without("the products of an equation are not counted"),
    )
}
