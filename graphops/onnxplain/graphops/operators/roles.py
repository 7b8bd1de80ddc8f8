"""What the axes of a tensor run along, and the rules by which several operators carry it.

An axis is a line of parts in row-major order, whose sizes multiply to its own: flattened to tokens,
[N, C, H, W] has the lines N, C and H·W. A rule is `(node, lines, output) -> lines`: the lines of
one output from those of each input, which are None for an input that does not depend on the
network's inputs. All ranks are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TypeAlias

from onnxplain.graphops.ir import Node, Tensor, rank_of, shape_of

__all__ = [
    "Line", "Lines", "Part", "Places", "Role", "RolesRule", "Size", "aligned", "channels_first",
    "elementwise", "fresh", "grid", "joined", "of_data", "picked", "place_axes", "resized",
    "role_of", "same", "unknown", "unlocated",
]  # fmt: skip

Size: TypeAlias = "int | str | None"


class Role(IntEnum):
    """What a part runs along. Where branches meet, the greater prevails.

    Places prevail over channels: a layer that mixes tokens counts them as its channels.
    """

    OTHER = 0  # the batch, class tokens, or what is not known
    CHANNEL = 1
    PLACE = 2


@dataclass(frozen=True)
class Places:
    """The places of the picture along one axis of a tensor.

    axes: the picture's axes that it runs along: one, or several whose places follow each other in
        row-major order, as tokens do.
    sizes: the number of places along each of them: a number, a name, or None where not known.
    before, after: how many entries, such as class tokens, precede and follow the places.
    """

    axes: tuple[int, ...]
    sizes: tuple[Size, ...]
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Part:
    """A factor of an axis: a whole axis of the tensor that made it, or a fragment.

    made: the tensor where it began, and the axis there. places: where it lies in the picture, None
    where that is not known. stride, outer: the step between its entries along the whole, and
    whether they reach over all of it. sure: whether its role is known, not guessed.
    """

    role: Role
    size: Size
    made: tuple[str, int]
    places: Places | None = None
    stride: int = 1
    outer: bool = True
    whole: Size = field(default=None, kw_only=True)
    sure: bool = True


Line: TypeAlias = "tuple[Part, ...]"
Lines: TypeAlias = "list[Line]"
RolesRule: TypeAlias = Callable[[Node, "list[Lines | None]", Tensor], Lines]


def fresh(role: Role, tensor: Tensor, axis: int, places: Places | None = None) -> Line:
    """Return an axis that begins at this tensor."""
    size = shape_of(tensor)[axis]
    if places is not None and not isinstance(size, int):
        count = _product(places.sizes)
        size = count + places.before + places.after if isinstance(count, int) else size
    return (Part(role, size, (tensor.name, axis), places, whole=size),)


def unlocated(tensor: Tensor, axis: int) -> Line:
    """Return an axis of places of which it is not known where in the picture they lie."""
    return fresh(Role.PLACE, tensor, axis)


def unknown(tensor: Tensor) -> Lines:
    """Return the lines of a tensor of which nothing is known."""
    return [
        () if size == 1 else fresh(Role.OTHER, tensor, i) for i, size in enumerate(shape_of(tensor))
    ]


def role_of(line: Line) -> Role:
    """Return the role that prevails on a line."""
    return max((part.role for part in line), default=Role.OTHER)


def place_axes(line: Line) -> Places | None:
    """Return the places along a line, None where it has others or these cannot be told."""
    if len(line) == 1 and line[0].size == line[0].whole and line[0].outer:
        return line[0].places
    if not line or not all(part.outer and _is_one_axis(part.places) for part in line):
        return None
    axes = tuple(part.places.axes[0] for part in line if part.places is not None)
    return Places(axes, tuple(part.size for part in line)) if len(set(axes)) == len(axes) else None


def _is_one_axis(places: Places | None) -> bool:
    return places is not None and len(places.axes) == 1 and not places.before + places.after


def resized(line: Line, tensor: Tensor, axis: int, before: Size) -> Line:
    """Return the line on an axis of the output that had the size `before`.

    Places stay along the same axis of the picture.
    """
    size = shape_of(tensor)[axis]
    if size == before and size is not None:
        return line
    if size == 1 and role_of(line) is not Role.CHANNEL:
        return ()
    if role_of(line) is Role.OTHER:
        return (
            (replace(line[0], size=size, whole=size),) if len(line) == 1 else unknown(tensor)[axis]
        )
    places = place_axes(line)
    if places is not None and _is_one_axis(places):
        return fresh(Role.PLACE, tensor, axis, Places(places.axes, (size,)))
    return fresh(role_of(line), tensor, axis)


def picked(line: Line, tensor: Tensor, axis: int, before: Size) -> Line:
    """As `resized`, where the entries that are left may lie anywhere along the axis."""
    left = resized(line, tensor, axis, before)
    return unlocated(tensor, axis) if left != line and role_of(line) is Role.PLACE else left


def grid(places: Places, tensor: Tensor, axis: int) -> Line:
    """Return an axis of these places, without other entries one part for each of their axes."""
    if places.before + places.after:
        return fresh(Role.PLACE, tensor, axis, places)
    own = [(a, size) for a, size in zip(places.axes, places.sizes, strict=True)]
    made = (tensor.name, axis)
    return tuple(Part(Role.PLACE, n, made, Places((a,), (n,)), whole=n) for a, n in own)


def joined(lines: Iterable[Line]) -> Line:
    """Return the line where branches meet: the one that says most."""
    return max(lines, key=_knowledge, default=())


def _knowledge(line: Line) -> tuple[Role, bool, bool]:
    return role_of(line), place_axes(line) is not None, all(part.sure for part in line)


def aligned(node: Node, lines: Sequence[Lines | None], output: Tensor) -> list[list[Line]]:
    """Return for each axis of the output the inputs' lines there, aligned at the last.

    An axis of size 1 that is broadcast has no say.
    """
    out = shape_of(output)
    found: list[list[Line]] = [[] for _ in out]
    for tensor, known in zip(node.inputs, lines, strict=True):
        if known is not None:
            sizes, missing = shape_of(tensor), len(out) - rank_of(tensor)
            for i, line in enumerate(known):
                if sizes[i] != 1 or out[missing + i] == 1:
                    found[missing + i].append(line)
    return found


def elementwise(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
    """Axes are aligned at the last; where inputs differ, the one that says most prevails."""
    return [
        joined(found) if found else line
        for found, line in zip(aligned(node, lines, output), unknown(output), strict=True)
    ]


def of_data(
    rule: Callable[[Node, Lines, Tensor], Lines],
) -> RolesRule:
    """Return the rule of an operator whose first input is the data."""

    def checked(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
        return unknown(output) if lines[0] is None else rule(node, lines[0], output)

    return checked


@of_data
def same(node: Node, lines: Lines, output: Tensor) -> Lines:
    """The axes stay, with the output's sizes."""
    if len(lines) != rank_of(output):
        return unknown(output)
    before = shape_of(node.inputs[0])
    return [resized(line, output, i, before[i]) for i, line in enumerate(lines)]


def channels_first(makes: bool) -> RolesRule:
    """Return the rule of operators whose data is [N, C, ...] by definition.

    makes: whether axis 1 of the output has new channels; if not, what is known of it stays.
    """

    def rule(node: Node, lines: list[Lines | None], output: Tensor) -> Lines:
        kept = same(node, lines, output)
        kept[2:] = [_shuffled(line, output, i) for i, line in enumerate(kept[2:], start=2)]
        if len(kept) > 1 and (makes or role_of(kept[1]) is Role.OTHER):
            kept[1] = fresh(Role.CHANNEL, output, 1)
        return kept

    return rule


def _shuffled(line: Line, tensor: Tensor, axis: int) -> Line:
    """Return a spatial axis of places with channels as their sub-pixels, which a shuffle put there.

    Its places are along the same axis of the picture.
    """
    if len(line) < 2 or any(part.role is not Role.CHANNEL for part in line[1:]):
        return line
    places = place_axes(line[:1])
    if places is None or not _is_one_axis(places):
        return line
    return fresh(Role.PLACE, tensor, axis, Places(places.axes, (shape_of(tensor)[axis],)))


def _product(sizes: Iterable[Size]) -> Size:
    product = 1
    for size in sizes:
        if not isinstance(size, int):
            return None
        product *= size
    return product
