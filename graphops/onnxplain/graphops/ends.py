"""The two ends of an explanation: the layer that is explained, and the tensor projected back to."""

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
from onnxplain.graphops.ir import Graph, Tensor, rank_of, shape_of
from onnxplain.graphops.methods import Method
from onnxplain.graphops.options import Options

__all__ = ["Ends", "find_ends", "longest_path", "path_between", "require_rows"]


@dataclass(frozen=True)
class Ends:
    """The layer, the tensor projected back to, and the layer's channel axis (None for rank 1)."""

    layer: Tensor
    target: Tensor
    axis: int | None


def find_ends(
    canonical: CanonicalGraph, layer: str | None, method: Method, options: Options
) -> Ends:
    """Resolve the names of a layer and of the tensor projected back to, as the method takes them.

    For a class activation map `layer` names the tensor that the map lies over, by default the last
    convolutional block, and the signal starts at `options.score_layer`; the channel axis that may
    be given is always that of the layer which is named.
    """
    graph, to, axis = canonical.graph, options.to, options.channel_axis
    if method.over != "target" and to is not None:
        raise OptionError(
            f"method '{method.name}' knows no other end: name its layer, and leave `to` out"
        )
    if method.over == "map":
        tensor, target = canonical.tensor(options.score_layer), _mapped(canonical, layer)
    else:
        tensor = canonical.tensor(layer)
        target = default_target(graph) if to is None else canonical.tensor(to)
        target = tensor if method.over == "layer" else target
    ranks = rank_of(tensor), rank_of(target)  # both must be known
    named, rank = (target, ranks[1]) if method.over == "map" else (tensor, ranks[0])
    if method.over == "map" and rank < 3:
        raise UnsupportedModel(
            f"layer '{named.name}' has rank {rank}, so there are no positions to map: name one "
            "before its positions are pooled or flattened, such as the last convolution"
        )
    if axis is not None and not (0 < axis < rank or -rank < axis < 0):
        raise OptionError(
            f"channel axis {axis} is not one of '{named.name}', whose rank is {rank}: "
            f"choose 1 to {rank - 1}"
        )
    if axis is None or named is not tensor:
        return Ends(tensor, target, channel_axis(tensor))
    return Ends(tensor, target, axis % rank)


def _mapped(canonical: CanonicalGraph, layer: str | None) -> Tensor:
    """Return the layer that a class activation map lies over."""
    if layer is not None:
        return canonical.tensor(layer)
    graph = canonical.graph
    block = last_convolutional_block(graph, class_score(graph))
    if block is None:
        raise UnsupportedModel(
            "the network has no last convolutional block that could be told: name the layer to map"
        )
    return block


def path_between(graph: Graph, ends: Ends, to: str | None) -> Path:
    """Return the path between the ends. That there is none is the fault of who named `to`."""
    try:
        return find_path(graph, ends.target, ends.layer)
    except UnsupportedModel as e:
        if to is None:
            raise
        raise OptionError(str(e)) from e


def longest_path(graph: Graph, ends: Ends, method: Method, path: Path) -> Path:
    """Return the longest path that the method walks: a map's may go on to the picture."""
    return find_path(graph, default_target(graph), ends.layer) if method.onwards else path


def require_rows(prepared: CanonicalGraph, layer: Tensor) -> None:
    """Raise UnsupportedModel where the layer is known not to keep one row for each image."""
    doubtful = layer.name in prepared.mixed or prepared.batch == "fixed"
    if doubtful and _rows_differ(layer, prepared.graph):
        raise UnsupportedModel(
            f"layer '{layer.name}' does not keep one row for each image, since "
            f"{prepared.batch_note}: choose another layer, or select 'seed'"
        )


def _rows_differ(layer: Tensor, graph: Graph) -> bool:
    """Tell whether the layer is known to have another number of rows than there are images.

    Sizes that shape inference has invented a name for (`unk__0`) are not known.
    """
    rows = shape_of(layer)[0]
    if rows is None or str(rows).startswith("unk__"):
        return False
    return bool(rows != batch_dimension(graph))
