"""Writing down the sizes that exporters compute of constants, where shape inference is lost."""

from __future__ import annotations

from onnxplain.graphops.ir import Graph, Tensor, constant, infer_shapes, is_constant, known_value

__all__ = ["settle_sizes"]

SIZED = {"Expand", "Pad", "Reshape", "Slice", "Tile"}


def settle_sizes(graph: Graph) -> None:
    """Make constants of known integers that are computed, behind tensors of unclear shape.

    PyTorch's attention splits its heads with a Reshape to a Concat of Slices of a Shape: inference
    does not even know the rank.
    """
    settled = False
    for node in graph.nodes:
        if node.op not in SIZED or not _is_unclear(node.outputs[0]):
            continue
        for i, tensor in enumerate(node.inputs):
            if i == 0 or tensor.is_empty() or is_constant(tensor):
                continue
            value = known_value(tensor)
            if value is not None:
                node.inputs[i] = constant(f"{node.name}/{tensor.name}", value)
                settled = True
    if settled:
        infer_shapes(graph)


def _is_unclear(tensor: Tensor) -> bool:
    """Tell whether the rank or a size is not known; `unk__0` is inference's name for such a one."""
    return tensor.shape is None or any(
        size is None or str(size).startswith("unk__") for size in tensor.shape
    )
