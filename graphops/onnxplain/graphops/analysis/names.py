"""Resolving the name of a layer: a tensor, a node, or an exporter's module."""

from __future__ import annotations

import re
from collections.abc import Iterable

from onnxplain.graphops.errors import UnknownLayer, UnsupportedModel, nearest
from onnxplain.graphops.ir import Graph, Node, Tensor, dtype_name, is_constant, is_float

__all__ = ["module_path", "resolve"]


def resolve(graph: Graph, name: str) -> Tensor:
    """Return the tensor that `name` refers to, searched among tensors, nodes and modules, in order.

    A node or a module stands for its last float output. Raises UnknownLayer with the nearest names.
    """
    tensors = {t.name: t for t in _float_tensors(graph)}
    if name in tensors:
        return tensors[name]
    by_node = {n.name: t for n in graph.nodes if n.name and (t := _last_float(n)) is not None}
    if name in by_node:
        return by_node[name]
    modules = [(module_path(graph, n), n) for n in graph.nodes]
    nodes = [n for path, n in modules if path and f"{path}.".startswith(f"{name}.")]
    inside = [
        t for n in nodes or _parameter_readers(graph, name) if (t := _last_float(n)) is not None
    ]
    if inside:
        return inside[-1]
    _require_known_types(graph, name)
    other = graph.tensors().get(name)
    if other is not None:
        raise UnknownLayer(
            f"'{name}' is of {dtype_name(other)}, and only floats can be explained or projected "
            "back to; list them with `layers`"
        )
    known = [*tensors, *by_node, *(path for path, _ in modules if path)]
    raise UnknownLayer(f"no layer '{name}' ({nearest(name, known)}); list them with `layers`")


def _require_known_types(graph: Graph, name: str) -> None:
    """Raise UnsupportedModel if `name` exists, but after a node whose types are unknown."""
    if not any(name == t.name or name == n.name for n in graph.nodes for t in n.outputs):
        return
    for node in graph.nodes:
        if any(t.dtype is None for t in node.outputs if not t.is_empty()):
            domain = f" of domain '{node.domain}'" if node.domain else ""
            raise UnsupportedModel(
                f"the type of '{name}' is not known: ONNX's shape inference does not know the "
                f"output of {node.op}{domain} (node '{node.name}'); choose a layer before it, or "
                "export the model with the shapes of its tensors"
            )


def module_path(graph: Graph, node: Node) -> str:
    """Return the path of the module that the node was exported from, such as `layer4.2.conv3`.

    PyTorch's dynamo exporter writes all scopes into the node's metadata, the TorchScript exporter
    into its name, `/layer4/layer4.2/conv3/Conv`, where a scope repeats its parent if that is a
    container.
    """
    written = next((s for t in node.outputs if (s := graph.name_scopes.get(t.name))), "")
    scopes: list[str] = re.findall(r"'([^']*)'", written)
    if len(scopes) > 1:
        return scopes[-2]  # the last is the operator's
    if not node.name.startswith("/"):
        return ""
    path = parent = before = ""
    for scope in node.name.split("/")[1:-1]:
        if path and not scope.startswith(f"{before}."):
            parent = f"{path}."
        path, before = parent + scope, scope
    return path


def _float_tensors(graph: Graph) -> Iterable[Tensor]:
    yield from (t for t in graph.inputs if is_float(t))
    for node in graph.nodes:
        yield from (t for t in node.outputs if is_float(t) and not is_constant(t))


def _last_float(node: Node) -> Tensor | None:
    return next((t for t in reversed(node.outputs) if is_float(t)), None)


def _parameter_readers(graph: Graph, module: str) -> list[Node]:
    """Return the nodes that read the module's parameters, such as `layer4.2.conv3.weight`.

    A convolution into which dynamo fused a BatchNorm carries the module path of the BatchNorm.
    """
    parameters = {f"{module}.weight", f"{module}.bias"}
    return [n for n in graph.nodes if any(t.name in parameters for t in n.inputs)]
