"""The two ends of an explanation: the explained layer, and the tensor projected back to."""

from __future__ import annotations

from dataclasses import dataclass

from onnxplain.graphops.analysis import (
    batch_dimension,
    channel_axis,
    class_score,
    default_target,
    last_convolutional_block,
)
from onnxplain.graphops.backward import Path, find_path
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.ir import Graph, Tensor, is_float, is_known_size, rank_of, shape_of
from onnxplain.graphops.methods import Method
from onnxplain.graphops.options import ALL_INPUTS, Options

__all__ = ["Ends", "find_ends", "longest_path", "path_between", "require_batch_axis"]


@dataclass(frozen=True)
class Ends:
    """The layer, the tensor projected back to, and the layer's channel axis (None for rank 1).

    axis: counted with the batch axis, also for a layer that has none. others: the network's further
    float inputs, if all are projected back to.
    """

    layer: Tensor
    target: Tensor
    axis: int | None
    others: tuple[Tensor, ...] = ()


def find_ends(
    canonical: CanonicalGraph, layer: str | None, method: Method, options: Options
) -> Ends:
    """Resolve the names of the layer and of the tensor projected back to, as the method needs them.

    For a class activation map, `layer` names the tensor that the map lies over, by default the last
    convolutional block, and the signal starts at `options.score_layer`. `options.channel_axis` is
    always an axis of the tensor that `layer` names.
    """
    graph, axis = canonical.graph, options.channel_axis
    to = None if options.to == ALL_INPUTS else options.to
    if options.to == ALL_INPUTS and not method.projects_to_all:
        raise OptionError(
            f"method '{method.name}' explains to one input at a time: name it by `to`, or choose a "
            "method of one backward pass, such as gradient"
        )
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
    ranks = rank_of(tensor), rank_of(target)
    named, rank = (target, ranks[1]) if method.over == "map" else (tensor, ranks[0])
    if method.over == "map" and rank < 3:
        raise UnsupportedModel(
            f"layer '{named.name}' has rank {rank}, so there are no positions to map: name a "
            "layer before pooling or flattening, such as the last convolution"
        )
    first = 0 if named.name in canonical.unbatched else 1
    if axis is not None and not (first <= axis < rank or first - rank <= axis < 0):
        raise OptionError(
            f"channel axis {axis} is not an axis of '{named.name}', whose rank is {rank}: "
            f"choose {first} to {rank - 1}"
        )
    others = tuple(t for t in graph.inputs if is_float(t)) if options.to == ALL_INPUTS else ()
    others = tuple(t for t in others if t.name != target.name)
    own = axis if named is tensor else None
    if tensor.name in canonical.unbatched:  # the channels come first, behind a batch axis of 1
        return Ends(tensor, target, 1 + (own or 0) % ranks[0] if ranks[0] else None, others)
    return Ends(tensor, target, channel_axis(tensor) if own is None else own % rank, others)


def _mapped(canonical: CanonicalGraph, layer: str | None) -> Tensor:
    """Return the layer that a class activation map lies over."""
    if layer is not None:
        return canonical.tensor(layer)
    graph = canonical.graph
    block = last_convolutional_block(graph, class_score(graph))
    if block is None:
        raise UnsupportedModel(
            "the network's last convolutional block cannot be determined: name the layer to map"
        )
    return canonical.recorded(block)


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
            f"{canonical.batch_note}: choose another layer, or select 'seed'"
        )


def _has_lost_batch_axis(layer: Tensor, graph: Graph) -> bool:
    """Tell whether the size of the layer's axis 0 is known and is not the batch size."""
    size = shape_of(layer)[0]
    return is_known_size(size) and size != batch_dimension(graph)
