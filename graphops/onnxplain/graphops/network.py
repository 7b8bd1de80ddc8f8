"""Making a source model ready: functions inlined, opset 17, decided branches taken, batch freed."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import inliner

from onnxplain.graphops.analysis import BATCHED, MIXED, track_batch
from onnxplain.graphops.canonicalize import (
    free_batch,
    settle_ceil_mode,
    settle_same_padding,
    settle_sizes,
    take_branches,
    upgrade,
)
from onnxplain.graphops.errors import CorruptModel
from onnxplain.graphops.ir import Graph, name_scopes, opset_of, read, write

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A network ready for a backward part.

    `batch` is "free", "freed" (it was fixed at 1) or "fixed", with the reason in `batch_note`;
    `batched` names the tensors that hold one row for each image, `mixed` those that mix them.
    """

    graph: Graph
    source: onnx.ModelProto
    source_opset: int
    batch: str
    batch_note: str
    batched: frozenset[str]
    mixed: frozenset[str]


def prepare(model: onnx.ModelProto, keep_shape: bool = False) -> Prepared:
    """Return `model` as an editable graph of opset 17 or newer; `model` itself stays untouched."""
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
    return Prepared(
        graph=graph,
        source=source,
        source_opset=opset_of(model),
        batch=batch,
        batch_note=note,
        batched=frozenset(name for name, state in states.items() if state == BATCHED),
        mixed=frozenset(name for name, state in states.items() if state == MIXED),
    )
