"""The layers of a network, by every name that people know them by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from onnxplain.graphops.analysis.channel_axis import channel_axis
from onnxplain.graphops.analysis.cost import Arithmetic, arithmetic
from onnxplain.graphops.analysis.landmarks import (
    class_score,
    default_target,
    last_convolutional_block,
)
from onnxplain.graphops.analysis.names import module_path
from onnxplain.graphops.analysis.receptive_field import ReceptiveField, receptive_fields
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Tensor, is_float, shape_of

__all__ = ["Layer", "list_layers"]


@dataclass(frozen=True)
class Layer:
    """One tensor of a network, as a layer to explain.

    `module` is the exporter's module path, empty where there is none. `shape` has numbers, names
    of dynamic dimensions, and None for what is not known. `receptive_field`, `stride` and `offset`
    have one number for each spatial axis of the input: the unit at position p sees so many pixels,
    from offset + p·stride on, where offsets below zero lie in the padding; None where it sees all,
    or where that is not known. `arithmetic` is what the node does. `marks` are of `input`, `last
    convolutional block`, `class score` and `output`.
    """

    tensor: str
    node: str
    operator: str
    module: str
    shape: tuple[int | str | None, ...] | None
    dtype: str
    channel_axis: int | None
    channels: int | None
    receptive_field: tuple[int | None, ...] | None
    stride: tuple[int | None, ...] | None
    offset: tuple[int | None, ...] | None
    arithmetic: Arithmetic
    marks: tuple[str, ...]


def list_layers(graph: Graph) -> list[Layer]:
    """Return every float tensor between the network's inputs and outputs, in order."""
    marks, fields = _marks(graph), _fields(graph)
    found = [t for t in graph.inputs if is_float(t)]
    seen = {t.name for t in graph.inputs}
    for node in graph.nodes:
        if not any(t.name in seen for t in node.inputs):
            continue  # made of weights alone
        seen.update(t.name for t in node.outputs)
        found += [t for t in node.outputs if is_float(t) and t.shape != []]
    counted: set[str] = set()
    return [_layer(graph, t, marks.get(t.name, ()), fields.get(t.name), counted) for t in found]


def _layer(
    graph: Graph,
    tensor: Tensor,
    marks: tuple[str, ...],
    field: ReceptiveField | None,
    counted: set[str],
) -> Layer:
    node = tensor.inputs[0] if tensor.inputs else None
    axis = channel_axis(tensor)
    size = shape_of(tensor)[axis] if axis is not None else None
    return Layer(
        tensor=tensor.name,
        node=node.name if node else "",
        operator=node.op if node else "Input",
        module=module_path(graph, node) if node else "",
        shape=None if tensor.shape is None else tuple(tensor.shape),
        dtype=_dtype_name(tensor),
        channel_axis=axis,
        channels=size if isinstance(size, int) else None,
        receptive_field=field.size if field else None,
        stride=field.stride if field else None,
        offset=field.offset if field else None,
        arithmetic=arithmetic(node, counted),
        marks=marks,
    )


def _marks(graph: Graph) -> dict[str, tuple[str, ...]]:
    score = class_score(graph)
    block = last_convolutional_block(graph, score)
    marked = [(t, "input") for t in graph.inputs]
    marked += [(block, "last convolutional block")] if block is not None else []
    marked += [(score, "class score")] if score is not None else []
    marked += [(t, "output") for t in graph.outputs]
    marks: dict[str, tuple[str, ...]] = {}
    for tensor, mark in marked:
        marks[tensor.name] = (*marks.get(tensor.name, ()), mark)
    return marks


def _fields(graph: Graph) -> dict[str, ReceptiveField]:
    try:
        return receptive_fields(graph, default_target(graph))
    except UnsupportedModel:  # there is no image
        return {}


def _dtype_name(tensor: Tensor) -> str:
    if isinstance(tensor.dtype, int):
        return onnx.TensorProto.DataType.Name(tensor.dtype).lower()
    return str(np.dtype(tensor.dtype))
