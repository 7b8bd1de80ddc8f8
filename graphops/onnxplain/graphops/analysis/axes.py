"""What the axes of each tensor run along: the channels, the places of the picture, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onnxplain.graphops.analysis.channel_axis import channel_axis
from onnxplain.graphops.ir import Graph

__all__ = ["Axes", "Places", "trace_axes"]


@dataclass(frozen=True)
class Places:
    """The places of the picture along one axis of a tensor.

    axes: the picture's axes that it runs along: one, or several whose places follow each other in
        row-major order, as tokens do.
    sizes: the number of places along each of them: a number, a name, or None where not known.
    before, after: how many entries, such as class tokens, precede and follow the places.
    """

    axes: tuple[int, ...]
    sizes: tuple[int | str | None, ...]
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Axes:
    """What the axes of one tensor run along.

    channel: the channel axis; None below rank 2.
    certain: whether the graph tells that it is; else it is a guess from the rank.
    places: by axis, the places of the picture that it runs along, whatever they see of it. An axis
        is missing where it runs along something else, or where its places cannot be told.
    """

    channel: int | None
    certain: bool
    places: Mapping[int, Places] = field(default_factory=dict)


def trace_axes(graph: Graph) -> dict[str, Axes]:
    """Return the axes of each tensor of known rank that depends on the network's inputs, by name.

    The picture, whose axes the places name, is the graph's `default_target`.
    """
    return {
        t.name: Axes(channel_axis(t), certain=False)
        for t in graph.tensors().values()
        if t.shape is not None
    }
