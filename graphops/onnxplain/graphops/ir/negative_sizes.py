"""Sizes below zero, as of windows that are larger than a picture.

The shape inference of ONNX, which ONNX Runtime has too, ends the process on a Slice of one.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import numpy_helper

from onnxplain.graphops.errors import UnsupportedModel

__all__ = ["require_sizes"]

WINDOWS = {
    "AveragePool", "Conv", "ConvInteger", "ConvTranspose", "DeformConv", "LpPool", "MaxPool",
    "MaxUnpool", "QLinearConv",
}  # fmt: skip
LARGE = 2**31  # numbers above may overflow to negative ones
# Operators whose output has a negative size only by a negative or large number among these
# attributes, or among the inputs after the first.
NUMBERED = {
    "CenterCropPad": (), "Pad": ("pads",), "Resize": (), "Split": ("split",), "TopK": ("k",),
    "Upsample": ("scales",),
}  # fmt: skip
UNKNOWN = "onnxplain.unknown"  # a domain whose operators inference passes over


def require_sizes(model: onnx.ModelProto, values: bool = True) -> None:
    """Raise UnsupportedModel where a size is below zero before a Slice.

    model: has the values of small constants only. values: as of `inferred`. Slices are passed over
    at first, and then those alone that lie before any further operator which may make such a size.
    """
    rounds = _rounds(model.graph)
    for this in range(1, max(rounds, default=0) + 1):
        part = onnx.ModelProto()
        part.CopyFrom(model)
        for node, last in zip(part.graph.node, rounds, strict=True):
            if last >= this:
                node.domain = UNKNOWN
        part.opset_import.add(domain=UNKNOWN, version=1)
        inferred = onnx.shape_inference.infer_shapes(part, data_prop=values).graph
        for value in [*inferred.value_info, *inferred.output]:
            sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
            if any(size < 0 for size in sizes):
                raise UnsupportedModel(
                    f"the tensor '{value.name}' would have the sizes {sizes}: the picture is "
                    "smaller than a window over it"
                )


def _rounds(graph: onnx.GraphProto) -> list[int]:
    """Return for each node the last round that it is left out of, 0 for none.

    That is, for a Slice, how often a node that may make a negative size lies before a Slice on a
    way to it.
    """
    constants = {t.name: t for t in graph.initializer}
    reached: dict[str, int] = {}  # for each tensor two for each such Slice, and one for the node
    rounds = []
    for node in graph.node:
        state = max((reached.get(name, 0) for name in node.input), default=0)
        state = 0 if node.op_type in ("Shape", "Size") else state
        if node.op_type == "Slice":
            state += state % 2
        elif _may_be_negative(node, constants):
            state |= 1
        rounds.append(state // 2 if node.op_type == "Slice" else 0)
        reached.update(dict.fromkeys(node.output, state))
    return rounds


def _may_be_negative(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    if node.op_type in WINDOWS:
        return True
    if node.op_type not in NUMBERED:
        return False
    names = [name for name in node.input[1:] if name]
    if not all(name in constants for name in names):
        return True
    values = [numpy_helper.to_array(constants[n]).ravel() for n in names]
    numbers: list[Iterable[float]] = [v for v in values if v.dtype.kind in "fiu"]
    for attribute in node.attribute:
        if attribute.name in NUMBERED[node.op_type]:
            numbers += [attribute.ints, attribute.floats, [attribute.i]]
    return any(not 0 <= n <= LARGE for part in numbers for n in part)
