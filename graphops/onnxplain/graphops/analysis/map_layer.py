"""The default layer of class activation maps: the last one where the picture still has places.

Every path from the picture to the class score goes through it. What only turns its values into the
class score belongs to the head: pooling, flattening, the class convolution of a SqueezeNet and a
LayerNormalization before pooling. Where a class token gathers the evidence, the tokens of the
patches reach the score for the last time in the last attention; the layer is what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from onnxplain.graphops.analysis.axis_roles import UNTRACED, Axes, trace_axes
from onnxplain.graphops.analysis.kept_axes import places_of, with_images_first
from onnxplain.graphops.analysis.landmarks import default_target
from onnxplain.graphops.analysis.path import Path, find_path
from onnxplain.graphops.analysis.places_needed import Step, passed_by_all, steps_with_places
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Graph, Node, Tensor, attribute, is_float, rank_of

__all__ = ["map_layer"]

PRODUCTS = {"Attention", "Conv", "ConvTranspose", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "RNN"}
COPIES = {
    "Cast", "CastLike", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
NORMALIZATIONS = {"LayerNormalization", "RMSNormalization"}
NORMALIZATION_PARTS = {  # of a LayerNormalization that the exporter spells out
    "Add", "Cast", "Div", "Mul", "Pow", "Reciprocal", "ReduceMean", "Sqrt", "Sub",
}  # fmt: skip
Size: TypeAlias = "int | str | None"
NAMED = 5  # how many layers an error names


def map_layer(graph: Graph, score: Tensor | None, axes: Mapping[str, Axes] | None = None) -> Tensor:
    """Return the layer over which class activation maps of the class score lie by default.

    axes: those of the graph's tensors, where they are known already.
    Raises UnsupportedModel where there is none; the error names layers that can be named.
    """
    if score is None:
        raise UnsupportedModel(
            "the network has no class score, so there is no default layer to map: name one by "
            "`layer`"
        )
    axes = trace_axes(graph) if axes is None else axes
    try:
        path = find_path(graph, default_target(graph, score), score).expanded(())
    except UnsupportedModel as e:
        raise UnsupportedModel(f"there is no default layer to map: {e}") from e
    steps, reaching = steps_with_places(path, axes)
    images_first = with_images_first(path, axes)
    network = _Network(path, steps, axes, reaching & images_first)
    if _has_positions(score, axes, images_first):
        raise UnsupportedModel(
            f"the class score '{score.name}' has positions of its own, as that of a detector or a "
            "segmentation, so there is no default layer to map: name one by `layer`"
            f"{_such_as(network)}"
        )
    found = _last_with_places(network)
    if found is None:
        raise UnsupportedModel(
            "no layer that every path to the class score goes through is known to have places of "
            "the picture, so there is no default layer to map: name one by `layer`"
            f"{_such_as(network)}"
        )
    return found


@dataclass(frozen=True)
class _Network:
    """The path from the picture to the class score, and what is known of its tensors.

    reaching: the names of those whose places reach the class score, and whose axis 0 runs over the
        images.
    """

    path: Path
    steps: Sequence[Step]
    axes: Mapping[str, Axes]
    reaching: Set[str]

    def signals(self, node: Node) -> list[Tensor]:
        """Return the node's inputs that depend on the picture."""
        return [t for t in node.inputs if t.name in self.path.tensors]

    def attends(self, step: Step) -> bool:
        """Tell whether the node multiplies matrices that both depend on the picture."""
        node = step.node
        return node.op in ("Attention", "Einsum", "MatMul") and len(self.signals(node)) > 1

    def projects(self, node: Node) -> bool:
        """Tell whether the node makes queries, keys and values of tokens, or adds their bias."""
        if node.op == "Add":
            (data,) = self.signals(node)
            return bool(data.inputs) and data.inputs[0].op in ("MatMul", "Gemm")
        if node.op == "Conv":
            return bool(max(attribute(node, "kernel_shape", [2])) == 1)
        return node.op in ("MatMul", "Gemm")

    def drops_tokens(self, node: Node) -> bool:
        """Tell whether the node drops nothing but class tokens."""
        before, after = (places_of(t, self.axes) for t in (node.inputs[0], node.outputs[0]))
        kept = [{a: (p.axes, p.sizes) for a, p in places.items()} for places in (before, after)]
        return node.op == "Slice" and before != after and kept[0] == kept[1]

    def has_map(self, tensor: Tensor) -> bool:
        """Tell whether the tensor's axes can be laid out as a map with more than one place."""
        axes, picture = self.axes.get(tensor.name), self.path.target
        if axes is None or not is_float(tensor) or tensor.shape is None:
            return False
        if len(axes.positions(len(tensor.shape))) < 1:
            return False
        if axes.channel is None or tensor.name not in self.reaching:
            return False
        if (axes.batched and 0 in axes.places) or tensor is picture:
            return False
        located = [source for places in axes.places.values() for source in places.axes]
        sizes = [size for places in axes.places.values() for size in places.sizes]
        positions = axes.positions(len(tensor.shape))
        others = [tensor.shape[i] for i in positions if i not in axes.places]
        of_picture = self.axes.get(picture.name, UNTRACED).positions(rank_of(picture))
        whole = len(located) + len(others) >= len(of_picture)
        whole &= len(located) == len(set(located))  # else it relates places to places
        return whole and set(others) <= {1} and any(size != 1 for size in sizes)


def _has_positions(score: Tensor, axes: Mapping[str, Axes], images_first: Set[str]) -> bool:
    """Tell whether the score has more axes than those of images and classes."""
    positions = axes[score.name].positions(len(score.shape or ())) if score.name in axes else []
    if score.shape is None or not positions:
        return False
    first, *_ = score.shape
    if score.name not in images_first and isinstance(first, int) and first != 1:
        return True  # a sequence whose steps come before the images
    return any(score.shape[i] != 1 for i in positions)


def _last_with_places(network: _Network) -> Tensor | None:
    steps = network.steps
    products = [i for i, step in enumerate(steps) if step.node.op in PRODUCTS]
    passed = passed_by_all(steps, network.path)
    mapped = [(i, t) for i, t in passed if network.has_map(t)]
    before = [(i, t) for i, t in mapped if products and i < products[-1]] or mapped
    if not before:
        return None
    index, tensor = before[-1]
    if any(network.attends(step) for step in steps[index + 1 :]):
        return _before_head(network, tensor, network.projects)
    tensor = _before_normalization(network, index, tensor)
    return _before_head(network, tensor, lambda node: node.op in NORMALIZATIONS)


def _before_head(network: _Network, tensor: Tensor, is_head: Callable[[Node], bool]) -> Tensor:
    """Step back over nodes of the head, and over those that only copy values."""
    found = tensor
    while tensor.inputs:
        node = tensor.inputs[0]
        signals = network.signals(node)
        if len(signals) != 1:
            break
        if not (_copies(node) or is_head(node) or network.drops_tokens(node)):
            break
        (tensor,) = signals
        found = tensor if network.has_map(tensor) else found
    return found


def _before_normalization(network: _Network, index: int, tensor: Tensor) -> Tensor:
    """Step back over a LayerNormalization that the exporter spells out, with two means."""
    means = 0
    for step in reversed(network.steps[: index + 1]):
        if step.node.op not in NORMALIZATION_PARTS and not _copies(step.node):
            break
        if step.node.op == "ReduceMean":
            means += 1
            (read,) = step.inputs
            if means == 2:
                return read if network.has_map(read) else tensor
    return tensor


def _copies(node: Node) -> bool:
    """Tell whether the node's output has the values of its input, perhaps in another layout."""
    if node.op == "AveragePool":  # an adaptive pool that changes no size
        return bool(max(attribute(node, "kernel_shape")) == 1)
    return node.op in COPIES


def _such_as(network: _Network) -> str:
    """Return the last layers before a convolution or dense layer, one of each size of the map."""
    last: dict[tuple[Size, ...], str] = {}
    for step in network.steps:
        if step.node.op not in PRODUCTS or network.attends(step):
            continue
        for tensor in step.inputs:
            if network.has_map(tensor):
                places = network.axes[tensor.name].places
                last[tuple(size for axis in places.values() for size in axis.sizes)] = tensor.name
    names = [f"'{name}'" for name in last.values()][-NAMED:]
    return f", such as {', '.join(names)}" if names else ""
