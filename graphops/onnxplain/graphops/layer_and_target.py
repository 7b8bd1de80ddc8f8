"""The two ends of an explanation: the explained layer, and the tensor projected back to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from onnxplain.graphops.analysis import (
    UNTRACED,
    Axes,
    ClassScore,
    MapLayout,
    batch_dimension,
    class_score,
    default_target,
    layout_of,
    map_layer,
)
from onnxplain.graphops.backward import Path, find_path
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.ir import (
    Graph,
    Tensor,
    is_float,
    is_known_size,
    is_static,
    rank_of,
    shape_of,
)
from onnxplain.graphops.methods import Method
from onnxplain.graphops.options import ALL_INPUTS, CHANNEL_AXIS, SCORE_CHANNEL_AXIS, Option, Options

__all__ = [
    "Ends",
    "find_ends",
    "longest_path",
    "path_between",
    "require_batch_axis",
]


@dataclass(frozen=True)
class Ends:
    """The layer, the tensor projected back to, and the layer's channel axis (None for one number).

    axis: counted with the batch axis, also for a layer that has none. target_axes: what the axes of
        the target run along, counted likewise, the chosen channel axis included.
    warnings: what is assumed of the layer and the target, and the options that change it.
    score: the network's class score, if that is the layer; else None.
    others: the network's further float inputs, if all are projected back to.
    """

    layer: Tensor
    target: Tensor
    axis: int | None
    target_axes: Axes
    warnings: tuple[str, ...] = ()
    score: ClassScore | None = None
    others: tuple[Tensor, ...] = ()


def find_ends(
    canonical: CanonicalGraph, layer: str | None, method: Method, options: Options
) -> Ends:
    """Resolve the names of the layer and of the tensor projected back to, as the method needs them.

    For a class activation map, `layer` names the tensor that the map lies over, by default
    `map_layer`, and the signal starts at `options.score_layer`. `options.channel_axis` is always an
    axis of the tensor that `layer` names, `options.score_channel_axis` of the other.
    """
    graph, to = canonical.graph, None if options.to == ALL_INPUTS else options.to
    method.require_target(options.to)
    if method.over != "target" and to is not None:
        raise OptionError(
            f"method '{method.name}' projects back to no other tensor: leave `to` out"
        )
    if method.over == "map":
        tensor, target = canonical.tensor(options.score_layer), _mapped(canonical, layer)
    else:
        tensor = canonical.tensor(layer)
        default = to is None
        target = default_target(graph, tensor) if to is None else canonical.tensor(to)
        target = canonical.recorded(target) if default else target
        target = tensor if method.over == "layer" else target
    score = canonical.score if isinstance(canonical.score, ClassScore) else None
    score = score if score is not None and score.tensor == tensor.name else None
    if method.over != "map":
        rank_of(target)  # raises for an unknown rank
        start = _channel_axis(canonical, tensor, options.channel_axis, CHANNEL_AXIS)
        over, axis = canonical.axes.get(target.name, UNTRACED), start.with_batch().channel
        every = [t for t in graph.inputs if is_float(t)] if options.to == ALL_INPUTS else []
        others = tuple(t for t in every if t.name != target.name)
        warnings = _warnings(tensor, start)
        return Ends(tensor, target, axis, over.with_batch(), warnings, score, others)
    if len(canonical.shape_with_batch(target)) < 3:
        raise UnsupportedModel(
            f"layer '{target.name}' has rank {rank_of(target)}, so there are no positions to map: "
            "name a layer before pooling or flattening, such as the last convolution"
        )
    start = _channel_axis(canonical, tensor, options.score_channel_axis, SCORE_CHANNEL_AXIS)
    over = _channel_axis(canonical, target, options.channel_axis, CHANNEL_AXIS)
    warnings = _warnings(tensor, start, SCORE_CHANNEL_AXIS) + _warnings(target, over)
    axis, over = start.with_batch().channel, over.with_batch()
    if 0 in over.places:
        raise UnsupportedModel(
            f"axis 0 of layer '{target.name}' runs over places of the picture, not over the "
            "images: name another layer, such as one before the axes are moved"
        )
    warnings += _assumed(target.name, layout_of(canonical.shape_with_batch(target), over), layer)
    return Ends(tensor, target, axis, over, warnings, score)


def _channel_axis(
    canonical: CanonicalGraph, tensor: Tensor, chosen: int | None, option: Option
) -> Axes:
    """Return the axes of a tensor with the chosen channel axis, or the traced one."""
    rank = rank_of(tensor)
    traced = canonical.axes.get(tensor.name, UNTRACED)
    if chosen is None:
        return traced
    first = int(traced.batched)
    if not (first <= chosen < rank or first - rank <= chosen < 0):
        axes = f"{first} to {rank - 1}" if rank > first + 1 else f"{first}"
        choice = f"choose {axes}" if rank > first else "leave it out"
        raise OptionError(
            f"{option.words} {chosen} is not an axis of '{tensor.name}', whose rank is {rank}: "
            f"{choice}"
        )
    return replace(traced, channel=chosen % rank, certain=True)


def _warnings(tensor: Tensor, axes: Axes, option: Option = CHANNEL_AXIS) -> tuple[str, ...]:
    if axes.certain or axes.channel is None:
        return ()
    return (
        f"which axis of '{tensor.name}' holds its channels is not certain; axis {axes.channel} is "
        f"assumed: set `{option.name}` ({option.flag}) if it is another",
    )


def _assumed(target: str, layout: MapLayout, layer: str | None) -> tuple[str, ...]:
    """Return what a class activation map takes for granted of the layer that it lies over."""
    notes = []
    if layer is None:
        notes.append(
            f"the map lies over '{target}', the last layer before the class score where the "
            "picture has places: name another with `layer` (--layer)"
        )
    for places in layout.tokens.values():
        size, others = " x ".join(map(str, places.sizes)), places.before + places.after
        grid = f"{size} places" if is_static(places.sizes) else "places"
        left = f", without the {others} beside them, such as a class token" if others else ""
        notes.append(f"the tokens of '{target}' are laid out as the picture's {grid}{left}")
    return tuple(notes)


def _mapped(canonical: CanonicalGraph, layer: str | None) -> Tensor:
    """Return the layer that a class activation map lies over."""
    if layer is not None:
        return canonical.tensor(layer)
    graph = canonical.graph
    return canonical.recorded(map_layer(graph, class_score(graph), canonical.axes))


def path_between(graph: Graph, ends: Ends, to: str | None) -> Path:
    """Return the path between the ends. Raises OptionError if `to` is not upstream."""
    try:
        return find_path(graph, ends.target, ends.layer, ends.others)
    except UnsupportedModel as e:
        if to is None:
            raise
        raise OptionError(str(e)) from e


def longest_path(graph: Graph, ends: Ends, method: Method, path: Path) -> Path:
    """Return the longest path that the method walks: for some maps, down to the picture."""
    if not method.onwards:
        return path
    return find_path(graph, default_target(graph, ends.target), ends.layer)


def require_batch_axis(canonical: CanonicalGraph, layer: Tensor) -> None:
    """Raise UnsupportedModel where the layer's axis 0 is known not to run over the images."""
    if layer.name in canonical.unbatched:
        return
    doubtful = layer.name in canonical.mixed or canonical.batch == "fixed"
    if doubtful and _has_lost_batch_axis(layer, canonical.graph):
        raise UnsupportedModel(
            f"axis 0 of layer '{layer.name}' does not run over the images, since "
            f"{canonical.batch_note}: choose another layer, or rewrite it with select 'seed'"
        )


def _has_lost_batch_axis(layer: Tensor, graph: Graph) -> bool:
    """Tell whether the size of the layer's axis 0 is known and is not the batch size."""
    size = shape_of(layer)[0]
    return is_known_size(size) and size != batch_dimension(graph)
