"""Pixels in place of values: the network takes 8-bit pictures, and the graph computes its input.

The graph looks the value of each pixel up in a table, by integer arithmetic: the values are exactly
those of the table on every runtime and in every precision, and the first float tensor behind the
pixels is the one that was the input.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from onnxplain.graphops.errors import OptionError, UnsupportedModel, listed
from onnxplain.graphops.ir import join, opset_of, read_metadata, split
from onnxplain.graphops.metadata import renamed_names

__all__ = ["PIXELS", "bake_pixels"]

PIXELS = "pixels"  # the input's name in docs/contract.md
LEVELS = 256
# What red, green and blue contribute to a grey pixel, in 65536ths, rounded as Pillow does.
LUMA, WHOLE = (19595, 38470, 7471), 65536
COLORS = ("RGB", "BGR", "GRAY")
FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
    onnx.TensorProto.DOUBLE,
}
LEAST_OPSET = 13  # ReduceSum with axes as an input


def bake_pixels(
    model: onnx.ModelProto,
    name: str,
    values: npt.NDArray[np.floating[Any]],
    color: str = "RGB",
    channel_axis: int = 1,
) -> onnx.ModelProto:
    """Let a model take the pixels of pictures in place of one of its float inputs.

    Args:
        model: a network or an artefact; it is not changed.
        name: the input that takes the picture, [N, C, H, W], or another order, or without N.
        values: [C, 256], the input's values for the pixels 0 to 255 of each channel.
        color: the order of the input's channels, "RGB", "BGR" or "GRAY": one channel, the luma of
            ITU-R 601-2 rounded as Pillow does.
        channel_axis: the input's channel axis.

    Returns:
        The model with the input `pixels`, uint8 [N, H, W, 3], RGB, in place of `name`, which stays
        as a tensor. If the model uses that name, it is `onnxplain_pixels`, and the metadata
        `onnxplain.renamed` lists it.

    Raises:
        OptionError: another color, or the input has another number of channels.
        UnsupportedModel: there is no such float input, or the opset is below 13.
    """
    if color not in COLORS:
        raise OptionError(f"no color '{color}': choose {listed(COLORS)}")
    if opset_of(model) < LEAST_OPSET:
        raise UnsupportedModel(
            f"pixels are taken from opset {LEAST_OPSET} on, and the model has opset "
            f"{opset_of(model)}: rewrite it first"
        )
    light, large = split(model)
    graph = light.graph
    index, value = _input(graph, name)
    dims, channels = value.type.tensor_type.shape.dim, len(values)
    if dims[channel_axis].dim_value not in (0, channels):
        raise OptionError(
            f"the preprocessing makes {channels} channels, and the input '{name}' takes "
            f"{dims[channel_axis].dim_value}: choose another color"
        )
    used = _names(graph)
    pixels = PIXELS if PIXELS not in used else f"onnxplain_{PIXELS}"
    lookup = _lookup(pixels, value, values, color, channel_axis)
    nodes = [*lookup.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(lookup.constants)
    if name not in {v.name for v in graph.output}:
        graph.value_info.append(value)
    graph.input[index].CopyFrom(_pixels_input(pixels, value, channel_axis))
    if pixels != PIXELS:
        metadata, renamed = read_metadata(light), renamed_names(light) | {PIXELS: pixels}
        metadata["onnxplain.renamed"] = json.dumps(renamed, sort_keys=True)
        helper.set_model_props(light, metadata)
    join(light, large)
    return light


def _pixels_input(name: str, value: onnx.ValueInfoProto, channel_axis: int) -> onnx.ValueInfoProto:
    """Return the input of pixels, channels last, in place of an input of floats."""
    pixels = onnx.ValueInfoProto(name=name)
    kind = pixels.type.tensor_type
    kind.elem_type = onnx.TensorProto.UINT8
    sizes = [d for i, d in enumerate(value.type.tensor_type.shape.dim) if i != channel_axis]
    kind.shape.dim.extend(sizes)
    kind.shape.dim.add(dim_value=3)
    return pixels


def _lookup(
    pixels: str,
    value: onnx.ValueInfoProto,
    values: npt.NDArray[np.floating[Any]],
    color: str,
    channel_axis: int,
) -> _Nodes:
    """Return the nodes that look the value of each pixel up.

    value: the tensor that they compute. values, color, channel_axis: as in `bake_pixels`.
    """
    kind, channels = value.type.tensor_type, len(values)
    last = len(kind.shape.dim) - 1
    op = _Nodes(f"onnxplain/{pixels}")
    level = op.add("Cast", pixels, to=onnx.TensorProto.INT32)
    if color == "GRAY":
        weighted = op.add("Mul", level, np.array(LUMA, np.int32))
        total = op.add("ReduceSum", weighted, np.array([last], np.int64), keepdims=1)
        rounded = op.add("Add", total, np.array(WHOLE // 2, np.int32))
        # OpenVINO divides integers as floats and rounds, so that only quotients without a
        # remainder are the same everywhere.
        remainder = op.add("Mod", rounded, np.array(WHOLE, np.int32))
        level = op.add("Div", op.add("Sub", rounded, remainder), np.array(WHOLE, np.int32))
    elif color == "BGR":
        level = op.add("Gather", level, np.array([2, 1, 0], np.int64), axis=last)
    if channel_axis != last:
        order = [*range(channel_axis), last, *range(channel_axis, last)]
        level = op.add("Transpose", level, perm=order)
    if channels > 1:  # each channel has its own part of the table
        start = LEVELS * np.arange(channels, dtype=np.int32)
        level = op.add("Add", level, start.reshape(channels, *[1] * (last - channel_axis)))
    table = values.astype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).ravel()
    op.add("Gather", table, level, axis=0)
    op.nodes[-1].output[0] = value.name
    return op


class _Nodes:
    """Nodes with constants, all with names that begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str | npt.NDArray[Any], **attributes: Any) -> str:
        """Append a node that reads tensors and constants, and return its output."""
        output = f"{self.prefix}/{len(self.nodes)}_{operator}"
        names = []
        for one in inputs:
            if not isinstance(one, str):
                self.constants.append(numpy_helper.from_array(one, f"{output}/constant"))
                one = f"{output}/constant"
            names.append(one)
        self.nodes.append(helper.make_node(operator, names, [output], output, **attributes))
        return output


def _input(graph: onnx.GraphProto, name: str) -> tuple[int, onnx.ValueInfoProto]:
    """Return the position of a float input among the inputs, and a copy of it."""
    index = next((i for i, value in enumerate(graph.input) if value.name == name), None)
    if index is None:
        raise UnsupportedModel(f"the model has no input '{name}' to compute from pixels")
    value = onnx.ValueInfoProto()
    value.CopyFrom(graph.input[index])
    if value.type.tensor_type.elem_type not in FLOATS:
        raise UnsupportedModel(
            f"the input '{name}' takes no floats, so the network preprocesses its pictures "
            "already: leave the preprocessing out"
        )
    return index, value


def _names(graph: onnx.GraphProto) -> set[str]:
    """Return the names of all tensors, those of inner graphs included."""
    names = {v.name for v in [*graph.input, *graph.output, *graph.value_info]}
    names |= {t.name for t in graph.initializer}
    for node in graph.node:
        names |= {*node.input, *node.output}
        for body in _bodies(node):
            names |= _names(body)
    return names


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
