"""Taking the branch of each If whose condition does not depend on the network's inputs."""

from __future__ import annotations

import onnx_graphsurgeon as gs

from onnxplain.graphops.ir import Graph, Node, known_value, rename

__all__ = ["take_branches"]


def take_branches(graph: Graph) -> bool:
    """Put the nodes of the branch in the place of each If that is decided; tell whether one was.

    Exporters write an If where they could not know a size, as for a Squeeze of one axis. Branches
    may hold further Ifs, and what is known of shapes grows: ask again until none is left.
    """
    nodes: list[Node] = []
    taken = False
    for node in graph.nodes:
        decided = _condition(node)
        if decided is None:
            nodes.append(node)
        else:
            nodes.extend(_inlined(graph, node, "then_branch" if decided else "else_branch"))
            taken = True
    graph.nodes = nodes
    return taken


def _condition(node: Node) -> bool | None:
    if node.op != "If" or node.domain not in (None, "", "ai.onnx"):
        return None
    value = known_value(node.inputs[0])
    return bool(value.all()) if value is not None and value.size == 1 else None


def _inlined(graph: Graph, node: Node, branch: str) -> list[Node]:
    """Return the branch's nodes, and the Identities that hand its outputs to those of the If."""
    body = node.attrs[branch]
    outside = {id(t) for t in graph.tensors().values()}
    for inner in body.nodes:
        inner.name = f"{node.name}/{inner.name}" if inner.name else ""
    for tensor in body.tensors().values():
        if id(tensor) not in outside:  # two branches may use one name for two tensors
            rename(tensor, f"{node.name}/{tensor.name}")
    outputs = list(node.outputs)
    node.inputs.clear()
    node.outputs.clear()
    handed = [
        gs.Node("Identity", f"{node.name}/{out.name}", inputs=[inner], outputs=[out])
        for out, inner in zip(outputs, body.outputs, strict=True)
        if not out.is_empty()
    ]
    return [*body.nodes, *handed]
