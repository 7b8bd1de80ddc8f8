"""The class score: the tensor that holds a network's scores of classes, or its predicted value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from onnxplain.graphops.analysis.axis_roles import UNTRACED, Axes, trace_axes
from onnxplain.graphops.analysis.normalizers import LAYOUTS
from onnxplain.graphops.analysis.output_trail import Trail, trail_of
from onnxplain.graphops.errors import listed
from onnxplain.graphops.ir import Graph, Node, Tensor, is_constant, is_fixed, is_float, reads

__all__ = ["ClassScore", "class_score", "find_class_score", "score_and_axes"]

DENSE = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
RESHAPED = LAYOUTS | {
    "Add", "Concat", "DequantizeLinear", "QuantizeLinear", "Resize", "Slice", "Split", "Transpose",
}  # fmt: skip
NAMED = 4  # the most tensors that a text names


@dataclass(frozen=True)
class ClassScore:
    """The tensor that an explanation starts from where no layer is named.

    tensor: its name. output: the network's output that is computed from it.
    quantity: what the output's numbers are: "probability", "log probability", "score", or "value"
        for a single number that no Softmax or Sigmoid turned into a probability.
    normalized: the tensor of the probabilities, with the channels of `tensor`; "" without, or where
        they have lost the batch axis. It is `tensor` itself where there is no single tensor of
        scores before them.
    axis: the axis of the classes, None for a tensor that holds one number per image.
    units: the number of classes, None where it is not known.
    has_positions: whether it holds scores for several positions of the picture.
    row: the row of the output that holds channel 0, where the output concatenates the classes with
        other rows; else None. row_axis: the output's axis of these rows.
    stepped_over: the operators between the output and `tensor`, the output's own first.
    others: the network's other float outputs.
    """

    tensor: str
    output: str
    quantity: str
    normalized: str
    axis: int | None
    units: int | None
    has_positions: bool
    row: int | None
    row_axis: int | None
    stepped_over: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def rows(self) -> str:
        """Where in the output the channels lie, as a phrase, "" where each is a row of its own."""
        if self.row is None:
            return ""
        row = f"{self.row} + k" if self.row > 0 else f"k - {-self.row}" if self.row else "k"
        return f"channel k = output row {row}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was taken, where the network leaves a choice."""
        notes = []
        if self.others:
            others = ", ".join(f"'{name}'" for name in self.others)
            which = "output is" if len(self.others) == 1 else "outputs are"
            notes.append(
                f"the class score '{self.tensor}' is taken from the output '{self.output}'; the "
                f"other {which} {others}: name a layer to explain another"
            )
        if self.rows:
            notes.append(
                f"the class score '{self.tensor}' is a part of the output '{self.output}': "
                f"{self.rows}"
            )
        if self.normalized == self.tensor:
            notes.append(
                f"the class score '{self.tensor}' holds probabilities, since no single tensor "
                f"holds the scores of the output '{self.output}'"
            )
        return tuple(notes)


def class_score(graph: Graph) -> Tensor | None:
    """Return the tensor of the class score, None where there is no default."""
    found = find_class_score(graph)
    return None if found is None else graph.tensors()[found.tensor]


def find_class_score(graph: Graph) -> ClassScore | None:
    """Return the class score, None where there is no default."""
    found, _ = score_and_axes(graph)
    return found if isinstance(found, ClassScore) else None


def score_and_axes(graph: Graph) -> tuple[ClassScore | str, Mapping[str, Axes]]:
    """Return the class score, or the reason why there is none, and the axes of each tensor.

    What stands between the class score and an output, such as a Softmax, tells its channel axis.
    """
    axes = trace_axes(graph)
    found, trail = _search(graph, axes)
    if isinstance(found, str) or trail is None or trail.axis is None:
        return found, axes
    known = {name: axes.get(name, UNTRACED) for name in (found.tensor, found.normalized) if name}
    told = {name: replace(one, channel=trail.axis, certain=True) for name, one in known.items()}
    return found, {**axes, **told}


def _search(graph: Graph, axes: Mapping[str, Axes]) -> tuple[ClassScore, Trail] | tuple[str, None]:
    """Return the class score and the trail to it, or the reason why there is no default."""
    outputs = [t for t in graph.outputs if t.name not in graph.added]
    trails = [(t, trail_of(t, axes)) for t in outputs]
    behind = _before_suppression(graph, axes) if outputs else None
    if behind is not None and not any(trail.tells for _, trail in trails):
        output = next((t for t in outputs if is_float(t)), outputs[0])
        trails = [(output, behind)]
    known = [(t, trail) for t, trail in trails if _is_score(graph, t, trail)]
    if not known:
        return _why_none(graph), None
    several = len(known) > 1
    below = _ancestors(graph, [trail.tensor for _, trail in known]) if several else set()
    output, trail = max(known, key=lambda one: _likeness(one[0], one[1], axes, below))
    if trail.rivals:
        names = listed(repr(t.name) for t in trail.rivals[:NAMED])
        reason = (
            f"the output '{output.name}' joins the class scores of {len(trail.rivals)} tensors, so "
            f"there is no default layer: name one of {names}"
        )
        return reason, None
    others = [t.name for t in outputs if is_float(t) and t is not output]
    return _described(output, trail, axes, tuple(others)), trail


def _described(
    output: Tensor, trail: Trail, axes: Mapping[str, Axes], others: tuple[str, ...]
) -> ClassScore:
    tensor = trail.tensor
    axis = _class_axis(trail, axes)
    shape = tensor.shape or []
    known = replace(axes.get(tensor.name, UNTRACED), channel=axis)
    one_each = len(shape) == 1 and known.batched
    size = 1 if one_each else shape[axis] if axis is not None else None
    units = size if isinstance(size, int) else None
    normalized = trail.normalized.name if trail.normalized is not None else ""
    quantity = trail.quantity or ("value" if units == 1 and not trail.chosen else "score")
    return ClassScore(
        tensor=tensor.name,
        output=output.name,
        quantity=quantity,
        normalized=normalized,
        axis=axis,
        units=units,
        has_positions=any(shape[i] != 1 for i in known.positions(len(shape))),
        row=trail.row,
        row_axis=trail.row_axis,
        stepped_over=tuple(node.op for node in trail.nodes),
        others=others,
    )


def _before_suppression(graph: Graph, axes: Mapping[str, Axes]) -> Trail | None:
    """Return the trail from the scores that a NonMaxSuppression reads."""
    node = next((n for n in reversed(graph.nodes) if n.op == "NonMaxSuppression"), None)
    if node is None or len(node.inputs) < 2:
        return None
    trail = trail_of(node.inputs[1], axes, of_boxes=True)  # [batch, classes, boxes]
    if trail.axis is None and len(trail.tensor.shape or ()) == 3 and len(trail.nodes) == 1:
        trail = replace(trail, axis=1)
    return trail if trail.tells else None


def _is_score(graph: Graph, output: Tensor, trail: Trail) -> bool:
    """Tell whether the tensor can be explained: floats, from the image, by standard operators."""
    computed = bool(trail.tensor.inputs) or trail.tensor in graph.inputs
    if not is_float(trail.tensor) or trail.tensor.shape == [] or not computed:
        return False
    node = trail.tensor.inputs[0] if trail.tensor.inputs else None
    foreign = node is not None and _is_foreign(node)
    return not foreign and not is_fixed(trail.tensor)


def _is_foreign(node: Node) -> bool:
    """Tell whether nothing is known of a node's output: it is scikit-learn's, or a plug-in's."""
    plug_in = node.domain not in (None, "", "ai.onnx") and node.outputs[0].shape is None
    return node.domain == "ai.onnx.ml" or plug_in


def _likeness(output: Tensor, trail: Trail, axes: Mapping[str, Axes], below: set[str]) -> float:
    """Return how much the end of a trail looks like scores of classes, rather than boxes."""
    tensor = trail.tensor
    axis = _class_axis(trail, axes)
    size = tensor.shape[axis] if tensor.shape and axis is not None else None
    points = 0.0
    if trail.quantity:
        points += 2 if any(node.op == "Sigmoid" for node in trail.nodes) else 3
    elif trail.chosen:
        points += 2.5
    points += 2 if _is_dense(tensor) else 0
    points += 1 if size is not None and size != 1 else 0
    points -= 3 if size == 4 else 0  # the corners of boxes, more likely than four classes
    points -= 3 if tensor.name in below else 0
    return points + (0.1 if is_float(output) else 0)


def _class_axis(trail: Trail, axes: Mapping[str, Axes]) -> int | None:
    return axes.get(trail.tensor.name, UNTRACED).channel if trail.axis is None else trail.axis


def _is_dense(tensor: Tensor) -> bool:
    """Tell whether a convolution or dense layer computes the tensor, up to its layout."""
    waiting, seen = [tensor], set()
    while waiting:
        current = waiting.pop()
        node = current.inputs[0] if current.inputs else None
        if node is None or current.name in seen:
            continue
        seen.add(current.name)
        if node.op in DENSE and len(node.inputs) > 1 and is_fixed(node.inputs[1]):
            return True
        if node.op in RESHAPED:
            waiting += [t for t in node.inputs if not is_constant(t)]
    return False


def _ancestors(graph: Graph, tensors: list[Tensor]) -> set[str]:
    """Return the names of all tensors from which any of these is computed, without themselves."""
    needed = {t.name for t in tensors}
    ancestors: set[str] = set()
    for node in reversed(graph.nodes):
        if any(t.name in needed for t in node.outputs):
            names = {t.name for t in reads(node)}
            needed |= names
            ancestors |= names
    return ancestors


def _why_none(graph: Graph) -> str:
    """Return why there is no default layer, and the tensors that can be named instead."""
    ends = [t.inputs[0] for t in graph.outputs if t.inputs and t.name not in graph.added]
    behind = [n for n in graph.nodes if n.domain == "ai.onnx.ml"] + [*filter(_is_foreign, ends)]
    foreign = next(iter(behind), None)
    if foreign is not None:
        reason = f"the class scores are computed inside {foreign.op} of domain {foreign.domain}"
        names = [t.name for t in foreign.inputs if is_float(t)]
    else:
        reason = "the network has no float output to explain"
        dense = [n.outputs[0].name for n in graph.nodes if _can_be_named(n)]
        names = dense[-NAMED:]
    advice = f", such as {listed(map(repr, names))}" if names else ""
    return f"{reason}, so there is no default layer: name a layer{advice}"


def _can_be_named(node: Node) -> bool:
    return node.op in DENSE and is_float(node.outputs[0]) and not is_fixed(node.outputs[0])
