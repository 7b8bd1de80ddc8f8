"""The inputs of a network that a layer depends on, and those that have no batch axis."""

from __future__ import annotations

from collections.abc import Iterator

from onnxplain.graphops.ir import Graph, Node, Tensor, attribute, is_constant, is_known_size, reads

__all__ = ["needed_inputs", "single_image_inputs", "unbatched_tensors"]

# The operators of a preprocessing inside the network: arithmetic on pixels, and moving their axes.
PIXELWISE = {
    "Add", "Cast", "CastLike", "Clip", "DequantizeLinear", "Div", "Identity", "Mul",
    "QuantizeLinear", "Sub", "Transpose",
}  # fmt: skip


def needed_inputs(graph: Graph, layer: Tensor) -> list[Tensor]:
    """Return the network's inputs that a layer depends on, in their order."""
    needed = {layer.name}
    for node in reversed(graph.nodes):
        if any(t.name in needed for t in node.outputs):
            needed.update(t.name for t in reads(node))
    return [t for t in graph.inputs if t.name in needed]


def single_image_inputs(graph: Graph) -> set[str]:
    """Return the names of the inputs that take one image without a batch axis.

    It is the network that adds the axis: after its preprocessing of pixels, if any, it has an
    Unsqueeze at axis 0, or a Reshape that prepends a size of 1.
    """
    return {t.name for t in graph.inputs if any(map(_adds_batch_axis, _first_readers(t)))}


def unbatched_tensors(graph: Graph) -> frozenset[str]:
    """Return the names of the tensors without a batch axis, where the network takes one image.

    A tensor of such a network has a batch axis if its first size is 1.
    """
    single = single_image_inputs(graph)
    if not single:
        return frozenset()
    shapes = {name: tensor.shape for name, tensor in graph.tensors().items()}
    without = {name for name, shape in shapes.items() if shape is not None and shape[:1] != [1]}
    return frozenset(single | without)


def _first_readers(tensor: Tensor) -> Iterator[Node]:
    """Yield the nodes that read a tensor of the same rank, behind operators on pixels."""
    waiting, seen = [tensor], {tensor.name}
    while waiting:
        for node in waiting.pop().outputs:
            yield node
            for output in node.outputs if node.op in PIXELWISE else ():
                if _rank(output) == _rank(tensor) and output.name not in seen:
                    seen.add(output.name)
                    waiting.append(output)


def _adds_batch_axis(node: Node) -> bool:
    shape = node.inputs[0].shape
    if node.op == "Unsqueeze" and is_constant(node.inputs[1]):
        rank = (_rank(node.inputs[0]) or 0) + node.inputs[1].values.size
        return 0 in node.inputs[1].values.ravel() % max(rank, 1)
    if node.op != "Reshape" or not shape or not is_constant(node.inputs[1]):
        return False
    sizes = list(node.inputs[1].values)
    zeros = attribute(node, "allowzero", 0) == 0 and 0 in sizes
    return not zeros and all(map(is_known_size, shape)) and sizes == [1, *shape]


def _rank(tensor: Tensor) -> int | None:
    return None if tensor.shape is None else len(tensor.shape)
