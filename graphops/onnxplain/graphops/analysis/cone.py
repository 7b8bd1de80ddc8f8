"""The cone of a unit: what it depends on in the picture and in every tensor up to its layer.

A network for a part of the picture computes the elements of the cone as the whole network does, if
its border lies outside the cone or coincides with the picture's. Other elements may differ, but
they carry no signal from the unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from onnxplain.graphops.analysis.receptive_field import fields_behind
from onnxplain.graphops.ir import Graph, Node, Tensor, attribute, reads, shape_of
from onnxplain.graphops.operators import AxisField, Fields, SizesOnly, Without, operator_of

__all__ = ["Cone", "LocalNetwork"]

Known: TypeAlias = Mapping[str, Fields]  # by the name of each tensor that depends on the picture


@dataclass(frozen=True)
class Cone:
    """The cones of a layer's units along one axis of the picture.

    axis: the picture's. layer_axis, layer_size: the layer's, and its size there. stride: the pixels
    between neighbouring units, a multiple of those between neighbouring elements of any tensor on
    the way. start, stop: the unit at position p needs the pixels from start + p·stride to before
    stop + p·stride. These are counted by the elements of all tensors on the way, so that they reach
    beyond the receptive field.
    """

    axis: int
    layer_axis: int
    layer_size: int
    stride: int
    start: int
    stop: int


@dataclass(frozen=True)
class LocalNetwork:
    """A network up to a layer whose operators all look at the neighbourhood of a position.

    axes: the picture's axes that count. nodes: those between picture and layer, in order.
    """

    picture: Tensor
    layer: Tensor
    axes: tuple[int, ...]
    nodes: tuple[Node, ...]
    known: Known

    @classmethod
    def of(
        cls, graph: Graph, picture: Tensor, layer: Tensor, axes: Sequence[int]
    ) -> LocalNetwork | None:
        """Return the network up to a layer.

        None where an operator on the way would compute something else from a part of the picture,
        as a global pooling does, or where too little is known.
        """
        nodes = _nodes_between(graph, picture, layer)
        if nodes is None or picture.shape is None:
            return None
        known: dict[str, Fields] = {
            picture.name: {i: AxisField(i) for i in range(len(picture.shape))}
        }
        for node in nodes:
            fields = fields_behind(node, [known.get(t.name) for t in node.inputs])
            followed = {f.source for f in fields.values() if f.offset is not None}
            if not followed.issuperset(axes) or not _is_local(node, known, fields, axes):
                return None
            known.update((t.name, fields) for t in node.outputs if not t.is_empty())
        images = known[layer.name].get(0)
        if images is None or images.source != 0:
            return None  # another axis runs over the images
        return cls(picture, layer, tuple(axes), tuple(nodes), known)

    def cones(self) -> tuple[Cone, ...] | None:
        """Return the cones along each axis, None where a size is not known."""
        found = [self._cone(axis) for axis in self.axes]
        cones = tuple(cone for cone in found if cone is not None)
        return cones if len(cones) == len(found) else None

    def shrinks_evenly(self, smaller: Graph) -> bool:
        """Tell whether each tensor of the network for a smaller picture lacks as much as that.

        It does not where the network fixes a size, or pads by an amount that depends on it.
        """
        tensors = smaller.tensors()
        for axis in self.axes:
            whole = [_sizes(self.known, t, axis) for t in self._tensors()]
            parts = [
                _sizes(self.known, tensors[t.name], axis) if t.name in tensors else None
                for t in self._tensors()
            ]
            lacking = set()
            for before, after in zip(whole, parts, strict=True):
                if before is None or after is None:
                    return False
                lacking.add((before[0] - after[0]) * before[1])
            if len(lacking) > 1:
                return False
        return True

    def _tensors(self) -> list[Tensor]:
        every = [self.picture, *(t for node in self.nodes for t in node.outputs)]
        return [t for t in every if t.name in self.known]

    def _cone(self, axis: int) -> Cone | None:
        """Walk from the unit at position 0 of the layer to the picture."""
        spans = {self.layer.name: (0, 0)}
        for node in reversed(self.nodes):
            wanted = [(t, spans[t.name]) for t in node.outputs if t.name in spans]
            for number, tensor in enumerate(node.inputs):
                if tensor.name not in self.known:
                    continue
                for output, (first, last) in wanted:
                    step = self._step(node, number, output, axis)
                    if step is None or step.offset is None:
                        return None
                    start = step.offset + first * step.stride
                    stop = step.offset + last * step.stride + step.size - 1
                    before = spans.get(tensor.name, (start, stop))
                    spans[tensor.name] = (min(start, before[0]), max(stop, before[1]))
        size, of_layer = shape_of(self.picture)[axis], _sizes(self.known, self.layer, axis)
        layer_axis, field = _along(self.known[self.layer.name], axis)
        starts, stops = [], []
        for tensor in self._tensors():
            own = _sizes(self.known, tensor, axis)
            if own is None or not isinstance(size, int) or field.stride % own[1]:
                return None
            if tensor.name in spans:
                first, last = spans[tensor.name]
                starts.append(first * own[1])
                stops.append((last + 1 - own[0]) * own[1] + size)  # counted from the far border
        if of_layer is None:
            return None
        return Cone(axis, layer_axis, of_layer[0], field.stride, min(starts), max(stops))

    def _step(self, node: Node, number: int, output: Tensor, axis: int) -> AxisField | None:
        """Return what an element of a node's output sees of one of its inputs along an axis."""
        own, alone = self.known[node.inputs[number].name], [None] * len(node.inputs)
        seen: list[Fields | None] = [*alone]
        seen[number] = {i: AxisField(i) for i in own}
        place, _ = _along(self.known[output.name], axis)
        step = fields_behind(node, seen).get(place)
        return step if step is not None and step.source == _along(own, axis)[0] else None


def _along(fields: Fields, axis: int) -> tuple[int, AxisField]:
    """Return a tensor's axis that runs along an axis of the picture, and its field."""
    return next((i, field) for i, field in fields.items() if field.source == axis)


def _sizes(known: Known, tensor: Tensor, axis: int) -> tuple[int, int] | None:
    """Return a tensor's size along an axis of the picture, and the pixels from one to the next."""
    place, field = _along(known[tensor.name], axis)
    size = tensor.shape[place] if tensor.shape is not None and place < len(tensor.shape) else None
    return (size, field.stride) if isinstance(size, int) else None


def _nodes_between(graph: Graph, picture: Tensor, layer: Tensor) -> list[Node] | None:
    """Return the nodes by which a layer depends on the picture.

    None where one is not followed, where it depends on the picture's size too, or on neither.
    """
    needed, nodes = {layer.name}, []
    for node in reversed(graph.nodes):
        if any(t.name in needed for t in node.outputs):
            needed.update(t.name for t in reads(node))
            nodes.append(node)
    reached, between = {picture.name}, []
    for node in reversed(nodes):
        if any(t.name in reached for t in reads(node)):
            operator = operator_of(node)
            if operator is None or isinstance(operator.axes, SizesOnly | Without):
                return None
            between.append(node)
            reached.update(t.name for t in node.outputs)
    return between if layer.name in reached else None


def _is_local(node: Node, known: Known, fields: Fields, axes: Sequence[int]) -> bool:
    """Tell whether a node computes the same from a part of the picture, but at its borders."""
    if node.op == "BatchNormalization" and attribute(node, "training_mode", 0):
        return False  # it takes the mean of the batch
    if node.op == "Pad" and attribute(node, "mode", "constant") != "constant":
        return False  # it copies elements from inside
    if node.op == "MaxPool" and any(t.outputs for t in node.outputs[1:]):
        return False  # the indices count the elements of the whole tensor
    operator, rank = operator_of(node), len(shape_of(node.outputs[0]))
    if node.op != "Concat" and not (operator is not None and operator.is_elementwise):
        return True
    from_last = [rank - i for i, field in fields.items() if field.source in axes]
    others = [t for t in node.inputs if t.name not in known and not t.is_empty()]
    return all(  # one value for all positions
        t.shape is not None and all(i > len(t.shape) or t.shape[-i] == 1 for i in from_last)
        for t in others
    )
