"""What the axes of each tensor run along: the channels, the places of the picture, or neither.

The roles of the axes are carried through the graph from the operators whose definition tells them,
see `Operator.roles`. A first walk finds out which axes of the inputs such operators read; a second
one starts from these. The channel axis of a tensor is then the one whose parts are all channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from onnxplain.graphops.analysis.inputs import unbatched_tensors
from onnxplain.graphops.analysis.landmarks import default_target
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Node, Tensor, is_standard, reads, shape_of
from onnxplain.graphops.operators import (
    OPERATORS,
    Channels,
    Line,
    Lines,
    Part,
    Places,
    Role,
    SizesOnly,
    Without,
    fresh,
    operator_of,
    place_axes,
    role_of,
    unknown,
)

__all__ = ["Axes", "Places", "UNTRACED", "has_channels_last", "trace_axes"]


@dataclass(frozen=True)
class Axes:
    """What the axes of one tensor run along.

    channel: the channel axis; None where there is none behind the batch axis.
    certain: whether the graph tells that it is; else it is a guess from the rank.
    places: by axis, the places of the picture that it runs along, whatever they see of it. An axis
        is missing where it runs along something else, or where its places cannot be told.
    batched: whether axis 0 is that of the batch; the tensor has none where it is `unbatched`.
    """

    channel: int | None
    certain: bool
    places: Mapping[int, Places] = field(default_factory=dict)
    batched: bool = True

    def positions(self, rank: int) -> list[int]:
        """Return the axes of a tensor of this rank that run neither over images nor channels."""
        return [i for i in range(int(self.batched), rank) if i != self.channel]

    def with_batch(self) -> Axes:
        """Return the axes counted with a batch axis before them, if there is none."""
        if self.batched:
            return self
        channel = None if self.channel is None else self.channel + 1
        return Axes(channel, self.certain, {i + 1: p for i, p in self.places.items()})


UNTRACED = Axes(None, certain=False)  # of a tensor of unknown rank


def trace_axes(graph: Graph) -> dict[str, Axes]:
    """Return the axes of each tensor of known rank that is no weight, by name.

    The picture, whose axes the places name, is the graph's `default_target`.
    """
    unbatched = unbatched_tensors(graph)
    try:
        picture: Tensor | None = default_target(graph)
    except UnsupportedModel:
        picture = None
    sources = {t.name: t for t in [*graph.inputs, *([picture] if picture else [])]}
    sources = {name: t for name, t in sources.items() if t.shape is not None}
    start = {name: unknown(t) for name, t in sources.items()}
    learned = _learned(graph, _walk(graph, start))
    for name, tensor in sources.items():
        roles = learned.get(name, {})
        start[name] = _source(tensor, roles, tensor is picture, int(name not in unbatched))
    known = _walk(graph, start)
    order = {t.name: i for i, n in enumerate(graph.nodes) for t in n.outputs}
    of_sizes = [t for n in graph.nodes for t in n.outputs if t.name not in known and t.shape]
    found = {t.name: unknown(t) for t in of_sizes}
    found |= {name: lines for name, lines in known.items() if lines is not None}
    return {name: _axes(lines, order, name not in unbatched) for name, lines in found.items()}


def has_channels_last(picture: Tensor, first: int = 1) -> bool:
    """Tell whether of a picture's axes only the last has the size of a channel axis, 1 or 3.

    first: the axis behind that of the batch, 0 where there is none.
    """
    shape = list(picture.shape or ())
    return len(shape) == first + 3 and shape[first] not in (1, 3) and shape[-1] in (1, 3)


def _walk(graph: Graph, start: Mapping[str, Lines]) -> dict[str, Lines | None]:
    """Return the lines of each tensor that depends on the inputs, None where no rank is known."""
    known: dict[str, Lines | None] = {t.name: start.get(t.name) for t in graph.inputs}
    for node in graph.nodes:
        operator = operator_of(node)
        sizes_only = operator is not None and isinstance(operator.axes, SizesOnly)
        if sizes_only or not any(t.name in known for t in reads(node)):
            continue
        for tensor in node.outputs:
            if not tensor.is_empty():
                known[tensor.name] = start.get(tensor.name) or _through(node, known, tensor)
    return known


def _through(node: Node, known: Mapping[str, Lines | None], output: Tensor) -> Lines | None:
    """Return the lines of an output, unknown ones where no rule or not every rank is known."""
    if output.shape is None:
        return None
    operator = operator_of(node)
    read = [t for t in node.inputs if not t.is_empty()]
    lines = [known.get(t.name) for t in node.inputs]
    if operator is None or isinstance(operator.roles, Without) or None in [t.shape for t in read]:
        return unknown(output)
    carried = operator.roles(node, lines, output) if any(lines) else []
    return carried if len(carried) == len(output.shape) else unknown(output)


def _learned(graph: Graph, known: Mapping[str, Lines | None]) -> dict[str, dict[int, Role]]:
    """Return the roles of the inputs' axes that the first operators to read them tell."""
    learned: dict[str, dict[int, Role]] = {}
    for node in graph.nodes:
        lines = known.get(node.inputs[0].name) if node.inputs else None
        for line, role in zip(lines or [], _told(node, known, len(lines or [])), strict=True):
            if role is not None and len(line) == 1 and line[0].role is Role.OTHER:
                name, axis = line[0].made
                learned.setdefault(name, {}).setdefault(axis, role)
    return learned


def _told(node: Node, known: Mapping[str, Lines | None], rank: int) -> list[Role | None]:
    """Return the roles that an operator's definition gives to the axes of its data."""
    operator = OPERATORS.get(node.op) if is_standard(node) else None
    kind = Channels.ANY if operator is None else operator.channels
    if kind is Channels.FIRST and rank > 1:
        return [None, Role.CHANNEL, *[Role.PLACE] * (rank - 2)]
    if kind is Channels.LAST and rank > 1 and node.inputs[1].name not in known:
        return [*[None] * (rank - 1), Role.CHANNEL]
    return [None] * rank


def _source(tensor: Tensor, learned: Mapping[int, Role], is_picture: bool, first: int) -> Lines:
    """Return the lines of an input; what no operator tells of it is guessed.

    first: the axis behind that of the batch, 0 where there is none.
    """
    rank = len(shape_of(tensor))
    roles = {axis: role for axis, role in learned.items() if axis >= first}
    rest = [i for i in range(first, rank) if i not in roles]
    if Role.CHANNEL in roles.values():
        if Role.PLACE not in roles.values():
            roles |= dict.fromkeys(rest, Role.PLACE)
    elif len(rest) == 1:
        roles[rest[0]] = Role.CHANNEL
    lines: Lines = []
    guessed = Role.CHANNEL not in roles.values() and rank > first
    if guessed:
        roles[_guess(rank, first, has_channels_last(tensor, first))] = Role.CHANNEL
        if Role.PLACE not in roles.values():
            roles |= {i: Role.PLACE for i in rest if i not in roles}
    for axis, size in enumerate(shape_of(tensor)):
        role = roles.get(axis, Role.OTHER)
        located = Places((axis,), (size,)) if role is Role.PLACE and is_picture else None
        (part,) = fresh(role, tensor, axis, located)
        lines.append((replace(part, sure=rank == first + 1 or not guessed),))
    return lines


def _axes(lines: Lines, order: Mapping[str, int], batched: bool) -> Axes:
    rank, first = len(lines), int(batched)
    places = {i: p for i, line in enumerate(lines) if (p := place_axes(line)) is not None}
    if rank < first + 2:
        return Axes(first if rank > first else None, True, places, batched)
    axis = _channel_axis(lines, order, first)
    if axis is None:
        return Axes(_guess(rank, first), False, places, batched)
    found = Axes(axis, True, places, batched)
    others = [lines[i] for i in found.positions(rank) if _is_channel(lines[i])]
    split = any(_is_fragment(part) for line in others for part in line)
    return replace(found, certain=not split and all(part.sure for part in lines[axis]))


def _channel_axis(lines: Lines, order: Mapping[str, int], first: int) -> int | None:
    """Return the axis of channels alone that was made last; of fragments, the innermost.

    Without one, it is the axis that channels flattened with their places begin, or the only one
    that does not run along places.
    """
    axes = range(first, len(lines))
    pure = [i for i in axes if _is_channel(lines[i])]
    wide = [i for i in pure if any(part.size != 1 for part in lines[i])] or pure
    if wide:
        return max(wide, key=lambda i: _recency(lines[i], order))
    others = [i for i in axes if lines[i] and lines[i][0].role is Role.CHANNEL]
    if len(others) != 1:
        others = [i for i in axes if place_axes(lines[i]) is None]
    if len(others) != 1:
        others = [i for i in axes if role_of(lines[i]) is not Role.PLACE]
    return others[0] if len(others) == 1 else None


def _is_channel(line: Line) -> bool:
    return bool(line) and all(part.role is Role.CHANNEL for part in line)


def _is_fragment(part: Part) -> bool:
    return part.size != 1 and (part.stride != 1 or not part.outer)


def _recency(line: Line, order: Mapping[str, int]) -> tuple[int, int]:
    made = max(order.get(part.made[0], -1) for part in line)
    return made, -min(part.stride for part in line)


def _guess(rank: int, first: int, last: bool = False) -> int:
    """Return the channel axis of most tensors of a rank: tokens [N, L, C], or maps [N, C, ...]."""
    return rank - 1 if rank == first + 2 or last else first
