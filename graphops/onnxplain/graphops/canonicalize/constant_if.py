"""Inlining the branch of each If whose condition does not depend on the network's inputs."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxplain.graphops.ir import Graph, Node, is_standard, known_value, rename

__all__ = ["inline_constant_ifs"]


def inline_constant_ifs(graph: Graph) -> bool:
    """Replace each If of constant condition by the nodes of its branch; tell whether there was one.

    Exporters write an If where a size is unknown, as for a Squeeze of one axis. A branch may hold
    another If, and inlining makes more shapes known: call again until it returns False.
    """
    nodes: list[Node] = []
    changed = False
    for node in graph.nodes:
        condition = _condition(node)
        if condition is None:
            nodes.append(node)
        else:
            nodes.extend(_inlined(graph, node, "then_branch" if condition else "else_branch"))
            changed = True
    graph.nodes = nodes
    return changed


def _condition(node: Node) -> bool | None:
    if node.op != "If" or not is_standard(node):
        return None
    value = known_value(node.inputs[0])
    return bool(value.all()) if value is not None and value.size == 1 else None


def _inlined(graph: Graph, node: Node, branch: str) -> list[Node]:
    """Return the branch's nodes, and Identities from its outputs to those of the If."""
    body = node.attrs[branch]
    outside = {id(t) for t in graph.tensors().values()}
    for inner in body.nodes:
        inner.name = f"{node.name}/{inner.name}" if inner.name else ""
    for tensor in body.tensors().values():
        if id(tensor) not in outside:  # two branches may use the same name
            rename(tensor, f"{node.name}/{tensor.name}")
    outputs = list(node.outputs)
    node.inputs.clear()
    node.outputs.clear()
    identities = [
        gs.Node("Identity", f"{node.name}/{out.name}", inputs=[inner], outputs=[out])
        for out, inner in zip(outputs, body.outputs, strict=True)
        if not out.is_empty()
    ]
    return [*body.nodes, *identities]
