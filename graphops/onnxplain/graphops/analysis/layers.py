"""The layers of a network: their names, shapes, receptive fields and costs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from onnxplain.graphops.analysis.axis_roles import UNTRACED, Axes
from onnxplain.graphops.analysis.batch_axis import batch_dimension
from onnxplain.graphops.analysis.class_score import ClassScore, score_and_axes
from onnxplain.graphops.analysis.cost import Arithmetic, arithmetic
from onnxplain.graphops.analysis.landmarks import default_target
from onnxplain.graphops.analysis.map_layer import map_layer
from onnxplain.graphops.analysis.names import module_path
from onnxplain.graphops.analysis.receptive_field import ReceptiveField, receptive_fields
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Tensor, dtype_name, is_float, shape_of

__all__ = ["Layer", "list_layers"]


@dataclass(frozen=True)
class Layer:
    """One tensor of a network, as a layer to explain.

    tensor: its name. node: the name of the node that computes it. operator: the node's type.
    module: the exporter's module path, or "".
    dtype: the type of its values, such as "float32". channels: the number of its units,
        None where that is unknown.
    shape: sizes as numbers, names of dynamic sizes, or None where unknown.
    receptive_field, stride, offset: one number per spatial axis of the input. The unit at position
        p sees `receptive_field` pixels from offset + p·stride on; a negative position lies in the
        padding. None where the unit sees the whole axis, or where that is unknown.
    arithmetic: the node's window, parameters and multiply-adds.
    channel_axis: the axis of its units, None where it has none. channel_axis_assumed: whether that
        is a guess from the rank, as the network does not tell.
    spatial_axes: its axes that run along places of the picture, whatever they see of it.
    marks: any of "input", "map layer", "class score" and "output".
    output: of the class score, the network's output that is computed from it; else "".
    output_offset: of the class score, the output's row that holds channel 0, where the output
        concatenates the classes with other rows; else None.
    """

    tensor: str
    node: str
    operator: str
    module: str
    shape: tuple[int | str | None, ...] | None
    dtype: str
    channel_axis: int | None
    channel_axis_assumed: bool
    spatial_axes: tuple[int, ...]
    channels: int | None
    receptive_field: tuple[int | None, ...] | None
    stride: tuple[int | None, ...] | None
    offset: tuple[int | None, ...] | None
    arithmetic: Arithmetic
    marks: tuple[str, ...]
    output: str = ""
    output_offset: int | None = None


def list_layers(
    graph: Graph, known: tuple[ClassScore | str, Mapping[str, Axes]] | None = None
) -> list[Layer]:
    """Return every float tensor between the network's inputs and outputs, in order.

    known: what `score_and_axes` returns for the graph, where it is known already.
    """
    found, axes = known or score_and_axes(graph)
    score = found if isinstance(found, ClassScore) else None
    marks, fields = _marks(graph, score, axes), _fields(graph)
    tensors = [t for t in graph.inputs if is_float(t)]
    seen = {t.name for t in graph.inputs}
    for node in graph.nodes:
        if not any(t.name in seen for t in node.inputs):
            continue  # it depends on weights alone
        seen.update(t.name for t in node.outputs)
        tensors += [t for t in node.outputs if is_float(t) and t.shape != []]
    counted: set[str] = set()
    return [
        _layer(
            graph,
            t,
            score,
            marks.get(t.name, ()),
            fields.get(t.name),
            axes.get(t.name, UNTRACED),
            counted,
        )
        for t in tensors
    ]


def _layer(
    graph: Graph,
    tensor: Tensor,
    score: ClassScore | None,
    marks: tuple[str, ...],
    field: ReceptiveField | None,
    axes: Axes,
    counted: set[str],
) -> Layer:
    node = tensor.inputs[0] if tensor.inputs else None
    axis = axes.channel
    size = shape_of(tensor)[axis] if axis is not None else None
    if list(tensor.shape or ()) == [batch_dimension(graph)]:
        size = 1  # one number per image
    is_score = score is not None and tensor.name == score.tensor
    return Layer(
        tensor=tensor.name,
        node=node.name if node else "",
        operator=node.op if node else "Input",
        module=module_path(graph, node) if node else "",
        shape=None if tensor.shape is None else tuple(tensor.shape),
        dtype=dtype_name(tensor),
        channel_axis=axis,
        channel_axis_assumed=not axes.certain,
        spatial_axes=tuple(sorted(axes.places)),
        channels=size if isinstance(size, int) else None,
        receptive_field=field.size if field else None,
        stride=field.stride if field else None,
        offset=field.offset if field else None,
        arithmetic=arithmetic(node, counted),
        marks=marks,
        output=score.output if score is not None and is_score else "",
        output_offset=score.row if score is not None and is_score else None,
    )


def _marks(
    graph: Graph, found: ClassScore | None, axes: Mapping[str, Axes]
) -> dict[str, tuple[str, ...]]:
    score = None if found is None else graph.tensors()[found.tensor]
    marked = [(t, "input") for t in graph.inputs]
    with contextlib.suppress(UnsupportedModel):  # there is no default one
        marked.append((map_layer(graph, score, axes), "map layer"))
    marked += [(score, "class score")] if score is not None else []
    marked += [(t, "output") for t in graph.outputs]
    marks: dict[str, tuple[str, ...]] = {}
    for tensor, mark in marked:
        marks[tensor.name] = (*marks.get(tensor.name, ()), mark)
    return marks


def _fields(graph: Graph) -> dict[str, ReceptiveField]:
    try:
        return receptive_fields(graph, default_target(graph))
    except UnsupportedModel:  # there is no picture
        return {}
