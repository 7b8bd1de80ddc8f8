"""The editable graph: onnx-graphsurgeon's, and what is asked of its nodes and tensors."""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues

__all__ = [
    "Graph",
    "Node",
    "Tensor",
    "attribute",
    "constant",
    "copy_graph",
    "is_constant",
    "is_fixed",
    "is_float",
    "lowest_finite",
    "numpy_type",
    "onnx_type",
    "reads",
    "rename",
]

Graph: TypeAlias = Any  # onnx-graphsurgeon has no types
Node: TypeAlias = Any
Tensor: TypeAlias = Any

FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.BFLOAT16,
}


def constant(name: str, values: Any) -> Tensor:
    """Return a constant tensor of the graph."""
    return gs.Constant(name, np.asarray(values))


def copy_graph(graph: Graph) -> Graph:
    """Return a copy of the graph that may be edited; weights and attributes are shared."""
    copied = graph.copy()
    copied.name_scopes = graph.name_scopes
    pairs = zip(
        [graph, *graph.subgraphs(recursive=True)],
        [copied, *copied.subgraphs(recursive=True)],
        strict=True,
    )
    for original, copy in pairs:  # what onnx-graphsurgeon's copy leaves out
        tensors = copy.tensors()
        for name, tensor in original.tensors().items():
            kept = "data_location" if is_constant(tensor) else "type"
            setattr(tensors[name], kept, getattr(tensor, kept))
    return copied


def rename(tensor: Tensor, name: str) -> None:
    """Give the tensor another name. One that shares its values with the source model gets a copy.

    onnx-graphsurgeon writes the name into what the values are read from.
    """
    if is_constant(tensor) and isinstance(tensor._values, LazyValues):
        own = onnx.TensorProto()
        own.CopyFrom(tensor._values.tensor)
        tensor._values = LazyValues(own)
    tensor.name = name


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
