"""The options of one rewrite, with the defaults that depend on the method and on the layer."""

from __future__ import annotations

from dataclasses import replace

from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.ir import Shape, Tensor, rank_of
from onnxplain.graphops.layer_and_target import Ends, require_batch_axis
from onnxplain.graphops.methods import Method
from onnxplain.graphops.options import Options, Position

__all__ = ["default_position", "with_defaults"]


def with_defaults(
    options: Options, method: Method, canonical: CanonicalGraph, ends: Ends
) -> Options:
    """Fill in the method's defaults. Raises OptionError for choices that the network rules out."""
    layer, shape = ends.layer, canonical.shape_with_batch(ends.layer)
    options = replace(options, select=options.select or method.select)
    if options.select == "seed":
        return options
    if options.select == "whole":
        if options.position == "region":
            _require_positions(layer, shape)
        seed_value = options.seed_value or method.seed_value
        return replace(options, position=options.position or "all", seed_value=seed_value)
    if not shape:
        raise OptionError(
            f"layer '{layer.name}' has rank 0, so it has no units: choose another layer"
        )
    require_batch_axis(canonical, layer)
    several = options.select == "pairs" or len(options.channels) > 1
    if canonical.batch == "fixed" and several:
        raise UnsupportedModel(
            f"several results of one run need a free batch, but {canonical.batch_note}: "
            "select 'channel', and run once for each result"
        )
    if options.select == "predicted" and ends.score is None:
        raise OptionError(
            f"select 'predicted' explains the predicted class, but '{layer.name}' is not the class "
            "score: leave the layer out, or choose another select"
        )
    default = default_position(method, ends.score is not None, shape, ends.axis)
    position = options.position or default
    if position != "all":
        _require_positions(layer, shape)
    return replace(options, position=position, seed_value=options.seed_value or method.seed_value)


def _require_positions(layer: Tensor, shape: Shape) -> None:
    """Raise OptionError for a layer without positions. shape: with a batch axis."""
    if len(shape) < 3:
        raise OptionError(
            f"layer '{layer.name}' has rank {rank_of(layer)}, so its units have no positions: "
            "leave the position out"
        )


def default_position(method: Method, is_score: bool, shape: Shape, axis: int | None) -> Position:
    """Return where the signal starts by default in a layer of this shape and channel axis.

    Both count with a batch axis.

    In a class score with positions, as of a detector or a segmentation, all methods but those of
    the layer's own values start at the strongest position: the sum of all answers no question.
    """
    if len(shape) < 3:
        return "all"
    has_positions = any(size != 1 for i, size in enumerate(shape) if i not in (0, axis))
    return "max" if is_score and has_positions and method.over != "layer" else method.position
