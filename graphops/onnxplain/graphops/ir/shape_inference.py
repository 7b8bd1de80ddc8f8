"""Shape inference by ONNX's own implementation, with workarounds for its gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx
from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter

from onnxplain.graphops.errors import CorruptModel, UnsupportedModel, one_line
from onnxplain.graphops.ir.exporter import SMALL, without_weights
from onnxplain.graphops.ir.graph import Graph, is_constant
from onnxplain.graphops.ir.negative_sizes import require_sizes

__all__ = [
    "drop_redundant_pads", "infer_shapes", "inferred", "require_consistent", "with_shapes",
    "without_large_constants",
]  # fmt: skip

MAX_ELEMENTS = 2**36  # of a tensor
MAX_LIST = 2**24  # of a list of integers, each of which shape inference keeps by itself
INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)

# Operators that ONNX defines as functions, whose outputs inference does not know.
SHAPE_KEEPERS = ("GroupNormalization", "MeanVarianceNormalization")


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` with inferred shapes and without its large constants."""
    try:
        return inferred(without_large_constants(model))
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as e:
        raise CorruptModel(f"the model's shapes are inconsistent: {one_line(e)}") from e


def inferred(
    light: onnx.ModelProto, *, strict: bool = False, values: bool = True
) -> onnx.ModelProto:
    """Return a copy of a model without large constants, with inferred shapes.

    strict: whether to raise where nodes do not fit their inputs. values: whether to follow those of
    lists of integers. Raises what ONNX does, and UnsupportedModel where a size would be negative.
    """
    require_sizes(light, values)
    return onnx.shape_inference.infer_shapes(light, strict_mode=strict, data_prop=values)


def infer_shapes(graph: Graph, sizes_changed: bool = False) -> None:
    """Infer all shapes again, after the graph or, with `sizes_changed`, its inputs' shapes changed.

    A shape that inference does not know keeps its former value, or rank if sizes changed.
    """
    produced = [t for n in graph.nodes for t in n.outputs if not is_constant(t)]
    before = {t.name: t.shape for t in produced}
    for tensor in produced:
        tensor.shape = None
    model = with_shapes(without_weights(graph))
    known = {v.name: v for v in [*model.graph.value_info, *model.graph.output]}
    for tensor in produced:
        if tensor.name in known and known[tensor.name].type.HasField("tensor_type"):
            fresh = OnnxImporter.import_tensor(known[tensor.name])
            tensor.shape, tensor.dtype = fresh.shape, fresh.dtype or tensor.dtype
        shape = before[tensor.name]
        if tensor.shape is None and shape is not None:
            tensor.shape = [None] * len(shape) if sizes_changed else shape


def require_consistent(model: onnx.ModelProto) -> None:
    """Raise CorruptModel where a node's attributes, ranks or sizes contradict each other.

    Declared shapes are ignored: they are often stale, and no runtime checks them. That of an output
    is corrected, in place, where it has another rank.
    Raises UnsupportedModel where a tensor is larger than any machine's memory.
    """
    light = without_large_constants(model)
    del light.graph.value_info[:]
    for output in light.graph.output:
        if output.type.HasField("tensor_type"):  # not a sequence or a map
            output.type.tensor_type.ClearField("shape")
    _require_bounds(light.graph)
    try:
        # First without the values of lists, since those of a long one take much memory.
        _require_possible(light)
        _require_possible(inferred(light, values=False))
        found = inferred(light, strict=True)
        _require_possible(found)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as e:
        if any(_rounds_up(node) for node in model.graph.node):
            return  # inference may count one window too many: see `canonicalize/ceil_mode.py`
        raise CorruptModel(f"a node does not fit its inputs: {one_line(e)}") from e
    shapes = {v.name: v.type.tensor_type.shape for v in [*found.graph.output, *found.graph.input]}
    for output in model.graph.output:
        mine, shape = output.type.tensor_type, shapes[output.name]
        if shape.dim and mine.HasField("shape") and len(mine.shape.dim) != len(shape.dim):
            mine.shape.CopyFrom(shape)


def drop_redundant_pads(nodes: Iterable[onnx.NodeProto]) -> None:
    """Remove `pads` beside an `auto_pad` that sets the padding; old exporters write both.

    ONNX forbids both. ONNX Runtime obeys `auto_pad`, but shape inference obeys `pads`.
    """
    for node in nodes:
        attrs = {a.name: a for a in node.attribute}
        if "pads" in attrs and "auto_pad" in attrs and attrs["auto_pad"].s not in (b"", b"NOTSET"):
            node.attribute.remove(attrs["pads"])


def _require_bounds(graph: onnx.GraphProto) -> None:
    """Raise CorruptModel where a Slice's constant bounds do not fit: inference is lax."""
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Slice":
            shapes = {constants[name] for name in node.input[1:] if name in constants}
            if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
                raise CorruptModel(f"the bounds and axes of a Slice have the shapes {[*shapes]}")


def _require_possible(inferred: onnx.ModelProto) -> None:
    graph = inferred.graph
    for value in [*graph.input, *graph.value_info, *graph.output]:
        tensor = value.type.tensor_type
        sizes = [d.dim_value for d in tensor.shape.dim if d.dim_value > 0]
        count, kind = math.prod(sizes), tensor.elem_type
        is_list = len(tensor.shape.dim) == 1 and kind in INTEGERS
        if count > MAX_ELEMENTS or (is_list and count > MAX_LIST):
            raise UnsupportedModel(
                f"the tensor '{value.name}' would have {count} elements, more than can be explained"
            )


def _rounds_up(node: onnx.NodeProto) -> bool:
    return any(a.name == "ceil_mode" and a.i for a in node.attribute)


def without_large_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which large constants are inputs of the same type and shape."""
    light = onnx.ModelProto()
    light.ir_version = max(model.ir_version, 4)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name or "graph"
    light.graph.node.extend(model.graph.node)
    drop_redundant_pads(light.graph.node)
    for node in light.graph.node:
        _substitute_for_inference(node)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    constants = {t.name for t in model.graph.initializer}
    light.graph.input.extend(i for i in model.graph.input if i.name not in constants)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= SMALL:
            light.graph.initializer.append(tensor)
        else:
            light.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    for sparse in model.graph.sparse_initializer:
        values = sparse.values
        light.graph.input.append(
            onnx.helper.make_tensor_value_info(values.name, values.data_type, sparse.dims)
        )
    return light


def _substitute_for_inference(node: onnx.NodeProto) -> None:
    """Replace an operator unknown to inference by another of the same output type and shape."""
    if node.op_type in SHAPE_KEEPERS:
        node.op_type = "Identity"
        del node.input[1:]
    elif node.op_type == "MaxUnpool" and len(node.input) > 2:
        node.op_type = "Resize"
        node.input[1] = ""
        node.input.insert(2, "")
    else:
        return
    del node.attribute[:]
