"""A graph as an ONNX model, no weight copied more than once: networks have hundreds of megabytes.

onnx-graphsurgeon's own export copies each twice.
"""

from __future__ import annotations

import math
from typing import Any

import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter, update_import_domains
from onnx_graphsurgeon.ir.tensor import SparseValues

from onnxplain.graphops.shapes import SMALL

__all__ = ["export", "outline"]


def export(graph: Any) -> onnx.ModelProto:
    """Return the graph as a model. Its inputs and outputs must have types."""
    model = _without_constants(graph, check_types=True)
    for tensor in _constants(graph):
        if isinstance(tensor._values, SparseValues):
            sparse = OnnxExporter.export_sparse_tensor_proto(tensor)
            model.graph.sparse_initializer.append(sparse)
        else:
            model.graph.initializer.append(OnnxExporter.export_tensor_proto(tensor))
    return model


def outline(graph: Any) -> onnx.ModelProto:
    """Return the graph as a model for shape inference, in which large constants are inputs."""
    model = _without_constants(graph, check_types=False)
    for tensor in _constants(graph):
        if isinstance(tensor._values, SparseValues) or math.prod(tensor.shape) > SMALL:
            model.graph.input.append(OnnxExporter.export_value_info_proto(tensor, False))
        else:
            model.graph.initializer.append(OnnxExporter.export_tensor_proto(tensor))
    return model


def _constants(graph: Any) -> list[Any]:
    return [t for t in graph.tensors().values() if isinstance(t, gs.Constant)]


def _without_constants(graph: Any, check_types: bool) -> onnx.ModelProto:
    model = onnx.ModelProto(ir_version=graph.ir_version or onnx.IR_VERSION)
    model.opset_import.extend(update_import_domains(graph))
    model.graph.name = graph.name or "graph"
    model.graph.doc_string = graph.doc_string or ""
    model.graph.node.extend([OnnxExporter.export_node(node) for node in graph.nodes])
    for values, tensors in (
        (model.graph.input, graph.inputs),
        (model.graph.output, graph.outputs),
        (model.graph.value_info, _known_within(graph)),
    ):
        values.extend([OnnxExporter.export_value_info_proto(t, check_types) for t in tensors])
    return model


def _known_within(graph: Any) -> list[Any]:
    """Return the tensors between inputs and outputs of which something is known."""
    ends = {t.name for t in [*graph.inputs, *graph.outputs]}
    inner = [t for t in graph.tensors().values() if t.name not in ends]
    known = [t for t in inner if t.dtype is not None or t.shape is not None]
    return [t for t in known if not isinstance(t, gs.Constant)]
