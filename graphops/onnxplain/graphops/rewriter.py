"""The rewriter: turns a network, a layer and a method into one plain ONNX graph, the artefact."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnxplain.graphops.analysis import batch_dimension
from onnxplain.graphops.backward import (
    Interface,
    Path,
    Walk,
    column,
    find_path,
    negated,
    prepared,
    repeat_forward,
    require_rules,
    seed_at_layer,
    seed_at_unit,
    seed_from_cotangent,
    select_unit,
    separate_shared_weights,
)
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.chosen_options import with_defaults
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import (
    Emitter,
    Graph,
    Shape,
    Tensor,
    diagnosing,
    dimension_names,
    is_float,
    rank_of,
    shape_of,
    write,
)
from onnxplain.graphops.layer_and_target import Ends, find_ends, path_between
from onnxplain.graphops.lowering import Choice, OneUnit, lower
from onnxplain.graphops.metadata import describe_artefact
from onnxplain.graphops.methods import DEFAULT_METHOD, Method, find_method, require_taken
from onnxplain.graphops.network import Network, NetworkSource, as_network
from onnxplain.graphops.options import Options
from onnxplain.graphops.prediction import prediction
from onnxplain.graphops.ways_out import naming_ways_out

__all__ = ["append_explanation", "rewrite"]


def rewrite(
    model: NetworkSource,
    layer: str | None = None,
    method: str | Method = DEFAULT_METHOD,
    options: Options | None = None,
) -> onnx.ModelProto:
    """Append to a network the backward part that explains one of its layers.

    Args:
        model: a path, the bytes of a file, a ModelProto or a Network; it is not changed.
        layer: the name of a tensor, a node or an exporter's module; None for the class score. For
            class activation maps, the layer that the map lies over.
        method: a name in `METHODS`, or a Method of your own.
        options: the options of this rewrite; None for the defaults.

    Returns:
        The artefact, one self-contained model. Its inputs are the network's own and those that
        `options.select` and `options.position` add. Its outputs are the network's own, then
        `attribution` [B, ...shape of `to`], `attribution.NAME` for each further input where `to` is
        "all", `score` [B], for positions `max` and `given`, `position` int64[B, spatial rank], and
        for select `predicted`, `class` int64[B] and its `probability` [B] where the network
        computes one. See docs/contract.md.

    Raises:
        UnknownLayer, UnknownMethod, OptionError, ChannelError: an argument is wrong.
        UnsupportedOperator: no rule for an operator between the layer and the target.
        UnsupportedModel: a graph, opset or shape that onnxplain cannot process.
        MissingFile, CorruptModel, UnsafeModel: the model cannot be read.
    """
    chosen, options = find_method(method), options or Options()
    require_taken(chosen, options.changed())
    network = as_network(model)
    with diagnosing(network.model):
        return _rewrite(network, layer, chosen, options)


def _rewrite(
    network: Network, layer: str | None, chosen: Method, options: Options
) -> onnx.ModelProto:
    canonical = network.canonical(options.keep_shape)
    with naming_ways_out(network, layer, chosen, options, append_explanation):
        appended = append_explanation(canonical, layer, chosen, options)
    artefact = write(canonical.graph, network.model)
    for name, value in appended.interface.defaults.items():
        artefact.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    names, renamed = (appended.layer, appended.to), appended.interface.renamed
    describe_artefact(artefact, network.sha256, names, chosen.name, appended.options, renamed)
    return artefact


@dataclass(frozen=True)
class Appended:
    """What was appended to a graph: the names of its ends, the options with the defaults.

    choices: the nodes in whose place faster ones were put, by lowering `fast`.
    """

    layer: str
    to: str
    options: Options
    interface: Interface
    choices: tuple[Choice, ...] = ()


def append_explanation(
    canonical: CanonicalGraph, layer: str | None, chosen: Method, options: Options
) -> Appended:
    """Append the backward part to a network in canonical form. Raises what `rewrite` does."""
    graph = canonical.graph
    ends = find_ends(canonical, layer, chosen, options)
    options = with_defaults(options, chosen, canonical, ends)
    path = path_between(graph, ends, options.to)
    require_rules(*prepared(chosen.rules, path, options))

    names = (ends.layer.name, ends.target.name)
    outputs = list(graph.outputs) if options.keep_outputs else []
    op = Emitter(graph, canonical.batched)
    interface = Interface(*_batch_dimensions(canonical, ends.layer, options))
    walk = _start_walk(op, interface, canonical, ends, path, chosen, options)
    seed = walk.seed
    with op.picking(walk.image), op.in_float32(options.backward == "float32"):
        result = chosen.compute(walk)
        result.values.shape = result.values.shape or op.signal_shape(walk.path.target)
    outputs.append(interface.output(op, "attribution", result.values, walk.path.target.shape))
    if len(result.others) < len(path.others):
        raise OptionError(f"method '{chosen.name}' projects to one tensor: name it by `to`")
    for target, values in zip(path.others, result.others, strict=True):
        name = f"attribution.{target.name}"
        outputs.append(interface.output(op, name, values, op.signal_shape(target)))
    outputs.append(interface.output(op, "score", seed.score, [interface.results]))
    if (error := result.completeness_error) is not None:
        outputs.append(interface.output(op, "completeness_error", error, [interface.results]))
    if seed.position is not None:
        rank = len(canonical.shape_with_batch(ends.layer)) - 2
        outputs.append(interface.output(op, "position", seed.position, [interface.results, rank]))
    if options.select == "predicted":
        outputs += prediction(walk, ends)
    graph.outputs = outputs
    graph.cleanup()
    choices: list[Choice] = []
    if options.lowering == "fast":
        unit = None
        if walk.channel is not None and walk.axis == 1:
            unit = OneUnit(seed.cotangent, walk.channel)
        choices = lower(graph, op, options.target, unit)
        graph.cleanup()
    if not options.keep_outputs:
        graph.drop_unread_inputs()
    graph.inputs.extend(interface.inputs)
    if options.target == "openvino":
        separate_shared_weights(op)
    return Appended(*names, options, interface, tuple(choices))


def _batch_dimensions(
    canonical: CanonicalGraph, layer: Tensor, options: Options
) -> tuple[int | str, int | str]:
    """Return the batch dimension of the images and that of the results."""
    graph = canonical.graph
    if canonical.unbatched:
        return 1, 1
    if not layer.shape:  # a scalar for the whole batch, which only select `seed` allows
        return 1, 1
    images = layer.shape[0] if isinstance(layer.shape[0], int) else batch_dimension(graph)
    if options.select != "pairs" and len(options.channels) < 2:
        return images, images
    names = dimension_names(graph)
    return images, next(name for name in ("B", "results", "onnxplain_B") if name not in names)


def _start_walk(
    op: Emitter,
    interface: Interface,
    canonical: CanonicalGraph,
    ends: Ends,
    path: Path,
    method: Method,
    options: Options,
) -> Walk:
    """Select the unit and seed its signal, after a second forward pass where that is needed."""
    graph, layer, axis = canonical.graph, ends.layer, ends.axis or 0
    images = {t.name: t for t in graph.inputs if t.name in canonical.batched}
    if not images:  # the batch is fixed, or its axis is unknown
        images = {t.name: t for t in graph.inputs if is_float(t)}
    image, scope, channel = None, "seed", None
    lacks_batch, shape = layer.name in canonical.unbatched, list(shape_of(layer))
    if lacks_batch:
        with op.scoped(scope):
            layer = op.own(op.raw("Unsqueeze", layer, [0]))
        layer.shape = [1, *shape]
    region = None
    if options.position == "region":
        spatial = [d for i, d in enumerate(shape_of(layer)) if i not in (0, axis)]
        region = interface.input(op, "region", layer.dtype, [interface.results, *spatial])
    if options.select == "seed":
        cotangent = interface.input(op, "seed", layer.dtype, shape)
        with op.scoped(scope):
            cotangent = op.Unsqueeze(cotangent, [0]) if lacks_batch else cotangent
            seed = seed_from_cotangent(op, layer, cotangent)
    elif options.select == "whole":
        with op.scoped(scope):
            seed = seed_at_layer(op, layer, options.seed_value or "one", axis, region)
    else:
        with op.scoped(scope):
            select = options.select or "channel"
            of_units = layer if rank_of(layer) > 1 else column(op, layer)
            unit = select_unit(op, interface, of_units, axis or 1, select, options.channels)
        image, channel = unit.image, unit.channel
        if image is not None and not _can_gather_images(path, canonical):
            copies = _gather_images(op, interface, graph, image, list(images.values()))
            images = {name: copies[name] for name in images}
            layer = copies[layer.name]
            others = [copies.get(t.name, t) for t in path.others]
            path = find_path(graph, copies[path.target.name], layer, others)
            unit, image, scope = replace(unit, image=None), None, ""
        if options.position == "given":
            sizes: Shape = [interface.results, rank_of(layer) - 2]
            unit = replace(unit, position=interface.input(op, "position", np.int64, sizes))
        position, seed_value = options.position or "all", options.seed_value or "one"
        with op.scoped(scope):
            unit = replace(unit, region=region)
            seed = seed_at_unit(op, layer, axis, unit, position, seed_value)
    if options.negate:
        with op.scoped(scope):
            seed = negated(op, seed)
    if lacks_batch:
        with op.scoped(scope):
            seed = replace(seed, cotangent=op.Squeeze(seed.cotangent, [0]))
        seed.cotangent.shape, axis = shape, axis - 1
    return Walk(
        op, interface, canonical, path, axis, ends.target_axes, images, image, seed, method.rules,
        options, scope, channel,
    )  # fmt: skip


def _gather_images(
    op: Emitter, interface: Interface, graph: Graph, image: Tensor, inputs: list[Tensor]
) -> dict[str, Tensor]:
    """Append a forward pass of the images that `image` indexes, one for each result."""
    start = {}
    for tensor in inputs:
        with op.scoped(tensor.name):
            start[tensor.name] = op.own(op.raw("Gather", tensor, image, axis=0))
        start[tensor.name].shape = [interface.results, *shape_of(tensor)[1:]]
    sizes: dict[int | str | None, int | str | None] = {interface.batch: interface.results}
    return repeat_forward(op, list(graph.nodes), start, sizes)


def _can_gather_images(path: Path, canonical: CanonicalGraph) -> bool:
    """Tell whether no tensor that the backward part may read mixes images along its batch axis."""
    nodes = path.expanded(()).nodes
    read = {t.name for n in nodes for t in [*n.inputs, *n.outputs]}
    return not (read | {path.target.name, path.layer.name}) & canonical.mixed
