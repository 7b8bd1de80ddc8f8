"""The canonical form of a network, and the passes that produce it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import onnx
from onnx import inliner

from onnxplain.graphops.analysis import (
    BATCHED,
    MIXED,
    Axes,
    ClassScore,
    resolve,
    score_and_axes,
    track_batch,
    unbatched_tensors,
)
from onnxplain.graphops.canonicalize.ceil_mode import correct_ceil_mode
from onnxplain.graphops.canonicalize.constant_if import inline_constant_ifs
from onnxplain.graphops.canonicalize.constant_sizes import fold_computed_sizes
from onnxplain.graphops.canonicalize.free_batch import free_batch
from onnxplain.graphops.canonicalize.linear_classifier import expose_linear_scores
from onnxplain.graphops.canonicalize.same_padding import write_same_padding
from onnxplain.graphops.canonicalize.strided_view import reshape_strided_views
from onnxplain.graphops.canonicalize.upgrade_opset import upgrade
from onnxplain.graphops.errors import CorruptModel, UnsupportedModel, one_line
from onnxplain.graphops.ir import (
    Graph,
    Shape,
    Tensor,
    fits,
    join,
    name_scopes,
    opset_of,
    read,
    shape_of,
    split,
    write,
)
from onnxplain.graphops.metadata import added_outputs

__all__ = ["CanonicalGraph", "canonicalize"]


@dataclass(frozen=True)
class CanonicalGraph:
    """A network in canonical form.

    source_opset: the opset of the source model.
    batch: "free", "freed" (it was fixed at 1) or "fixed". batch_note: why it is fixed, or which
        node mixes it with another axis.
    batched: the names of the tensors whose axis 0 runs over the images. mixed: the names of those
        whose axis 0 mixes images. unbatched: the names of those without a batch axis, in a network
        that takes one image without one.
    axes: what the axes of each tensor run along, by its name, see `trace_axes`.
    score: the class score, or the reason why there is none.
    resolved: a cache from layer names to tensor names, shared by all copies.
    """

    graph: Graph
    source_opset: int
    batch: str
    batch_note: str
    batched: frozenset[str]
    mixed: frozenset[str]
    unbatched: frozenset[str]
    axes: Mapping[str, Axes]
    score: ClassScore | str
    resolved: dict[str, str] = field(default_factory=dict)

    def copy(self) -> CanonicalGraph:
        """Return a copy with an editable graph, which shares the weights."""
        return replace(self, graph=self.graph.copy())

    def tensor(self, name: str | None) -> Tensor:
        """Return the tensor of a layer's name, the class score for None.

        Raises UnknownLayer or UnsupportedModel, as `resolve` does, the latter also where there is
        no class score.
        """
        if name is None:
            if isinstance(self.score, str):
                raise UnsupportedModel(self.score)
            name = self.score.tensor
        if name not in self.resolved:
            tensor = self.recorded(resolve(self.graph, name))
            self.resolved[name] = tensor.name
            return tensor
        return self.graph.tensors()[self.resolved[name]]

    def shape_with_batch(self, tensor: Tensor) -> Shape:
        """Return the shape of a tensor of known rank, with a batch axis of 1 if it has none."""
        shape = list(shape_of(tensor))
        return [1, *shape] if tensor.name in self.unbatched else shape

    def recorded(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the graph, whose name `tensor` then knows without a search."""
        self.resolved[tensor.name] = tensor.name
        return tensor


def canonicalize(model: onnx.ModelProto, keep_shape: bool = False) -> CanonicalGraph:
    """Return `model` in canonical form: opset from 17, no functions, no constant If, batch free.

    keep_shape: keep a fixed batch size. `model` is not changed, and its weights are shared.
    Raises CorruptModel or UnsupportedModel.
    """
    source = model
    if model.functions:
        try:
            light, large = (model, []) if fits(model) else split(model)
            model = inliner.inline_local_functions(light, convert_version=True)
            join(model, large)
        except (RuntimeError, ValueError) as e:
            raise CorruptModel(f"the model's functions cannot be inlined: {one_line(e)}") from e
    graph = read(model)
    graph.name_scopes = name_scopes(source)  # inlining drops those of function calls
    upgrade(graph)
    while inline_constant_ifs(graph):
        graph = read(write(graph, source))
    fold_computed_sizes(graph)
    reshape_strided_views(graph)
    write_same_padding(graph)
    expose_linear_scores(graph)
    correct_ceil_mode(graph)
    if keep_shape:
        batch, note = "fixed", "the network was asked to keep its shape (`keep_shape`)"
    else:
        batch, note = free_batch(graph)
    states = track_batch(graph)
    graph.added = added_outputs(source)
    score, axes = score_and_axes(graph)
    return CanonicalGraph(
        graph=graph,
        source_opset=opset_of(model),
        batch=batch,
        batch_note=note,
        batched=frozenset(name for name, state in states.items() if state == BATCHED),
        mixed=frozenset(name for name, state in states.items() if state == MIXED),
        unbatched=unbatched_tensors(graph),
        axes=axes,
        score=score,
    )
