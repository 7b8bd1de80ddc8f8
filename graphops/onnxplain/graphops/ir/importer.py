"""Importing an ONNX model as an editable graph, with every shape that ONNX can infer."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter
from onnx_graphsurgeon.logger import G_LOGGER

from onnxplain.graphops.ir.graph import Graph, Node, Tensor, is_standard
from onnxplain.graphops.ir.shape_inference import drop_redundant_pads, with_shapes

__all__ = ["name_scopes", "read"]

G_LOGGER.severity = G_LOGGER.ERROR  # it warns about optional packages and harmless duplicates

# Attributes of a Constant that become an initialiser: its type, None where the value has one.
KEPT_AS: dict[str, type[np.generic] | None] = {
    "value": None,
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def read(model: onnx.ModelProto) -> Graph:
    """Return the editable graph of `model`, with every shape that ONNX can infer.

    The graph shares the model's weights, so `model` must not change while it is in use.
    """
    light, weights = _split_weights(model)
    inferred = with_shapes(model)
    del light.graph.value_info[:]
    light.graph.value_info.extend(inferred.graph.value_info)
    for mine, theirs in zip(light.graph.output, inferred.graph.output, strict=True):
        mine.CopyFrom(theirs)
    other_types = _take_other_types(light)
    imported = OnnxImporter.import_graph(
        light.graph,
        tensor_map=weights,
        opset=OnnxImporter.get_opset(light),
        import_domains=OnnxImporter.get_import_domains(light),
        ir_version=light.ir_version,
    )
    graph = Graph.of(imported, name_scopes(model), other_types)
    _name_nodes(graph)
    _constants_as_initializers(graph)
    return graph


def name_scopes(model: onnx.ModelProto) -> dict[str, str]:
    """Return the module scopes that PyTorch's dynamo exporter records, by tensor name."""
    return {
        output: entry.value
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == "pkg.torch.onnx.name_scopes"
        for output in node.output
    }


def _take_other_types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Remove the types of values that are no tensors, and return them by the values' names."""
    taken = {}
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.WhichOneof("value") not in (None, "tensor_type"):
            taken[value.name] = onnx.TypeProto()
            taken[value.name].CopyFrom(value.type)
            value.ClearField("type")
    return taken


def _split_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Tensor]]:
    """Return a copy of `model` without its weights, and the weights as tensors of shared values.

    An initialiser that is also an output of the graph stays in the copy.
    """
    graph = model.graph
    outputs = {value.name for value in graph.output}
    weights: dict[str, Tensor] = {t.name: OnnxImporter.import_tensor(t) for t in graph.initializer}
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.graph.name, light.graph.doc_string = graph.name, graph.doc_string
    light.graph.node.extend(graph.node)
    drop_redundant_pads(light.graph.node)
    light.graph.input.extend(v for v in graph.input if v.name not in weights)
    light.graph.output.extend(graph.output)
    light.graph.sparse_initializer.extend(graph.sparse_initializer)
    light.graph.initializer.extend(t for t in graph.initializer if t.name in outputs)
    return light, {name: tensor for name, tensor in weights.items() if name not in outputs}


def _name_nodes(graph: Graph) -> None:
    """Give every node a unique name, since errors and emitted names refer to nodes."""
    seen: set[str] = set()
    for node in graph.nodes:
        first = next((t.name for t in node.outputs if t.name), node.op)
        name = node.name or first
        if name in seen:
            name = f"{name}/{first}"
        seen.add(name)
        node.name = name


def _constants_as_initializers(graph: Graph) -> None:
    """Turn Constant nodes into initialisers, so that constants have one form."""
    kept: list[Node] = []
    outputs = {t.name for t in graph.outputs}
    for node in graph.nodes:
        if node.op != "Constant" or not is_standard(node):
            kept.append(node)
            continue
        tensor = node.outputs[0]
        ((key, value),) = node.attrs.items()
        if not isinstance(tensor, gs.Variable) or tensor.name in outputs or key not in KEPT_AS:
            kept.append(node)
            continue
        node.outputs.clear()
        dtype = KEPT_AS[key]
        tensor.to_constant(value._values if dtype is None else np.array(value, dtype))
    graph.nodes = kept
