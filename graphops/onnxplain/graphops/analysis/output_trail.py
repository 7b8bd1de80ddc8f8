"""The trail from a network's output back to the scores that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from onnxplain.graphops.analysis.axis_roles import UNTRACED, Axes
from onnxplain.graphops.analysis.kept_part import (
    axis_of,
    drops_batch,
    drops_channels,
    kept_rows,
    same_axes,
    size_of,
    total,
)
from onnxplain.graphops.analysis.normalizers import (
    LAYOUTS,
    NORMALIZERS,
    PARTS,
    QUANTIZED,
    inserted_flatten,
    is_linear_score,
    scores_of,
    uncut,
    unquantized,
    with_batch,
)
from onnxplain.graphops.ir import Node, Tensor, attribute, is_constant, is_standard

__all__ = ["Trail", "trail_of"]

THRESHOLDS = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
ALIGNED = {"Cast", "CastLike", "Dropout", "Identity", "Slice", "Split", *QUANTIZED, *THRESHOLDS}


@dataclass(frozen=True)
class Trail:
    """Where the steps back from an output end.

    tensor: the scores. nodes: those stepped over, the output's own first.
    quantity: that of the probabilities computed from the scores, "" without any.
    normalized: these probabilities, with the classes of `tensor`; None without, or where they have
        lost the batch axis.
    axis: the axis of the classes in `tensor`, where a node that was stepped over says so.
    row, row_axis: the output's row that holds channel 0, along its axis, where the output
        concatenates the classes with others; else None.
    chosen: whether only the best classes are kept, by ArgMax, TopK, a maximum or a threshold.
    part: the part of `normalized` that is kept, where a Sigmoid also turns other rows than classes
        into numbers; None elsewhere.
    among_others: whether the output concatenates them with rows that are no scores.
    rivals: tensors of equal standing, where the output joins the scores of several.
    """

    tensor: Tensor
    nodes: tuple[Node, ...] = ()
    quantity: str = ""
    normalized: Tensor | None = None
    axis: int | None = None
    row: int | None = None
    row_axis: int | None = None
    chosen: bool = False
    part: Tensor | None = None
    among_others: bool = False
    rivals: tuple[Tensor, ...] = ()

    @property
    def tells(self) -> bool:
        """Whether a node that was stepped over shows that these are scores of classes."""
        return bool(self.quantity) or self.chosen


def trail_of(tensor: Tensor, known: Mapping[str, Axes], of_boxes: bool = False) -> Trail:
    """Step back from an output to the scores that it is computed from.

    known: the axes of each tensor by name, see `trace_axes`. of_boxes: whether the tensor holds one
    score for each box, the best class's.
    """
    return _Steps(tensor, known, of_boxes, {}).back()


@dataclass
class _Steps:
    """The steps back from one tensor.

    trails: those of inputs of Concats. scores: the tensor that the trail ends at, unless
    probabilities are found. reached: the nodes up to there. current: the tensor reached. axes: for
    each of its axes the start's. window: the axis, first and last row that the start keeps of it.
    """

    start: Tensor
    known: Mapping[str, Axes]
    of_boxes: bool
    trails: dict[str, Trail]
    nodes: list[Node] = field(default_factory=list)
    reached: int = 0
    axis: int | None = None
    window: tuple[int, int, int] | None = None
    part: Tensor | None = None
    chosen: bool = False

    def __post_init__(self) -> None:
        self.scores = self.current = self.start
        rank = len(self.start.shape or ())
        self.axes: list[int | None] | None = [*range(rank)]

    def back(self) -> Trail:
        """Take all steps."""
        while self.current.inputs:
            node = self.current.inputs[0]
            self.nodes.append(node)
            if node.domain == "ai.onnx.ml":
                return self._of_classical(node)
            if not is_standard(node):
                break
            if (scores := scores_of(node)) is not None:
                return self._behind(node, scores)
            if node.op == "Concat":
                return self._of_concat(node)
            if not self._pass(node):
                break
        return self._ended()

    def _of_classical(self, node: Node) -> Trail:
        """Step back over the operators that scikit-learn's classifiers are exported to."""
        if node.op in ("Normalizer", "ZipMap"):
            self.current = node.inputs[0]
            return self.back()
        scores = next(
            (t for n in node.inputs[0].outputs for t in n.outputs if is_linear_score(t)), None
        )
        if node.op != "LinearClassifier" or scores is None:
            return self._ended()
        transformed = attribute(node, "post_transform", "NONE") not in ("NONE", b"NONE")
        labels = self.current is node.outputs[0]
        quantity = "probability" if transformed and not labels else ""
        rescaled = next((n for n in self.nodes if n.op == "Normalizer"), node).outputs[-1]
        normalized = rescaled if quantity else None
        return Trail(scores, tuple(self.nodes), quantity, normalized, 1, chosen=labels)

    def _ended(self) -> Trail:
        axis = self.axis if self.reached else None
        nodes = tuple(self.nodes[: self.reached])
        return Trail(self.scores, nodes, axis=axis, chosen=self.chosen)

    def _pass(self, node: Node) -> bool:
        """Step over a node, if its output holds values of its first input."""
        source = node.inputs[0]
        ends = False  # whether the scores are those before the node
        if node.op in QUANTIZED:
            ends = node.op == "QuantizeLinear"
        elif node.op in ("ArgMax", "TopK") or (node.op == "ReduceMax" and self._of_classes(node)):
            self.axis, self.chosen, self.part, ends = axis_of(node), True, None, True
        elif node.op in THRESHOLDS and is_constant(node.inputs[1]):
            self.chosen, self.part, ends = True, None, True
        elif node.op == "Transpose":
            self._turn(node)
        elif node.op in PARTS:
            self._cut(node)
            self.part = self.current
            ends = node.op == "Gather" and attribute(node, "axis", 0) == 0
        elif node.op in LAYOUTS:
            known = [self.known.get(t.name, UNTRACED) for t in (source, self.current)]
            ends = drops_batch(node) or drops_channels(node, *known)
            if node.op not in ALIGNED:
                self._regroup(node)
        else:
            return False
        if node.op not in ALIGNED | LAYOUTS | {"Transpose"}:
            self.axes = self.window = None
            self.axis = self.axis if ends else None
        self.current = source
        if ends:
            self.scores, self.reached = source, len(self.nodes)
        return True

    def _of_classes(self, node: Node) -> bool:
        """Tell whether a maximum is over the classes, rather than over positions."""
        axis, source = axis_of(node), node.inputs[0]
        if axis is None:
            return False
        maker = source.inputs[0] if source.inputs else None
        softmax = maker is not None and maker.op in ("Softmax", "LogSoftmax")
        return self.of_boxes or axis == self.known.get(source.name, UNTRACED).channel or softmax

    def _regroup(self, node: Node) -> None:
        """Follow the axes of a node's output that its input has too."""
        shape = node.inputs[0].shape
        kept = same_axes(shape, self.current.shape)
        if self.axes is not None and shape is not None:
            back = {before: after for after, before in kept.items()}
            self.axes = [_at(self.axes, back.get(i)) for i in range(len(shape))]
        self.axis = None if self.axis is None else kept.get(self.axis)
        if self.window is not None:
            axis = kept.get(self.window[0])
            self.window = None if axis is None else (axis, *self.window[1:])

    def _turn(self, node: Node) -> None:
        rank = len(node.inputs[0].shape or ())
        order = attribute(node, "perm", [*range(rank)][::-1])
        if self.axes is not None:
            self.axes = [self.axes[order.index(i)] for i in range(len(order))]
        if self.axis is not None:
            self.axis = order[self.axis]
        if self.window is not None:
            self.window = (order[self.window[0]], *self.window[1:])

    def _cut(self, node: Node) -> None:
        """Note which rows of the node's input the start keeps."""
        self.window = self.window or kept_rows(node, self.current)

    def _behind(self, node: Node, scores: Tensor) -> Trail:
        """Return the trail's end before a node that computes probabilities."""
        axis = axis_of(node) if node.op in ("Softmax", "LogSoftmax") else self.axis
        normalized, flat = node.outputs[0], inserted_flatten(scores)
        if flat is not None:
            last = len(flat.inputs[0].shape or ()) - 1
            scores, normalized = flat.inputs[0], self.nodes[-2].outputs[0]
            axis = last if attribute(flat, "axis", 1) == last else None
        before = unquantized(scores)
        batched = with_batch(before)
        kept = batched.shape is None or len(batched.shape) == len(scores.shape or ())
        trail = Trail(
            batched,
            tuple(self.nodes),
            NORMALIZERS.get(node.op, "probability"),
            normalized if batched is before else None,
            axis if kept else None,
            chosen=self.chosen,
            part=self.part if node.op == "Sigmoid" else None,
        )
        if self.window is None or self.chosen or self.window[0] != axis or not self.window[1]:
            return trail
        row_axis = _at(self.axes, axis)
        row = None if row_axis is None else -self.window[1]
        return replace(trail, row=row, row_axis=row_axis)

    def _of_concat(self, node: Node) -> Trail:
        """Return the trail's end in the inputs of a Concat, or at its output."""
        rank = len(node.outputs[0].shape or node.inputs[0].shape or ())
        axis = attribute(node, "axis") % rank if rank else 0
        sizes = [size_of(t, axis) for t in node.inputs]
        starts = [total(sizes[:i]) for i in range(len(sizes))]
        inside = [i for i in range(len(sizes)) if self._keeps(axis, starts[i], sizes[i])]
        varying = [i for i in inside if not is_constant(node.inputs[i])]
        for tensor in (node.inputs[i] for i in varying):
            if tensor.name not in self.trails:  # many ways may lead to it
                steps = _Steps(tensor, self.known, self.of_boxes, self.trails)
                self.trails[tensor.name] = steps.back()
        found = {i: self.trails[node.inputs[i].name] for i in varying}
        telling = [i for i, trail in found.items() if trail.tells]
        if not telling:
            return self._ended()
        if len({id(found[i].tensor) for i in telling}) > 1 and len(telling) == len(inside):
            return self._of_levels([found[i] for i in telling])
        whole = {i for i in telling if all(n.op != "Concat" for n in found[i].nodes)}
        best = max(telling, key=lambda i: (i in whole, total([sizes[i]]) or 0))
        trail, single = found[best], len(inside) == 1
        if trail.part is not None and not single:
            trail = replace(trail, tensor=trail.part, normalized=trail.part, row=None, part=None)
        nodes = (*self.nodes, *trail.nodes)
        chosen = self.chosen or trail.chosen
        known = self.axis if self.axis is not None else axis if trail.axis is None else trail.axis
        if trail.chosen or len(trail.tensor.shape or ()) != rank:
            known = trail.axis
        trail = replace(trail, nodes=nodes, axis=known, chosen=chosen, among_others=not single)
        start = starts[best]
        if chosen or start is None or (self.window is not None and self.window[0] != axis):
            return replace(trail, row=None, row_axis=None)
        row, row_axis = start + (trail.row or 0), _at(self.axes, axis)
        if self.window is not None:
            row -= self.window[1]
        return replace(trail, row=None if row_axis is None else row, row_axis=row_axis)

    def _of_levels(self, levels: list[Trail]) -> Trail:
        """Return the trail's end where all inputs of a Concat are scores, as of several levels."""
        parts = [t for t in levels if t.among_others or t.rivals or t.chosen]
        if not parts:  # all of it is probabilities
            known = levels[0].axis if len(levels[0].nodes) == 1 else None
            trail, quantity = self._ended(), levels[0].quantity
            return replace(trail, quantity=quantity, normalized=trail.tensor, axis=known)
        found = {t.name: t for trail in parts for t in (trail.rivals or (trail.tensor,))}
        whole = {t.name: t for t in map(uncut, found.values())}
        if len(whole) > 1:
            return replace(parts[0], rivals=tuple(found.values()))
        (tensor,) = whole.values()
        return Trail(tensor, (*self.nodes, *parts[0].nodes), chosen=True)

    def _keeps(self, axis: int, start: int | None, size: int | str | None) -> bool:
        """Tell whether the start of the trail may hold rows of an input of a Concat."""
        if self.window is None or self.window[0] != axis or start is None:
            return True
        _, first, last = self.window
        return start < last and (not isinstance(size, int) or first < start + size)


def _at(axes: list[int | None] | None, axis: int | None) -> int | None:
    return None if axes is None or axis is None or axis >= len(axes) else axes[axis]
