"""Exporting the editable graph as an ONNX model.

Restores what onnx-graphsurgeon drops (documentation, metadata, denotations), and copies each weight
once instead of twice, since networks have hundreds of megabytes.
"""

from __future__ import annotations

import math

import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.exporters.onnx_exporter import OnnxExporter, update_import_domains
from onnx_graphsurgeon.ir.tensor import SparseValues

from onnxplain.graphops.ir import large
from onnxplain.graphops.ir.graph import Graph, Tensor, is_constant
from onnxplain.graphops.ir.large import bytes_of, raw

__all__ = ["without_weights", "write"]

SMALL = 4096  # elements: shape inference does not read larger constants


def write(graph: Graph, source: onnx.ModelProto) -> onnx.ModelProto:
    """Return `graph` as a model with the documentation and metadata of `source`.

    The IR version is the lowest that the opset allows. Unused opset imports are dropped.
    """
    model = _export(graph)
    used = {node.domain or "" for node in model.graph.node} | {""}
    used |= {n.domain or "" for s in graph.subgraphs(recursive=True) for n in s.nodes}
    versions = {o.domain: o.version for o in source.opset_import} | {"": graph.opset}
    del model.opset_import[:]
    model.opset_import.extend(
        onnx.helper.make_opsetid(domain, versions.get(domain, 1)) for domain in sorted(used)
    )
    model.ir_version = onnx.helper.find_min_ir_version_for(
        [o for o in model.opset_import if o.domain == ""]
    )
    for name in ("doc_string", "domain", "model_version", "producer_name", "producer_version"):
        if source.HasField(name):
            setattr(model, name, getattr(source, name))
    model.metadata_props.extend(source.metadata_props)
    model.graph.metadata_props.extend(source.graph.metadata_props)
    model.graph.quantization_annotation.extend(source.graph.quantization_annotation)
    _restore_nodes(model, source)
    _restore_values(model, source)
    return model


def _export(graph: Graph) -> onnx.ModelProto:
    model = _without_constants(graph)
    for tensor in _constants(graph):
        if isinstance(tensor._values, SparseValues):
            sparse = OnnxExporter.export_sparse_tensor_proto(tensor)
            model.graph.sparse_initializer.append(sparse)
        else:
            _add(model.graph, OnnxExporter.export_tensor_proto(tensor))
    return model


def _add(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> None:
    """Copy an initialiser into the graph; protobuf copies none above 2 GiB as a whole."""
    if bytes_of(tensor) < large.LIMIT:
        graph.initializer.append(tensor)
        return
    copy = graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    copy.raw_data = raw(tensor)


def without_weights(graph: Graph) -> onnx.ModelProto:
    """Return the graph as a model for shape inference, in which large constants are inputs."""
    model = _without_constants(graph)
    for tensor in _constants(graph):
        if isinstance(tensor._values, SparseValues) or math.prod(tensor._values.shape) > SMALL:
            model.graph.input.append(OnnxExporter.export_value_info_proto(tensor, False))
        else:
            model.graph.initializer.append(OnnxExporter.export_tensor_proto(tensor))
    return model


def _constants(graph: Graph) -> list[gs.Constant]:
    return [t for t in graph.tensors().values() if is_constant(t)]


def _without_constants(graph: Graph) -> onnx.ModelProto:
    model = onnx.ModelProto(ir_version=graph.ir_version or onnx.IR_VERSION)
    model.opset_import.extend(update_import_domains(graph))
    model.graph.name = graph.name or "graph"
    model.graph.doc_string = graph.doc_string or ""
    model.graph.node.extend([OnnxExporter.export_node(node) for node in graph.nodes])
    for values, tensors in (
        (model.graph.input, graph.inputs),
        (model.graph.output, graph.outputs),
        (model.graph.value_info, _intermediate_values(graph)),
    ):
        values.extend([OnnxExporter.export_value_info_proto(t, False) for t in tensors])
    for value in [*model.graph.input, *model.graph.output]:
        if value.name in graph.other_types:
            value.type.CopyFrom(graph.other_types[value.name])
    return model


def _intermediate_values(graph: Graph) -> list[Tensor]:
    """Return the intermediate tensors whose type or shape is known."""
    ends = {t.name for t in [*graph.inputs, *graph.outputs]}
    inner = [t for t in graph.tensors().values() if t.name not in ends]
    known = [t for t in inner if t.dtype is not None or t.shape is not None]
    return [t for t in known if not is_constant(t)]


def _restore_nodes(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
    originals = {next(iter(filter(None, n.output)), ""): n for n in source.graph.node}
    for node in model.graph.node:
        original = originals.get(next(iter(filter(None, node.output)), ""))
        if original is None:
            continue
        node.metadata_props.extend(original.metadata_props)
        if original.doc_string:
            node.doc_string = original.doc_string
        if original.overload:
            node.overload = original.overload


def _restore_values(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
    originals = {v.name: v for v in [*source.graph.input, *source.graph.output]}
    originals |= {v.name: v for v in source.graph.value_info if v.name not in originals}
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        original = originals.get(value.name)
        if original is None:
            continue
        value.metadata_props.extend(original.metadata_props)
        if original.doc_string:
            value.doc_string = original.doc_string
        if original.type.denotation:
            value.type.denotation = original.type.denotation
        dims = value.type.tensor_type.shape.dim
        for mine, theirs in zip(dims, original.type.tensor_type.shape.dim, strict=False):
            if theirs.denotation:
                mine.denotation = theirs.denotation
