"""One rewrite on its way: the unit is chosen and its signal placed; a method now makes a map of it.

A method's `compute` takes a `Walk` and returns an `Attribution`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from onnxplain.graphops.backward.forward_copy import repeat_forward
from onnxplain.graphops.backward.path import Path
from onnxplain.graphops.backward.reverse import reverse
from onnxplain.graphops.backward.seed import Seed
from onnxplain.graphops.backward.selection import Interface
from onnxplain.graphops.canonicalize import CanonicalGraph
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Graph, Node, Tensor, rank_of, reads, shape_of
from onnxplain.graphops.operators import GRADIENT, Table, unpooling
from onnxplain.graphops.options import Options

__all__ = ["Attribution", "Rules", "Walk", "projected", "table_of"]

# A table, or one that the path and the options decide.
Rules: TypeAlias = "Table | Callable[[Path, Options], Table]"


@dataclass(frozen=True)
class Attribution:
    """What a method makes of a unit.

    `values` is [B, ...shape of `to`] unless the method says otherwise. `completeness_error` [B] is
    what should be zero by the method's own law of conservation, None where it has none.
    """

    values: Tensor
    completeness_error: Tensor | None = None


@dataclass(frozen=True)
class Walk:
    """The graph so far, the path between the ends, and the signal placed at its layer.

    `axis` is the layer's channel axis. `images` are the network's inputs as the path sees them, by
    their names: picked already where rows of the forward pass cannot be. `rules` are the method's.
    `image`, int64[B], is which image each result is of; None for one each, in their order.
    `scope` is what the seed's nodes are named after, and what a method appends before it walks.
    """

    op: Emitter
    interface: Interface
    prepared: CanonicalGraph
    path: Path
    axis: int
    images: Mapping[str, Tensor]
    image: Tensor | None
    seed: Seed
    rules: Rules
    options: Options
    scope: str = "seed"

    @property
    def graph(self) -> Graph:
        """The network, and what has been appended to it."""
        return self.prepared.graph

    @property
    def target(self) -> Tensor:
        """The tensor projected back to, as the backward part sees it: one row for each result."""
        return self.op.residual(self.path.target)

    def back(
        self, rules: Rules | None = None, path: Path | None = None, cotangent: Tensor | None = None
    ) -> Tensor:
        """Append a walk back, the method's own unless said otherwise; return what arrives."""
        path = path or self.path
        table = table_of(rules or self.rules, path, self.options)
        if cotangent is None:
            with self.preparing():
                cotangent = self.op.wide(self.seed.cotangent)
        return reverse(self.op, path, self.op.wide(cotangent), table)

    def preparing(self) -> AbstractContextManager[None]:
        """Name what is appended in a `with` block as a part of the seed, before the first pass."""
        return self.op.scoped(self.scope)

    def again(self, values: Tensor, copies: int | Tensor = 1) -> dict[str, Tensor]:
        """Append a second forward pass that has `values` where the network has the target.

        values: [copies·B, ...shape of `to`], the first B rows one for each result, then B more.
        Returns the copies of the network's tensors by their names, those of the path's layer and
        of its nodes' inputs among them. Raises UnsupportedModel where the batch is not free.
        """
        once = isinstance(copies, int) and copies == 1
        if self.prepared.batch == "fixed" and not once:
            raise UnsupportedModel(
                f"the method runs samples along the batch, and {self.prepared.batch_note}: choose "
                "another method, or export the model with a free batch"
            )
        with self.preparing():
            start = {t.name: self.tiled(t, copies) for t in self.images.values()}
        start[self.path.target.name] = values
        rows: dict[int | str | None, int | str | None] = {}
        for dimension in (self.interface.batch, self.interface.results):
            if isinstance(dimension, str):
                rows[dimension] = self.interface.results if once else None
        return repeat_forward(self.op, self._forward_nodes(), start, rows)

    def tiled(self, tensor: Tensor, copies: int | Tensor) -> Tensor:
        """Return a tensor with one row for each result so many times over, along its axis 0."""
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
        found = []
        for node in reversed(self.graph.nodes):
            if any(t.name in needed for t in node.outputs):
                found.append(node)
                needed.update(t.name for t in reads(node))
        return found[::-1]


def projected(walk: Walk) -> Attribution:
    """One walk back, by the method's rules: what arrives is the attribution."""
    return Attribution(walk.back())


def table_of(rules: Rules, path: Path, options: Options) -> Table:
    """Return the table for a path, with max-pools unpooled in the form asked for.

    Tables that have a rule of their own for max-pools keep it.
    """
    table = rules(path, options) if callable(rules) else rules
    if table["MaxPool"] is not GRADIENT["MaxPool"]:
        return table
    return {**table, "MaxPool": unpooling(options.unpool, options.target)}
