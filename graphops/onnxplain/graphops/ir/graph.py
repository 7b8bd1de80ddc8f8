"""The editable graph, which is onnx-graphsurgeon's, and queries of its nodes and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeGuard

import ml_dtypes
import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues

from onnxplain.graphops.errors import UnsupportedModel

__all__ = [
    "Body",
    "DType",
    "Graph",
    "Node",
    "Shape",
    "Tensor",
    "attribute",
    "constant",
    "dimension_names",
    "dtype_name",
    "dtype_of",
    "is_constant",
    "is_fixed",
    "is_float",
    "is_half",
    "is_known_size",
    "is_standard",
    "is_static",
    "lowest_finite",
    "numpy_type",
    "onnx_type",
    "optional_input",
    "rank_of",
    "reads",
    "rename",
    "shape_of",
]

Body: TypeAlias = gs.Graph  # a model's graph, or the body of an If or a Loop in one
Node: TypeAlias = gs.Node
Tensor: TypeAlias = gs.Tensor
Shape: TypeAlias = "list[int | str | None]"  # numbers, names of dynamic sizes, None: unknown
DType: TypeAlias = (
    "np.dtype[Any] | type[np.generic] | int"  # int: an ONNX type number, for bfloat16
)

FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.BFLOAT16,
}
HALF = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


class Graph(gs.Graph):
    """The editable graph of a model, with what onnx-graphsurgeon does not hold.

    name_scopes: PyTorch's module scopes, by the names of the tensors computed in them.
    other_types: the types of values that are no tensors (sequences, maps, optionals), by name.
    Such a value has no `dtype`. added: the names of the outputs that a rewrite has added already.
    """

    added: frozenset[str] = frozenset()
    name_scopes: dict[str, str]
    other_types: dict[str, onnx.TypeProto]

    @classmethod
    def of(
        cls,
        graph: gs.Graph,
        name_scopes: dict[str, str],
        other_types: dict[str, onnx.TypeProto],
    ) -> Graph:
        """Return a graph of the same nodes and tensors, with these module scopes and types."""
        scoped = cls(
            nodes=graph.nodes,
            inputs=graph.inputs,
            outputs=graph.outputs,
            name=graph.name,
            doc_string=graph.doc_string,
            opset=graph.opset,
            import_domains=graph.import_domains,
            producer_name=graph.producer_name,
            producer_version=graph.producer_version,
            functions=graph.functions,
            ir_version=graph.ir_version,
        )
        scoped.name_scopes, scoped.other_types = name_scopes, other_types
        return scoped

    def drop_unread_inputs(self) -> None:
        """Remove the inputs that no node reads."""
        read = {tensor.name for node in self.nodes for tensor in reads(node)}
        self.inputs = [tensor for tensor in self.inputs if tensor.name in read]

    def copy(self, tensor_map: dict[str, Tensor] | None = None) -> Graph:
        """Return an editable copy that shares weights and attributes."""
        copied = Graph.of(super().copy(tensor_map), self.name_scopes, self.other_types)
        copied.added = self.added
        bodies = zip(
            [self, *self.subgraphs(recursive=True)],
            [copied, *copied.subgraphs(recursive=True)],
            strict=True,
        )
        for original, copy in bodies:  # onnx-graphsurgeon does not copy these attributes
            tensors = copy.tensors()
            for name, tensor in original.tensors().items():
                kept = "data_location" if is_constant(tensor) else "type"
                setattr(tensors[name], kept, getattr(tensor, kept))
        return copied


def constant(name: str, values: Any) -> Tensor:
    """Return a constant tensor of the graph."""
    return gs.Constant(name, np.asarray(values))


def rename(tensor: Tensor, name: str) -> None:
    """Rename a tensor, and leave the source model's initialiser as it is.

    onnx-graphsurgeon writes the name into the TensorProto that it reads the values from.
    """
    if is_constant(tensor) and isinstance(tensor._values, LazyValues):
        own = onnx.TensorProto()
        own.CopyFrom(tensor._values.tensor)
        tensor._values = LazyValues(own)
    tensor.name = name


def is_constant(tensor: Tensor) -> TypeGuard[gs.Constant]:
    """Tell whether the tensor is an initialiser."""
    return isinstance(tensor, gs.Constant)


def is_fixed(tensor: Tensor) -> bool:
    """Tell whether the tensor is computed from initialisers alone."""
    seen, waiting = {tensor.name}, [tensor]
    while waiting:
        current = waiting.pop()
        if is_constant(current) or current.is_empty():
            continue
        if not current.inputs:
            return False
        waiting += [t for t in current.inputs[0].inputs if t.name not in seen]
        seen |= {t.name for t in waiting}
    return True


def shape_of(tensor: Tensor) -> Shape:
    """Return the tensor's shape. Raises UnsupportedModel where not even its rank is known."""
    if tensor.shape is None:
        raise UnsupportedModel(
            f"the rank of '{tensor.name}' is not known: choose another tensor, or export the "
            "model with the shapes of its tensors"
        )
    return tensor.shape


def rank_of(tensor: Tensor) -> int:
    """Return the tensor's rank. Raises UnsupportedModel where it is not known."""
    return len(shape_of(tensor))


def dtype_of(tensor: Tensor) -> DType:
    """Return the tensor's element type. Raises UnsupportedModel where it is not known."""
    if tensor.dtype is None:
        raise UnsupportedModel(
            f"the element type of '{tensor.name}' is not known: choose another tensor, or export "
            "the model with the types of its tensors"
        )
    return tensor.dtype


def dtype_name(tensor: Tensor) -> str:
    """Return the name of the tensor's element type, such as "float32"."""
    if tensor.dtype is None:
        return "unknown type"
    if isinstance(tensor.dtype, int):
        return onnx.TensorProto.DataType.Name(tensor.dtype).lower()
    return str(np.dtype(tensor.dtype))


def is_static(sizes: Sequence[int | str | None]) -> TypeGuard[Sequence[int]]:
    """Tell whether all sizes are numbers."""
    return all(isinstance(size, int) for size in sizes)


def is_known_size(size: int | str | None) -> bool:
    """Tell whether a size is a number or a name of the model's, not one that inference invented."""
    return size is not None and not str(size).startswith("unk__")


def dimension_names(graph: Graph) -> set[int | str | None]:
    """Return all sizes of the graph's tensors, whose names a new dynamic size must avoid."""
    return {size for tensor in graph.tensors().values() for size in tensor.shape or ()}


def is_float(tensor: Tensor) -> bool:
    """Tell whether the tensor's elements are floats, so that it can carry a signal."""
    if tensor.is_empty() or tensor.dtype is None:
        return False
    return onnx_type(tensor) in FLOATS


def is_half(tensor: Tensor) -> bool:
    """Tell whether the tensor is in half precision, float16 or bfloat16."""
    return onnx_type(tensor) in HALF


def onnx_type(tensor: Tensor) -> int:
    """Return the ONNX number of the tensor's element type."""
    if isinstance(tensor.dtype, int):
        return tensor.dtype
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)))


def numpy_type(dtype: Any) -> Any:
    """Return the NumPy type of a tensor's `dtype`, which may be an ONNX type number."""
    return ml_dtypes.bfloat16 if dtype == onnx.TensorProto.BFLOAT16 else np.dtype(dtype)


def lowest_finite(tensor: Tensor) -> float:
    """Return the lowest finite value of a float tensor's element type."""
    return float(ml_dtypes.finfo(numpy_type(tensor.dtype)).min)  # type: ignore[no-untyped-call]


def reads(node: Node) -> list[Tensor]:
    """Return a node's inputs and the outer tensors that its subgraphs read."""
    bodies = [value for value in node.attrs.values() if isinstance(value, gs.Graph)]
    if not bodies:
        return list(node.inputs)
    return [*node.inputs, *(t for body in bodies for t in _captured(body))]


def _captured(body: Body) -> list[Tensor]:
    inside = {t.name for t in body.inputs} | {t.name for n in body.nodes for t in n.outputs}
    used = [*(t for n in body.nodes for t in reads(n)), *body.outputs]
    return [t for t in used if not t.is_empty() and t.name not in inside and not is_constant(t)]


def is_standard(node: Node) -> bool:
    """Tell whether the node's operator belongs to ONNX's standard domain."""
    return node.domain in (None, "", "ai.onnx")


def attribute(node: Node, name: str, default: Any = None) -> Any:
    """Return an attribute of `node`, or `default` where it is absent."""
    return node.attrs.get(name, default)


def optional_input(node: Node, index: int) -> Tensor | None:
    """Return an input of `node`, or None where it is absent."""
    present = len(node.inputs) > index and not node.inputs[index].is_empty()
    return node.inputs[index] if present else None
