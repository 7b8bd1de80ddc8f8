"""How Reshape and Flatten merge and split axes: the parts of all lines, in row-major order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from onnxplain.graphops.ir import Node, Shape, Tensor, shape_of
from onnxplain.graphops.operators.roles import (
    Line,
    Lines,
    Part,
    Role,
    Size,
    fresh,
    of_data,
    place_axes,
    unknown,
)

__all__ = ["agreeing", "regrouped"]


@of_data
def regrouped(node: Node, lines: Lines, output: Tensor) -> Lines:
    """Distribute the parts over the new axes, from the first on, then from the last on.

    Axes that keep their size at either end keep their lines. Where a size that is not known stands
    between, its axis takes the parts that are left.
    """
    before, after = shape_of(node.inputs[0]), shape_of(output)
    first = agreeing(before, after)
    last = agreeing(before[first:][::-1], after[first:][::-1])
    rest = lines[first : len(lines) - last]
    parts = [part for line in rest for part in line]
    sizes = after[first : len(after) - last]
    front, parts = _distributed(sizes, parts, _leading)
    back, parts = _distributed(sizes[len(front) :][::-1], parts[::-1], _trailing)
    parts = [p for p in parts[::-1] if p.size != 1]
    between = list(range(first + len(front), len(after) - last - len(back)))
    middle = [*front, *_left_over(between, parts, output), *back[::-1]]
    return [*lines[:first], *middle, *lines[len(lines) - last :]]


def agreeing(before: Shape, after: Shape) -> int:
    """Return how many leading axes certainly have the same size in both."""
    count = 0
    for a, b in zip(before, after, strict=False):
        if a is None or a != b:
            break
        count += 1
    return count


def _left_over(axes: list[int], parts: list[Part], output: Tensor) -> Lines:
    if len(axes) == 1:
        return [_merged(parts)] if parts else [unknown(output)[axes[0]]]
    sizes = [shape_of(output)[axis] for axis in axes]
    if axes[:1] == [0] and parts and parts[0].role is Role.OTHER and not isinstance(sizes[0], int):
        return [(parts[0],), *_left_over(axes[1:], parts[1:], output)]  # the images stay images
    located = all(place_axes((part,)) is not None for part in parts)
    if len(axes) == len(parts) and located and not any(isinstance(n, int) for n in sizes):
        return [(part,) for part in parts]
    roles = {part.role for part in parts}
    role = roles.pop() if len(roles) == 1 else Role.OTHER
    return [fresh(role, output, axis) for axis in axes]


Taken = tuple[Line, list[Part]]
Take = Callable[[Size, list[Part]], "Taken | None"]


def _distributed(sizes: Sequence[Size], parts: list[Part], take: Take) -> tuple[Lines, list[Part]]:
    """Return the lines of as many axes as the parts fill, and the parts left.

    An axis of unknown size between others takes the rest of what was split beside it.
    """
    lines: Lines = []
    whole = set(parts)
    for i, size in enumerate(sizes, start=1):
        taken = take(size, parts)
        between = i < len(sizes) and not isinstance(size, int)
        if taken is None and between and parts and parts[0] not in whole:
            taken = (parts[0],), parts[1:]
        if taken is None:
            break
        line, parts = taken
        lines.append(line)
    return lines, parts


def _leading(size: Size, parts: list[Part]) -> Taken | None:
    taken = _taken(size, parts, lambda part, need: _split(part, need))
    return None if taken is None else (_merged(taken[0]), taken[1])


def _trailing(size: Size, parts: list[Part]) -> Taken | None:
    """As `_leading`, of parts in reverse order."""
    taken = _taken(size, parts, _split_from_end)
    return None if taken is None else (_merged(taken[0][::-1]), taken[1])


def _taken(
    size: Size, parts: list[Part], split: Callable[[Part, int], tuple[Part, Part] | None]
) -> tuple[list[Part], list[Part]] | None:
    """Return the first parts, whose sizes multiply to `size`, and the rest."""
    if size is None or size == 0:
        return None
    if size == 1:
        return ([parts[0]], parts[1:]) if parts and parts[0].size == 1 else ([], parts)
    rest = list(parts)
    while rest and rest[0].size == 1:
        rest = rest[1:]
    if isinstance(size, str):
        return (rest[:1], rest[1:]) if rest and rest[0].size == size else None
    line: list[Part] = []
    product = 1
    while product < size:
        if not rest or rest[0].size == 0 or size % product:
            return None
        part, need = rest.pop(0), size // product
        if part.role is Role.CHANNEL and not isinstance(part.size, int):
            # The number of channels is fixed, so these are all of them.
            beside = list(itertools.takewhile(lambda p: p.role is Role.CHANNEL, rest))
            return [*line, part, *beside], rest[len(beside) :]
        if not isinstance(part.size, int) or need % part.size:
            halves = split(part, need)
            if halves is None:
                return None
            part, other = halves
            rest.insert(0, other)
        if not isinstance(part.size, int):
            return None
        if part.size != 1:
            line.append(part)
        product *= part.size
    return line, rest


def _split(part: Part, need: int) -> tuple[Part, Part] | None:
    """Return the outer `need` entries of a part and the inner rest."""
    if not isinstance(part.size, int) or part.size % need:
        return None
    inner = part.size // need
    return (
        replace(part, size=need, stride=part.stride * inner),
        replace(part, size=inner, outer=False),
    )


def _split_from_end(part: Part, need: int) -> tuple[Part, Part] | None:
    """Return the inner `need` entries of a part and the outer rest, whatever its size."""
    if isinstance(part.size, int) and part.size % need:
        return None
    outer = part.size // need if isinstance(part.size, int) else None
    return (
        replace(part, size=need, outer=False),
        replace(part, size=outer, stride=part.stride * need),
    )


def _merged(parts: Sequence[Part]) -> Line:
    """Return the parts as a line, neighbours that are fragments of one whole put together."""
    line: list[Part] = []
    for part in parts:
        outer = line[-1] if line else None
        if outer is not None and _adjoin(outer, part):
            line[-1] = _together(outer, part)
        else:
            line.append(part)
    return tuple(line)


def _adjoin(outer: Part, inner: Part) -> bool:
    alike = (outer.made, outer.role, outer.places) == (inner.made, inner.role, inner.places)
    chained = isinstance(inner.size, int) and outer.stride == inner.stride * inner.size
    return alike and chained and not inner.outer


def _together(outer: Part, inner: Part) -> Part:
    size: Size = None
    if outer.outer and inner.stride == 1:
        size = outer.whole
    elif isinstance(outer.size, int) and isinstance(inner.size, int):
        size = outer.size * inner.size
    return replace(inner, size=size, outer=outer.outer)
