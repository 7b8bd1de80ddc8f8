"""The rewriter: a network, a layer and a method in; one plain ONNX graph out, the artefact."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnxplain.graphops.batch import batch_dimension
from onnxplain.graphops.blame import blaming
from onnxplain.graphops.emit import Emitter
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.graph import Graph, Tensor, write
from onnxplain.graphops.layers import channel_axis, class_score, resolve
from onnxplain.graphops.metadata import describe_artefact
from onnxplain.graphops.methods import Method, find_method
from onnxplain.graphops.options import Options
from onnxplain.graphops.path import Path, default_target, find_path
from onnxplain.graphops.prepare import Prepared, prepare
from onnxplain.graphops.reverse import require_rules, reverse
from onnxplain.graphops.rows import repeat_forward
from onnxplain.graphops.rules import Table
from onnxplain.graphops.rules.pooling import unpooling
from onnxplain.graphops.seed import Seed, place, place_given_seed
from onnxplain.graphops.selection import Interface, select_unit
from onnxplain.graphops.targets import part_weights

__all__ = ["Ends", "find_ends", "forward", "path_between", "require_rows", "rewrite", "table_of"]


@dataclass(frozen=True)
class Ends:
    """The layer, the tensor projected back to, and the layer's channel axis (None for rank 1)."""

    layer: Tensor
    target: Tensor
    axis: int | None


def rewrite(
    model: onnx.ModelProto,
    layer: str | None = None,
    method: str = "deconvnet",
    options: Options | None = None,
) -> onnx.ModelProto:
    """Return the artefact: `model` with the backward part of `layer` appended.

    layer: a tensor's, a node's or a module's name; None for the class score.
    method: a name in `METHODS`.
    options: see `Options`; None for the defaults.

    The artefact's inputs are the network's own and those that `options.select` adds; its outputs
    the network's own, then `attribution` [B, ...shape of `to`], `score` [B] and, for positions
    `max` and `given`, `position` int64[B, spatial rank]. `docs/contract.md` has the details.

    Raises UnknownLayer, UnknownMethod, OptionError, ChannelError, UnsupportedOperator or
    UnsupportedModel. `model` is not changed.
    """
    chosen = find_method(method)
    with blaming(model):
        return _rewritten(model, layer, chosen, options or Options())


def forward(
    model: onnx.ModelProto, layer: str | None = None, *, keep_shape: bool = False
) -> onnx.ModelProto:
    """Return the network cut at `layer`: its own inputs, and one output `activation`."""
    with blaming(model):
        graph = prepare(model, keep_shape).graph
        tensor = resolve(graph, layer)
        op = Emitter(graph)
        interface = Interface(1, 1)
        graph.outputs = [_output(op, interface, "activation", op.Identity(tensor), tensor.shape)]
        graph.cleanup()
        return write(graph, model)


def _rewritten(
    model: onnx.ModelProto, layer: str | None, chosen: Method, options: Options
) -> onnx.ModelProto:
    prepared = prepare(model, options.keep_shape)
    graph = prepared.graph
    ends = find_ends(graph, layer, options.to, options.channel_axis)
    options = _completed(options, chosen, prepared, ends)
    path = path_between(graph, ends, options.to)
    table = table_of(chosen, options.unpool, options.target)
    require_rules(path, table)

    names = (ends.layer.name, ends.target.name)
    outputs = list(graph.outputs) if options.keep_outputs else []
    op = Emitter(graph, prepared.batched)
    interface = Interface(*_batch_dimensions(graph, ends.layer, options))
    seed, path = _seed(op, interface, prepared, ends, path, options)
    op.widen = options.backward == "float32"
    attribution = reverse(op, path, op.wide(seed.cotangent), table)

    op.scope = ""
    attribution.shape = attribution.shape or op.signal_shape(path.target)
    outputs.append(_output(op, interface, "attribution", attribution, path.target.shape))
    outputs.append(_output(op, interface, "score", seed.score, [interface.results]))
    if seed.position is not None:
        rank = len(ends.layer.shape) - 2
        outputs.append(_output(op, interface, "position", seed.position, [interface.results, rank]))
    graph.inputs.extend(interface.inputs)
    graph.outputs = outputs
    graph.cleanup()
    if options.target == "openvino":
        part_weights(op)
    artefact = write(graph, model)
    describe_artefact(artefact, model, names, chosen.name, options, interface.renamed)
    return artefact


def find_ends(graph: Graph, layer: str | None, to: str | None, axis: int | None) -> Ends:
    """Resolve the names of a layer and of the tensor projected back to."""
    tensor = resolve(graph, layer)
    target = default_target(graph) if to is None else resolve(graph, to)
    for end in (tensor, target):
        if end.shape is None:
            raise UnsupportedModel(
                f"the rank of '{end.name}' is not known: choose another tensor, or export the "
                "model with the shapes of its tensors"
            )
    rank = len(tensor.shape)
    if axis is None:
        return Ends(tensor, target, channel_axis(tensor))
    if not (0 < axis < rank or -rank < axis < 0):
        raise OptionError(
            f"channel axis {axis} is not one of '{tensor.name}', whose rank is {rank}: "
            f"choose 1 to {rank - 1}"
        )
    return Ends(tensor, target, axis % rank)


def path_between(graph: Graph, ends: Ends, to: str | None) -> Path:
    """Return the path between the ends. That there is none is the fault of who named `to`."""
    try:
        return find_path(graph, ends.target, ends.layer)
    except UnsupportedModel as e:
        if to is None:
            raise
        raise OptionError(str(e)) from e


def table_of(method: Method, unpool: str, target: str) -> Table:
    """Return the method's table with max-pools unpooled in the form asked for."""
    return {**method.table, "MaxPool": unpooling(unpool, target)}


def _completed(options: Options, method: Method, prepared: Prepared, ends: Ends) -> Options:
    """Fill in the method's defaults and refuse what this network cannot do."""
    layer, rank = ends.layer, len(ends.layer.shape)
    if options.select == "seed":
        return options
    if ends.axis is None:
        raise OptionError(
            f"layer '{layer.name}' has rank {rank}, so it has no units: choose another"
        )
    require_rows(prepared, layer)
    several = options.select == "pairs" or len(options.channels) > 1
    if prepared.batch == "fixed" and several:
        raise UnsupportedModel(
            f"several results of one run need a free batch, and {prepared.batch_note}: "
            "select 'channel', and run once for each result"
        )
    if options.select == "predicted" and layer is not class_score(prepared.graph):
        raise OptionError(
            f"select 'predicted' explains the winning class, and '{layer.name}' is not the class "
            "score: leave the layer out, or choose another select"
        )
    position = options.position or (method.position if rank > 2 else "all")
    if rank == 2 and position != "all":
        raise OptionError(
            f"layer '{layer.name}' has rank 2, so its units have no positions: "
            "leave the position out"
        )
    return replace(options, position=position, seed_value=options.seed_value or method.seed_value)


def require_rows(prepared: Prepared, layer: Tensor) -> None:
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
    rows = layer.shape[0]
    if rows is None or str(rows).startswith("unk__"):
        return False
    return bool(rows != batch_dimension(graph))


def _batch_dimensions(graph: Graph, layer: Tensor, options: Options) -> tuple[int | str, int | str]:
    """Return the dimension over the images, and that over the results."""
    if not layer.shape:  # one number for all images together: select `seed` alone comes here
        return 1, 1
    images = layer.shape[0] if isinstance(layer.shape[0], int) else batch_dimension(graph)
    if options.select != "pairs" and len(options.channels) < 2:
        return images, images
    taken = {d for t in graph.tensors().values() for d in t.shape or ()}
    return images, next(name for name in ("B", "results", "onnxplain_B") if name not in taken)


def _seed(
    op: Emitter, interface: Interface, prepared: Prepared, ends: Ends, path: Path, options: Options
) -> tuple[Seed, Path]:
    """Place the signal at the layer. Returns the path too: a second forward pass has another."""
    layer = ends.layer
    if options.select == "seed":
        given = interface.input(op, "seed", layer.dtype, list(layer.shape))
        return place_given_seed(op, layer, given), path
    op.scope = "seed"
    axis = ends.axis or 0
    unit = select_unit(op, interface, layer, axis, options.select, options.channels)
    if unit.image is not None:
        if not _rows_can_be_picked(path, prepared):
            symbols = (interface.batch, interface.results)
            copies = repeat_forward(op, prepared.graph, unit.image, symbols, prepared.batched)
            layer, target = copies[layer.name], copies[ends.target.name]
            path = find_path(prepared.graph, target, layer)
            unit = replace(unit, image=None)
        else:
            op.rows = unit.image
    if options.position == "given":
        shape: list[int | str | None] = [interface.results, len(layer.shape) - 2]
        unit = replace(unit, position=interface.input(op, "position", np.int64, shape))
    position, seed_value = options.position or "all", options.seed_value or "one"
    return place(op, layer, axis, unit, position, seed_value), path


def _rows_can_be_picked(path: Path, prepared: Prepared) -> bool:
    """Tell whether every tensor that the backward part may read has one row for each image."""
    read = {t.name for n in path.nodes for t in [*n.inputs, *n.outputs]}
    return not (read | {path.target.name, path.layer.name}) & prepared.mixed


def _output(
    op: Emitter,
    interface: Interface,
    wanted: str,
    tensor: Tensor,
    shape: list[int | str | None] | None,
) -> Tensor:
    """Give an emitted tensor the name of an output; the input `position` is its own output."""
    if wanted == "position" and not tensor.inputs:
        return tensor
    if not tensor.inputs or not op.is_own(tensor):
        tensor = op.Identity(tensor)
    tensor.name = interface.name(op, wanted)
    tensor.shape = tensor.shape or shape
    return tensor
