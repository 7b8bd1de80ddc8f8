"""From an ONNX model to an editable graph and back, with nothing lost on the way.

The graph is onnx-graphsurgeon's. What that drops (documentation, metadata, denotations) is put
back on the way out, and shapes come from ONNX's own inference.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.importers.onnx_importer import OnnxImporter
from onnx_graphsurgeon.logger import G_LOGGER

from onnxplain.graphops.export import export, outline
from onnxplain.graphops.shapes import drop_idle_pads, with_shapes

__all__ = [
    "Graph",
    "Node",
    "Tensor",
    "attribute",
    "constant",
    "infer_shapes",
    "is_constant",
    "is_float",
    "lowest_finite",
    "name_scopes",
    "numpy_type",
    "onnx_type",
    "read",
    "reads",
    "write",
]

Graph: TypeAlias = Any  # onnx-graphsurgeon has no types
Node: TypeAlias = Any
Tensor: TypeAlias = Any

G_LOGGER.severity = G_LOGGER.ERROR  # it logs about optional packages and harmless duplicates

FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.BFLOAT16,
}


def read(model: onnx.ModelProto) -> Graph:
    """Return the editable graph of `model`, with every shape that ONNX can infer.

    It has the model's `name_scopes` too.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    drop_idle_pads(whole.graph.node)
    inferred = with_shapes(whole)
    del whole.graph.value_info[:]
    whole.graph.value_info.extend(inferred.graph.value_info)
    for mine, theirs in zip(whole.graph.output, inferred.graph.output, strict=True):
        mine.CopyFrom(theirs)
    graph = gs.import_onnx(whole)
    _name_nodes(graph)
    _constants_as_initializers(graph)
    graph.name_scopes = name_scopes(model)
    return graph


def name_scopes(model: onnx.ModelProto) -> dict[str, str]:
    """Return what PyTorch's dynamo exporter says of where each tensor was made."""
    return {
        output: entry.value
        for node in model.graph.node
        for entry in node.metadata_props
        if entry.key == "pkg.torch.onnx.name_scopes"
        for output in node.output
    }


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
        if tensor.shape is None and before[tensor.name] is not None:
            shape = before[tensor.name]
            tensor.shape = [None] * len(shape) if sizes_changed else shape


def write(graph: Graph, source: onnx.ModelProto) -> onnx.ModelProto:
    """Return `graph` as a model that keeps what `source` says about itself.

    The IR version is the lowest that the opset allows; imports that no node uses are dropped.
    """
    model = export(graph)
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
    _put_back_nodes(model, source)
    _put_back_values(model, source)
    return model


def constant(name: str, values: Any) -> Tensor:
    """Return a constant tensor of the graph."""
    return gs.Constant(name, np.asarray(values))


def is_constant(tensor: Tensor) -> bool:
    """Tell whether the tensor's value stands in the file."""
    return isinstance(tensor, gs.Constant)


def is_fixed(tensor: Tensor) -> bool:
    """Tell whether the tensor's value follows from what stands in the file alone."""
    seen, waiting = {tensor.name}, [tensor]
    while waiting:
        found = waiting.pop()
        if is_constant(found) or found.is_empty():
            continue
        if not found.inputs:
            return False
        waiting += [t for t in found.inputs[0].inputs if t.name not in seen]
        seen |= {t.name for t in waiting}
    return True


def is_float(tensor: Tensor) -> bool:
    """Tell whether a signal can flow through the tensor."""
    if tensor.is_empty() or tensor.dtype is None:
        return False
    return onnx_type(tensor) in FLOATS


def onnx_type(tensor: Tensor) -> int:
    """Return the ONNX number of the tensor's element type."""
    if isinstance(tensor.dtype, int):
        return tensor.dtype
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)))


def numpy_type(dtype: Any) -> Any:
    """Return NumPy's type for the `dtype` of a tensor, which may be an ONNX number."""
    return ml_dtypes.bfloat16 if dtype == onnx.TensorProto.BFLOAT16 else np.dtype(dtype)


def lowest_finite(tensor: Tensor) -> float:
    """Return the lowest finite value of a float tensor's type."""
    return float(ml_dtypes.finfo(numpy_type(tensor.dtype)).min)  # type: ignore[no-untyped-call]


def reads(node: Node) -> list[Tensor]:
    """Return all that a node reads: its inputs, and what its subgraphs take from outside."""
    bodies = [value for value in node.attrs.values() if isinstance(value, gs.Graph)]
    if not bodies:
        return list(node.inputs)
    return [*node.inputs, *(t for body in bodies for t in _captured(body))]


def _captured(body: Graph) -> list[Tensor]:
    inside = {t.name for t in body.inputs} | {t.name for n in body.nodes for t in n.outputs}
    used = [*(t for n in body.nodes for t in reads(n)), *body.outputs]
    return [t for t in used if not t.is_empty() and t.name not in inside and not is_constant(t)]


def attribute(node: Node, name: str, default: Any = None) -> Any:
    """Return an attribute of `node`, or `default` where it is absent."""
    return node.attrs.get(name, default)


def _name_nodes(graph: Graph) -> None:
    """Give every node a name of its own, since errors and emitted names point at nodes."""
    seen: set[str] = set()
    for node in graph.nodes:
        first = next((t.name for t in node.outputs if t.name), node.op)
        name = node.name or first
        if name in seen:
            name = f"{name}/{first}"
        seen.add(name)
        node.name = name


def _constants_as_initializers(graph: Graph) -> None:
    """Turn Constant nodes into initialisers: one form of constant for all that follows."""
    kept = []
    outputs = {t.name for t in graph.outputs}
    for node in graph.nodes:
        if node.op != "Constant" or node.domain not in (None, "", "ai.onnx"):
            kept.append(node)
            continue
        tensor = node.outputs[0]
        ((key, value),) = node.attrs.items()
        if tensor.name in outputs or key not in (
            "value",
            "value_int",
            "value_ints",
            "value_float",
            "value_floats",
        ):
            kept.append(node)
            continue
        node.outputs.clear()
        if key != "value":
            dtype = np.int64 if "int" in key else np.float32
            value = gs.Constant(tensor.name, np.array(value, dtype))
        tensor.to_constant(value._values)
    graph.nodes = kept


def _put_back_nodes(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
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


def _put_back_values(model: onnx.ModelProto, source: onnx.ModelProto) -> None:
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
