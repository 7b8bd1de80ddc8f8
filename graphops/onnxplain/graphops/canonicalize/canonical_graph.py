"""The one form that the rewriter works on, and how a source model is brought to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import onnx
from onnx import inliner

from onnxplain.graphops.analysis import BATCHED, MIXED, resolve, track_batch
from onnxplain.graphops.canonicalize.ceil_mode import settle_ceil_mode
from onnxplain.graphops.canonicalize.constant_if import take_branches
from onnxplain.graphops.canonicalize.constant_sizes import settle_sizes
from onnxplain.graphops.canonicalize.free_batch import free_batch
from onnxplain.graphops.canonicalize.same_padding import settle_same_padding
from onnxplain.graphops.canonicalize.upgrade_opset import upgrade
from onnxplain.graphops.errors import CorruptModel
from onnxplain.graphops.ir import Graph, Tensor, name_scopes, opset_of, read, write

__all__ = ["CanonicalGraph", "canonicalize"]


@dataclass(frozen=True)
class CanonicalGraph:
    """A network in canonical form.

    source_opset: the opset that the model had. batch: "free", "freed" (it was fixed at 1) or
    "fixed"; batch_note: why it is fixed, or which node mixes it with another axis. batched: the
    names of the tensors whose axis 0 is the batch; mixed: those that mix the images of a batch.
    resolved: the tensors' names by the layers' names that were looked up, for all copies.
    """

    graph: Graph
    source_opset: int
    batch: str
    batch_note: str
    batched: frozenset[str]
    mixed: frozenset[str]
    resolved: dict[str | None, str] = field(default_factory=dict)

    def copy(self) -> CanonicalGraph:
        """Return a copy whose graph may be edited; it shares the weights."""
        return replace(self, graph=self.graph.copy())

    def tensor(self, name: str | None) -> Tensor:
        """Return the tensor that a layer's name means, the class score for None.

        A name is searched for once. Raises UnknownLayer or UnsupportedModel, as `resolve` does.
        """
        if name not in self.resolved:
            tensor = resolve(self.graph, name)
            self.resolved[name] = self.resolved[tensor.name] = tensor.name
            return tensor
        return self.graph.tensors()[self.resolved[name]]


def canonicalize(model: onnx.ModelProto, keep_shape: bool = False) -> CanonicalGraph:
    """Return `model` in canonical form: opset 17 or newer, no functions, no decided If, batch free.

    keep_shape: leave a fixed batch fixed. `model` is not changed, and its weights are shared.
    Raises CorruptModel or UnsupportedModel.
    """
    source = model
    if model.functions:
        try:
            model = inliner.inline_local_functions(model, convert_version=True)
        except (RuntimeError, ValueError) as e:
            reason = " ".join(str(e).split())
            raise CorruptModel(f"the model's functions cannot be inlined: {reason}") from e
    graph = read(model)
    graph.name_scopes = name_scopes(source)  # inlining drops those of a function's call
    upgrade(graph)
    while take_branches(graph):
        graph = read(write(graph, source))
    settle_sizes(graph)
    settle_same_padding(graph)
    settle_ceil_mode(graph)
    if keep_shape:
        batch, note = "fixed", "it was asked to keep its shape"
    else:
        batch, note = free_batch(graph)
    states = track_batch(graph)
    return CanonicalGraph(
        graph=graph,
        source_opset=opset_of(model),
        batch=batch,
        batch_note=note,
        batched=frozenset(name for name, state in states.items() if state == BATCHED),
        mixed=frozenset(name for name, state in states.items() if state == MIXED),
    )
