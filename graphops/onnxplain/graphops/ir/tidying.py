"""What ONNX's checker refuses and no runtime minds: graphs without a name, nodes in any order,
inputs and outputs without a declared type or shape.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

__all__ = ["declared", "tidy"]


def tidy(model: onnx.ModelProto) -> None:
    """Name the graphs and sort their nodes, in place, where they are not.

    An input without a declared shape gets its rank from the convolution that reads it.
    """
    for graph in _graphs(model.graph):
        graph.name = graph.name or "graph"
        order = _sorted(list(graph.node))
        if order is not None:
            nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in order]
            del graph.node[:]
            graph.node.extend(nodes)
    _declare_ranks(model.graph)


def declared(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose inputs and outputs all have a type and a shape, for the checker.

    One that the model leaves out is made up, since the checker asks only that it is there.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in [*copy.graph.input, *copy.graph.output]:
        kind = value.type.WhichOneof("value")
        if kind in (None, "tensor_type"):
            tensor = value.type.tensor_type
            tensor.elem_type = tensor.elem_type or onnx.TensorProto.FLOAT
            tensor.shape.SetInParent()
    return copy


def _declare_ranks(graph: onnx.GraphProto) -> None:
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    read = {
        node.input[0]: ranks[node.input[1]]
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in ranks
    }
    for value in graph.input:
        tensor = value.type.tensor_type
        if value.name in read and not tensor.HasField("shape"):
            tensor.shape.dim.extend(
                onnx.TensorShapeProto.Dimension() for _ in range(read[value.name])
            )


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graph, and the bodies of its nodes at any depth."""
    yield graph
    for body in (b for node in graph.node for b in _bodies(node)):
        yield from _graphs(body)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _reads(node: onnx.NodeProto) -> set[str]:
    """Return the names that the node and its bodies read; names of the bodies' own are harmless."""
    inner = (n for body in _bodies(node) for n in body.node)
    outer = {output.name for body in _bodies(node) for output in body.output}
    return {*node.input, *outer}.union(*map(_reads, inner))


def _sorted(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto] | None:
    """Return the nodes in an order that computes each tensor before it is read.

    None where they are in such an order already, or where there is none.
    """
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    needs = [
        {makers[name] for name in _reads(n) if name in makers} - {i} for i, n in enumerate(nodes)
    ]
    if all(max(need, default=-1) < i for i, need in enumerate(needs)):
        return None
    order: list[int] = []
    done: set[int] = set()
    for first in range(len(nodes)):
        stack = [(first, iter(sorted(needs[first])))] if first not in done else []
        open_nodes = {first}
        while stack:
            i, rest = stack[-1]
            need = next((j for j in rest if j not in done), None)
            if need is None:
                stack.pop()
                done.add(i)
                order.append(i)
            elif need in open_nodes:
                return None  # a cycle
            else:
                open_nodes.add(need)
                stack.append((need, iter(sorted(needs[need]))))
    return [nodes[i] for i in order]
