"""The shapes of a model's tensors, by ONNX's own inference."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter

from onnxplain.graphops.errors import CorruptModel
from onnxplain.graphops.ir.exporter import SMALL, outline
from onnxplain.graphops.ir.graph import Graph, is_constant

__all__ = ["drop_idle_pads", "infer_shapes", "require_consistent", "with_shapes"]

# Operators that ONNX defines by a function of others, through which inference does not look.
SHAPE_KEEPERS = ("GroupNormalization", "MeanVarianceNormalization")


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` with inferred shapes and without its large constants."""
    try:
        return onnx.shape_inference.infer_shapes(_light(model), data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as e:
        raise CorruptModel(f"the model's shapes contradict: {' '.join(str(e).split())}") from e


def infer_shapes(graph: Graph, sizes_changed: bool = False) -> None:
    """Infer all shapes again, after the graph or, with `sizes_changed`, its inputs' shapes changed.

    Where inference says nothing, what was known stays: the shape, or at least the rank.
    """
    produced = [t for n in graph.nodes for t in n.outputs if not is_constant(t)]
    before = {t.name: t.shape for t in produced}
    for tensor in produced:
        tensor.shape = None
    model = with_shapes(outline(graph))
    known = {v.name: v for v in [*model.graph.value_info, *model.graph.output]}
    for tensor in produced:
        if tensor.name in known:
            fresh = OnnxImporter.import_tensor(known[tensor.name])
            tensor.shape, tensor.dtype = fresh.shape, fresh.dtype or tensor.dtype
        shape = before[tensor.name]
        if tensor.shape is None and shape is not None:
            tensor.shape = [None] * len(shape) if sizes_changed else shape


def require_consistent(model: onnx.ModelProto) -> None:
    """Raise CorruptModel where a node cannot work on what it is given: attributes, ranks, sizes.

    What the file declares of shapes is left out: it is often stale, and no runtime minds.
    """
    light = _light(model)
    del light.graph.value_info[:]
    for output in light.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        onnx.shape_inference.infer_shapes(light, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as e:
        if any(_rounds_up(node) for node in model.graph.node):
            return  # inference counts one window too many there: see `ceil_mode.py`
        raise CorruptModel(f"a node does not fit its inputs: {' '.join(str(e).split())}") from e


def drop_idle_pads(nodes: Iterable[onnx.NodeProto]) -> None:
    """Remove `pads` where `auto_pad` says how to pad, as old exporters write both of a pooling.

    ONNX forbids that; ONNX Runtime pads as `auto_pad` says, where inference counts with `pads`.
    """
    for node in nodes:
        told = {a.name: a for a in node.attribute}
        if "pads" in told and "auto_pad" in told and told["auto_pad"].s not in (b"", b"NOTSET"):
            node.attribute.remove(told["pads"])


def _rounds_up(node: onnx.NodeProto) -> bool:
    return any(a.name == "ceil_mode" and a.i for a in node.attribute)


def _light(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy that has only the types and shapes of its large constants."""
    light = onnx.ModelProto()
    light.ir_version = max(model.ir_version, 4)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name or "graph"
    light.graph.node.extend(model.graph.node)
    drop_idle_pads(light.graph.node)
    for node in light.graph.node:
        _stand_in(node)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    constants = {t.name for t in model.graph.initializer}
    light.graph.input.extend(i for i in model.graph.input if i.name not in constants)
    for tensor in model.graph.initializer:
        if int(np.prod(tensor.dims)) <= SMALL:
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


def _stand_in(node: onnx.NodeProto) -> None:
    """Make the node another of the same type and shape, where inference does not know its own."""
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
