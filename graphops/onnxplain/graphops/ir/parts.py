"""The walk over every part of a model, before anything is computed from it.

Its limits lie far above the networks that exist, and hold for everyone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import onnx
from google.protobuf.message import Message
from onnx import numpy_helper

from onnxplain.graphops.errors import CorruptModel, UnsafeModel, UnsupportedModel

__all__ = ["all_nodes", "require_values", "tensors_of"]

MAX_NODES = 2**16  # in all graphs, with each call of a function replaced by the function's nodes
MAX_PARTS = 2**20  # protobuf messages, and names that nodes read and write
MAX_VALUES = 2**12  # that one node reads or writes
MAX_NAME = 2**14  # characters
MAX_CALLS = 64  # functions that call each other, one inside the other
COUNTED = 2**20  # bytes of a tensor whose values are counted here, which copies them
TYPES = frozenset(onnx.TensorProto.DataType.values())
EQUATION = re.compile(rb"[A-Za-z.,> -]*")  # of Einsum
LONG = ("doc_string", "value")  # texts that may be longer: documentation and metadata

Key = tuple[str, str, str]


def tensors_of(model: onnx.ModelProto, name: str) -> list[onnx.TensorProto]:
    """Return every tensor of a model, after a look at every part of it.

    Tensors are initialisers, sparse ones or attributes, of the graph, of the bodies of its nodes,
    of functions or of the training part. Declared sizes below zero are removed, in place.

    Args:
        model: the model.
        name: that of the model in errors.

    Returns:
        The tensors, in no particular order.

    Raises:
        CorruptModel: a text is not UTF-8, an element type does not exist, a function calls itself,
            or an attribute refers to one of a function that there is none of.
        UnsafeModel: a node holds a compiled model.
        UnsupportedModel: the model exceeds a limit.
    """
    tensors: list[onnx.TensorProto] = []
    nodes, parts, refers = 0, 1, False
    stack: list[Message] = [model]
    while stack:
        current = stack.pop()
        if isinstance(current, onnx.TensorProto):
            tensors.append(current)
        elif isinstance(current, onnx.GraphProto | onnx.FunctionProto):
            nodes += len(current.node)
        elif isinstance(current, onnx.NodeProto):
            _require_plain(current, name)
            parts += len(current.input) + len(current.output)
        elif isinstance(current, onnx.AttributeProto):
            refers = refers or bool(current.ref_attr_name)
        elif isinstance(current, onnx.TensorShapeProto.Dimension):
            if current.dim_value < 0:  # "unknown" to old exporters; inference may end the process
                current.ClearField("dim_value")
        elif isinstance(current, onnx.TypeProto.Tensor):
            _require_type(current.elem_type, "a value", name)
        _require_few(nodes, parts, name)
        for field, value in current.ListFields():
            values = value if field.is_repeated else [value]
            if field.message_type is not None:
                parts += len(values)
                if parts <= MAX_PARTS:
                    stack.extend(values)
            elif field.type == field.TYPE_STRING:
                _require_text(values, field.name, current, name)
    if model.functions:
        calls = _Calls(model, name)
        _require_few(sum(1 + calls.nodes_of(n) for n in _nodes(model.graph.node)), parts, name)
    if refers and any(a.ref_attr_name for n in _nodes(model.graph.node) for a in n.attribute):
        raise CorruptModel(
            f"{name} is damaged: an attribute outside its functions refers to one of a function"
        )
    return tensors


def require_values(tensors: Iterable[onnx.TensorProto], available: int, name: str) -> None:
    """Raise CorruptModel unless the tensors' values are as many as their shapes say.

    available: the bytes of the model's files. ONNX's checker counts those of large tensors.
    """
    for tensor in tensors:
        what = f"the tensor '{tensor.name}'"
        _require_type(tensor.data_type, what, name)
        if any(size < 0 for size in tensor.dims):
            raise CorruptModel(f"{name} is damaged: {what} has a negative size")
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type or onnx.TensorProto.FLOAT)
        count = math.prod(tensor.dims)
        if count // 4 > available:  # the smallest types have 4 values in a byte
            raise CorruptModel(
                f"{name} is damaged: {what} of {count} values is larger than the file"
            )
        if count * kind.itemsize > COUNTED and tensor.HasField("raw_data"):
            continue
        try:
            numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, OverflowError) as e:
            raise CorruptModel(
                f"{name} is damaged: {what} has not the {count} values that its shape says"
            ) from e


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a model's graph and functions, and those of their bodies."""
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        yield from _nodes(nodes)


class _Calls:
    """The nodes that calls of a model's functions stand for."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        self._functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self._name = name
        self._known: dict[Key, int] = {}
        self._open: list[Key] = []

    def nodes_of(self, node: onnx.NodeProto) -> int:
        """Return the number of nodes that a call adds in place of itself, 0 for no call."""
        key = (node.domain, node.op_type, node.overload)
        if key not in self._functions:
            return 0
        if key not in self._known:
            if key in self._open or len(self._open) == MAX_CALLS:
                raise CorruptModel(
                    f"{self._name} is damaged: its function '{node.op_type}' calls itself, or lies "
                    f"inside over {MAX_CALLS} others"
                )
            self._open.append(key)
            self._known[key] = sum(1 + self.nodes_of(n) for n in _nodes(self._functions[key].node))
            self._open.pop()
        return self._known[key]


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes, and those of their bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                yield from _nodes(body.node)


def _require_few(nodes: int, parts: int, name: str) -> None:
    if nodes > MAX_NODES or parts > MAX_PARTS:
        raise UnsupportedModel(
            f"{name} is too large: it has over {MAX_NODES} nodes, or over {MAX_PARTS} nodes, "
            "attributes and names; a network of that size cannot be explained"
        )


def _require_plain(node: onnx.NodeProto, name: str) -> None:
    if max(len(node.input), len(node.output)) > MAX_VALUES:
        raise UnsupportedModel(
            f"{name} has a node {node.op_type} with over {MAX_VALUES} inputs or outputs"
        )
    attributes = {attribute.name: attribute for attribute in node.attribute}
    for attribute in node.attribute:
        for text in (attribute.s, *attribute.strings):
            _require_utf_8(text, attribute.name, node, name)
    # On these, ONNX's shape inference ends the process or goes on for ever.
    outputs, equation = attributes.get("num_outputs"), attributes.get("equation")
    if node.op_type == "Split" and outputs and outputs.i and outputs.i != len(node.output):
        raise CorruptModel(
            f"{name} is damaged: its Split of {len(node.output)} outputs declares {outputs.i}"
        )
    if node.op_type == "Einsum" and equation and not EQUATION.fullmatch(equation.s):
        raise CorruptModel(f"{name} is damaged: the equation of its Einsum is none")
    if node.op_type == "EPContext":
        raise UnsafeModel(
            f"{name} has a node EPContext, which holds or names a model compiled for one device: "
            "give the model that it was compiled from"
        )


def _require_utf_8(text: bytes, field: str, node: onnx.NodeProto, name: str) -> None:
    try:
        text.decode()
    except UnicodeDecodeError as e:
        raise CorruptModel(
            f"{name} is damaged: the text of '{field}' of a node {node.op_type} is not UTF-8"
        ) from e


def _require_type(number: int, what: str, name: str) -> None:
    if number not in TYPES:
        raise CorruptModel(
            f"{name} is damaged: {what} has the element type {number}, which does not exist"
        )


def _require_text(values: Iterable[object], field: str, message: Message, name: str) -> None:
    kind = message.DESCRIPTOR.name
    for value in values:
        if isinstance(value, bytes):
            raise CorruptModel(
                f"the text in '{field}' of a {kind} is not UTF-8: the file is damaged, or "
                "its exporter is faulty; export the model again"
            )
        if field not in LONG and len(str(value)) > MAX_NAME:
            raise UnsupportedModel(
                f"{name} has a '{field}' of a {kind} with over {MAX_NAME} characters"
            )
