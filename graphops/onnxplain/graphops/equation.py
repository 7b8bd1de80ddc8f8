"""The equation of an Einsum."""

from __future__ import annotations

import string

from onnxplain.graphops.graph import Node, attribute

__all__ = ["indices_of"]


def indices_of(n: Node) -> tuple[list[str], str] | None:
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
