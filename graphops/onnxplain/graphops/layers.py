"""The layers of a network, by every name that people know them by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx

from onnxplain.graphops.arithmetic import Arithmetic, arithmetic
from onnxplain.graphops.errors import UnknownLayer, UnsupportedModel, nearest
from onnxplain.graphops.graph import Graph, Node, Tensor, attribute, is_constant, is_float
from onnxplain.graphops.landmarks import last_convolutional_block
from onnxplain.graphops.path import default_target
from onnxplain.graphops.receptive_field import ReceptiveField, receptive_fields
from onnxplain.graphops.row_wise import ELEMENTWISE, ROW_WISE

__all__ = ["Layer", "channel_axis", "class_score", "list_layers", "resolve"]

NORMALIZERS = {"Softmax", "LogSoftmax", "Sigmoid"}
SAME_VALUES = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout"}


@dataclass(frozen=True)
class Layer:
    """One tensor of a network, as a layer to explain.

    `module` is the exporter's module path, empty where there is none. `shape` has numbers, names
    of dynamic dimensions, and None for what is not known. `receptive_field`, `stride` and `offset`
    have one number for each spatial axis of the input: the unit at position p sees so many pixels,
    from offset + p·stride on, where offsets below zero lie in the padding; None where it sees all,
    or where that is not known. `arithmetic` is what the node does. `marks` are of `input`, `last
    convolutional block`, `class score` and `output`.
    """

    tensor: str
    node: str
    operator: str
    module: str
    shape: tuple[int | str | None, ...] | None
    dtype: str
    channel_axis: int | None
    channels: int | None
    receptive_field: tuple[int | None, ...] | None
    stride: tuple[int | None, ...] | None
    offset: tuple[int | None, ...] | None
    arithmetic: Arithmetic
    marks: tuple[str, ...]


def list_layers(graph: Graph) -> list[Layer]:
    """Return every float tensor between the network's inputs and outputs, in order."""
    marks, fields = _marks(graph), _fields(graph)
    found = [t for t in graph.inputs if is_float(t)]
    seen = {t.name for t in graph.inputs}
    for node in graph.nodes:
        if not any(t.name in seen for t in node.inputs):
            continue  # made of weights alone
        seen.update(t.name for t in node.outputs)
        found += [t for t in node.outputs if is_float(t) and t.shape != []]
    counted: set[str] = set()
    return [_layer(graph, t, marks.get(t.name, ()), fields.get(t.name), counted) for t in found]


def _layer(
    graph: Graph,
    tensor: Tensor,
    marks: tuple[str, ...],
    field: ReceptiveField | None,
    counted: set[str],
) -> Layer:
    node = tensor.inputs[0] if tensor.inputs else None
    axis = channel_axis(tensor)
    size = tensor.shape[axis] if axis is not None else None
    return Layer(
        tensor=tensor.name,
        node=node.name if node else "",
        operator=node.op if node else "Input",
        module=module_path(graph, node) if node else "",
        shape=None if tensor.shape is None else tuple(tensor.shape),
        dtype=_dtype_name(tensor),
        channel_axis=axis,
        channels=size if isinstance(size, int) else None,
        receptive_field=field.size if field else None,
        stride=field.stride if field else None,
        offset=field.offset if field else None,
        arithmetic=arithmetic(node, counted),
        marks=marks,
    )


def _marks(graph: Graph) -> dict[str, tuple[str, ...]]:
    score = class_score(graph)
    block = last_convolutional_block(graph, score)
    marked = [(t, "input") for t in graph.inputs]
    marked += [(block, "last convolutional block")] if block is not None else []
    marked += [(score, "class score")] if score is not None else []
    marked += [(t, "output") for t in graph.outputs]
    marks: dict[str, tuple[str, ...]] = {}
    for tensor, mark in marked:
        marks[tensor.name] = (*marks.get(tensor.name, ()), mark)
    return marks


def _fields(graph: Graph) -> dict[str, ReceptiveField]:
    try:
        return receptive_fields(graph, default_target(graph))
    except UnsupportedModel:  # there is no image
        return {}


def resolve(graph: Graph, name: str | None) -> Tensor:
    """Return the tensor that `name` means: a tensor's, a node's or a module's name, in that order.

    A node or a module means its last float output, None the class score. Raises UnknownLayer with
    the nearest names.
    """
    if name is None:
        score = class_score(graph)
        if score is None:
            raise UnsupportedModel("the network has no float output to explain: name a layer")
        return score
    tensors = {t.name: t for t in _flowing(graph)}
    if name in tensors:
        return tensors[name]
    by_node = {n.name: n for n in graph.nodes if n.name and _last_float(n)}
    if name in by_node:
        return _last_float(by_node[name])
    modules = [(module_path(graph, n), n) for n in graph.nodes]
    inside = [n for path, n in modules if path and f"{path}.".startswith(f"{name}.")]
    inside = [t for n in inside or _reading(graph, name) if (t := _last_float(n)) is not None]
    if inside:
        return inside[-1]
    _require_known_types(graph, name)
    known = [*tensors, *by_node, *(path for path, _ in modules if path)]
    raise UnknownLayer(f"no layer '{name}' ({nearest(name, known)}); list them with `layers`")


def _require_known_types(graph: Graph, name: str) -> None:
    """Raise UnsupportedModel where `name` is there, but behind what inference cannot read."""
    if not any(name == t.name or name == n.name for n in graph.nodes for t in n.outputs):
        return
    for node in graph.nodes:
        if any(t.dtype is None for t in node.outputs if not t.is_empty()):
            domain = f" of domain '{node.domain}'" if node.domain else ""
            raise UnsupportedModel(
                f"nothing is known of '{name}': ONNX's inference cannot tell what {node.op}{domain}"
                f" (node '{node.name}') gives; choose a layer before it, or export the model with "
                "the shapes of its tensors"
            )


def class_score(graph: Graph) -> Tensor | None:
    """Return the network's first float output, before a final Softmax, LogSoftmax or Sigmoid."""
    output = next((t for t in graph.outputs if is_float(t)), None)
    tensor = output
    while tensor is not None and tensor.inputs:
        node = tensor.inputs[0]
        if node.op in NORMALIZERS:
            return _unflattened(node.inputs[0])
        if node.op not in SAME_VALUES:
            break
        tensor = node.inputs[0]
    return output


def channel_axis(tensor: Tensor) -> int | None:
    """Return the axis that counts the units, None below rank 2: 1, or for some the last.

    A tensor of rank 3 is a sequence of vectors [N, L, C], unless a convolution or a pooling made
    it, which give [N, C, L]. One of a higher rank holds its channels last where a Transpose put
    them there, or takes them from there.
    """
    if tensor.shape is None or len(tensor.shape) < 2:
        return None
    rank = len(tensor.shape)
    if rank == 3:
        return 1 if _is_channels_first(tensor) else 2
    return rank - 1 if rank > 3 and _is_channels_last(tensor) else 1


def _is_channels_first(tensor: Tensor) -> bool:
    """Tell whether an operator that counts channels on axis 1 made the tensor, or reads it."""
    origin = _origin(tensor)
    if not origin.inputs:
        return origin is tensor and any(
            n.op in ROW_WISE and n.inputs[0] is tensor for n in tensor.outputs
        )
    return bool(origin.inputs[0].op in ROW_WISE)


def _is_channels_last(tensor: Tensor) -> bool:
    """Tell whether a Transpose moved axis 1 to the end, or moves the input's last axis there."""
    origin, rank = _origin(tensor), len(tensor.shape)
    if origin.inputs:
        made, last = origin.inputs[0], [0, *range(2, rank), 1]
        return bool(made.op == "Transpose" and attribute(made, "perm") == last)
    first = [0, rank - 1, *range(1, rank - 1)]
    readers = [n for t in (origin, tensor) for n in t.outputs]
    return any(n.op == "Transpose" and attribute(n, "perm") == first for n in readers)


def _origin(tensor: Tensor) -> Tensor:
    """Step back over what leaves each axis in its place."""
    rank = len(tensor.shape)
    while tensor.inputs and tensor.inputs[0].op in ELEMENTWISE | {"Concat", "Pad"}:
        data = [t for t in tensor.inputs[0].inputs if not is_constant(t)]
        same = [t for t in data if t.shape is not None and len(t.shape) == rank]
        if not same:
            break
        tensor = next((t for t in same if t.inputs), same[0])
    return tensor


def module_path(graph: Graph, node: Node) -> str:
    """Return the module that the exporter says the node came from, such as `layer4.2.conv3`.

    PyTorch's dynamo exporter writes all scopes into the node's metadata, the TorchScript exporter
    into its name, `/layer4/layer4.2/conv3/Conv`, where a scope repeats the one before it when that
    is a container.
    """
    written = next((s for t in node.outputs if (s := graph.name_scopes.get(t.name))), "")
    scopes: list[str] = re.findall(r"'([^']*)'", written)
    if len(scopes) > 1:
        return scopes[-2]  # the last is the operator's own
    if not node.name.startswith("/"):
        return ""
    path = parent = before = ""
    for scope in node.name.split("/")[1:-1]:
        if path and not scope.startswith(f"{before}."):
            parent = f"{path}."
        path, before = parent + scope, scope
    return path


def _unflattened(tensor: Tensor) -> Tensor:
    """Step back over the flattening that stands between the scores and an old Softmax."""
    node = tensor.inputs[0] if tensor.inputs else None
    if node is not None and node.op == "Flatten" and node.name.startswith("onnxplain/"):
        return node.inputs[0]
    return tensor


def _flowing(graph: Graph) -> Iterable[Tensor]:
    yield from (t for t in graph.inputs if is_float(t))
    for node in graph.nodes:
        yield from (t for t in node.outputs if is_float(t) and not is_constant(t))


def _last_float(node: Node) -> Tensor | None:
    return next((t for t in reversed(node.outputs) if is_float(t)), None)


def _reading(graph: Graph, module: str) -> list[Node]:
    """Return the nodes that read the module's parameters, `layer4.2.conv3.weight`.

    Where dynamo fuses a BatchNorm into a convolution, the node says that it is the BatchNorm.
    """
    parameters = {f"{module}.weight", f"{module}.bias"}
    return [n for n in graph.nodes if any(t.name in parameters for t in n.inputs)]


def _dtype_name(tensor: Tensor) -> str:
    if isinstance(tensor.dtype, int):
        return onnx.TensorProto.DataType.Name(tensor.dtype).lower()
    return str(np.dtype(tensor.dtype))
