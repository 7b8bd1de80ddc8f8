"""The context of a method's `compute`, which takes a `Walk` and returns an `Attribution`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from onnxplain.graphops.analysis import Axes, Path
from onnxplain.graphops.backward.forward_copy import repeat_forward
from onnxplain.graphops.backward.reverse import chained, reverse
from onnxplain.graphops.backward.seed import Seed
from onnxplain.graphops.backward.selection import Interface
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Graph, Node, Tensor, rank_of, reads, shape_of
from onnxplain.graphops.lowering import FASTER, fast_rules
from onnxplain.graphops.operators import GRADIENT, Table, unpooling
from onnxplain.graphops.options import Options

__all__ = ["Attribution", "Rules", "Walk", "prepared", "projected"]

# A table of rules, or a function that returns one for a path and options.
Rules: TypeAlias = "Table | Callable[[Path, Options], Table]"


@dataclass(frozen=True)
class Attribution:
    """The attribution of a unit.

    values: [B, ...shape of `to`] unless the method says otherwise. others: those of the path's
        other targets, in their order.
    completeness_error: [B], the deviation from the method's conservation law, or None without one.
    """

    values: Tensor
    completeness_error: Tensor | None = None
    others: Sequence[Tensor] = ()


@dataclass(frozen=True)
class Walk:
    """The graph so far, the path between the ends, and the signal seeded at its layer.

    axis: the layer's channel axis. target_axes: what the axes of the target run along,
        counted with a batch axis.
    images: the network's inputs as the path reads them, by name; already gathered per result where
        tensors of the forward pass cannot be.
    image: int64[B], the image of each result; None for one result per image, in order.
    rules: the method's.
    channel: int64[B], the unit of each result, None where there is none.
    scope: the name scope of the seed's nodes, and of a method's nodes before its backward pass.
    """

    op: Emitter
    interface: Interface
    canonical: CanonicalGraph
    path: Path
    axis: int
    target_axes: Axes
    images: Mapping[str, Tensor]
    image: Tensor | None
    seed: Seed
    rules: Rules
    options: Options
    scope: str = "seed"
    channel: Tensor | None = None

    @property
    def graph(self) -> Graph:
        """The network with the nodes appended so far."""
        return self.canonical.graph

    def lacks_batch(self, tensor: Tensor) -> bool:
        """Tell whether a tensor of the network has no batch axis."""
        return tensor.name in self.canonical.unbatched

    @property
    def target(self) -> Tensor:
        """The tensor projected back to, with one entry along the batch axis per result."""
        return self.op.residual(self.path.target)

    def back(
        self, rules: Rules | None = None, path: Path | None = None, cotangent: Tensor | None = None
    ) -> Tensor:
        """Append a backward pass, by default the method's, and return the signal at the target."""
        return self.back_to_all(rules, path, cotangent)[0]

    def back_to_all(
        self, rules: Rules | None = None, path: Path | None = None, cotangent: Tensor | None = None
    ) -> list[Tensor]:
        """Append a backward pass as `back` does, and return the signal at each of the targets."""
        path = path or self.path
        path, table = prepared(rules or self.rules, path, self.options)
        if cotangent is None:
            with self.in_seed_scope():
                cotangent = self.op.wide(self.seed.cotangent)
        return reverse(self.op, path, self.op.wide(cotangent), table)

    def in_seed_scope(self) -> AbstractContextManager[None]:
        """Name nodes appended in a `with` block as part of the seed, before the first pass."""
        return self.op.scoped(self.scope)

    def again(self, values: Tensor, copies: int | Tensor = 1) -> dict[str, Tensor]:
        """Append a second forward pass with `values` in place of the target.

        values: [copies·B, ...shape of `to`], all results of the first copy, then of the second.
        Returns the copies of the network's tensors by name, including the path's layer and the
        inputs of its nodes. Raises UnsupportedModel for several copies where the batch is fixed.
        """
        once = isinstance(copies, int) and copies == 1
        if self.canonical.batch == "fixed" and not once:
            raise UnsupportedModel(
                f"the method runs samples along the batch axis, but {self.canonical.batch_note}: "
                "choose another method, or export the model with a free batch"
            )
        with self.in_seed_scope():
            start = {t.name: self.tiled(t, copies) for t in self.images.values()}
        start[self.path.target.name] = values
        sizes: dict[int | str | None, int | str | None] = {}
        for dimension in (self.interface.batch, self.interface.results):
            if isinstance(dimension, str):
                sizes[dimension] = self.interface.results if once else None
        return repeat_forward(self.op, self._forward_nodes(), start, sizes)

    def total(self, values: Tensor, tensor: Tensor) -> Tensor:
        """Return the sum of values at a tensor for each result, [B], in float32 for half precision.

        values: of the tensor's shape.
        """
        op, rank = self.op, rank_of(tensor)
        wide = op.widened(values)
        if self.lacks_batch(tensor):
            return op.ReduceSum(op.Unsqueeze(wide, [0]), list(range(1, rank + 1)), keepdims=0)
        return op.ReduceSum(wide, list(range(1, rank)), keepdims=0) if rank > 1 else wide

    def tiled(self, tensor: Tensor, copies: int | Tensor) -> Tensor:
        """Return a tensor of one entry per result, repeated `copies` times along its axis 0."""
        op = self.op
        tensor = op.residual(tensor)
        if isinstance(copies, int) and copies == 1:
            return tensor
        times = op.constant([copies], np.int64) if isinstance(copies, int) else copies
        ones = [1] * (rank_of(tensor) - 1)
        repeats = op.Concat(times, ones, axis=0) if ones else times
        tiled = op.Tile(tensor, repeats)
        tiled.shape = [None, *shape_of(tensor)[1:]]
        return tiled

    def _forward_nodes(self) -> list[Node]:
        """Return the nodes that the path's layer depends on, in order."""
        needed = {self.path.layer.name}
        nodes = []
        for node in reversed(self.graph.nodes):
            if any(t.name in needed for t in node.outputs):
                nodes.append(node)
                needed.update(t.name for t in reads(node))
        return nodes[::-1]


def projected(walk: Walk) -> Attribution:
    """Append one backward pass; the signal at the target is the attribution."""
    values, *others = walk.back_to_all()
    return Attribution(values, others=others)


def prepared(rules: Rules, path: Path, options: Options) -> tuple[Path, Table]:
    """Return the path with the groups that the rules know, and the table for it.

    The table has the rule for max-pools that the options choose, unless it has one of its own.
    """
    table = _table_of(rules, path, options)
    expanded = path.expanded(table)
    return (path, table) if expanded is path else (expanded, _table_of(rules, expanded, options))


def _table_of(rules: Rules, path: Path, options: Options) -> Table:
    table = rules(path, options) if callable(rules) else rules
    unpool = unpooling(options.unpool, options.target)
    if options.lowering == "fast" and options.target in FASTER:
        return fast_rules(table, chained, unpool, comparing=options.unpool == "auto")
    if table["MaxPool"] is not GRADIENT["MaxPool"]:
        return table
    return {**table, "MaxPool": unpool}
