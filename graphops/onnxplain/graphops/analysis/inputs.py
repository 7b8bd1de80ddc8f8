"""The inputs of a network that a layer depends on, and those that have no batch axis."""

from __future__ import annotations

from onnxplain.graphops.ir import Graph, Node, Tensor, attribute, is_constant, is_known_size, reads

__all__ = ["needed_inputs", "single_image_inputs", "unbatched_tensors"]

# The operators of a preprocessing inside the network: arithmetic on pixels, and moving their axes.
PIXELWISE = {
    "Add", "Cast", "CastLike", "Clip", "DequantizeLinear", "Div", "Gather", "Identity", "Mod",
    "Mul", "QuantizeLinear", "ReduceSum", "Sub", "Transpose",
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
    return {tensor.name for tensor, _ in _single_images(graph)}


def unbatched_tensors(graph: Graph) -> frozenset[str]:
    """Return the names of the tensors without a batch axis, where the network takes one image.

    Behind its preprocessing, a tensor of such a network has a batch axis if its first size is 1.
    """
    single = _single_images(graph)
    if not single:
        return frozenset()
    shapes = {name: tensor.shape for name, tensor in graph.tensors().items()}
    without = {name for name, shape in shapes.items() if shape is not None and shape[:1] != [1]}
    return frozenset(without.union(*(preprocessed for _, preprocessed in single)))


def _single_images(graph: Graph) -> list[tuple[Tensor, set[str]]]:
    """Return the inputs of one image, each with the names of the tensors that are still pixels."""
    found = []
    for tensor in graph.inputs:
        pixels = _preprocessed(tensor)
        if any(_adds_batch_axis(node) for t in pixels for node in t.outputs):
            found.append((tensor, {t.name for t in pixels}))
    return found


def _preprocessed(tensor: Tensor) -> list[Tensor]:
    """Return a tensor, and those of the same rank behind operators on pixels."""
    found, seen = [tensor], {tensor.name}
    for current in found:  # which grows
        for node in current.outputs:
            for output in node.outputs if node.op in PIXELWISE else ():
                if _rank(output) == _rank(tensor) and output.name not in seen:
                    seen.add(output.name)
                    found.append(output)
    return found


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
