"""A plan: one rewritten graph on one device, ready to project units of one layer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.inputs import Input
from onnxplain.engine.opening import OpenedModel
from onnxplain.engine.sessions import Session, Stop
from onnxplain.graphops import Layer, Options, check, forward, read_metadata, rewrite
from onnxplain.graphops.errors import UnsupportedModel

__all__ = [
    "Activity",
    "Plan",
    "Projections",
    "batches",
    "make_activity",
    "make_plan",
    "project",
]

# What one projection takes while it runs, in float32 pictures: VGG's two tensors of 64 channels at
# full resolution, with the switches of a pool, come to about 64 times its 3 channels.
SIGNALS = 64

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Projections:
    """What one run gives for B units: attribution [B, ...], score [B], position [B, rank]."""

    attribution: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    position: npt.NDArray[np.int64] | None

    def rows(self, start: int, stop: int) -> Projections:
        """Return the projections `start` to `stop` of these."""
        position = None if self.position is None else self.position[start:stop]
        return Projections(self.attribution[start:stop], self.score[start:stop], position)


@dataclass(frozen=True, eq=False)
class Plan:
    """A session of the rewritten graph, and what is known of it.

    pairs: whether one run takes many units of many images; else it takes one unit of one image.
    rows_apart: whether images in one batch stay apart, as far as can be told.
    renamed: what the rewriter's own inputs and outputs are called where the network had the name.
    """

    session: Session
    input: Input
    layer: Layer
    to: str
    pairs: bool
    rows_apart: bool
    renamed: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def channel_axis(self) -> int:
        """The layer's axis that counts its units."""
        return 1 if self.layer.channel_axis is None else self.layer.channel_axis

    def run(
        self,
        rows: Sequence[Array],
        image_index: npt.NDArray[np.int64],
        channel: npt.NDArray[np.int64],
        position: npt.NDArray[np.int64] | None,
        stop: Stop,
    ) -> Projections:
        """Project B units: `channel[b]` of `rows[image_index[b]]`, at `position[b]` if given."""
        if self.pairs:
            return self._run(np.stack(rows), image_index, channel, position, stop)
        batch = _fixed_batch(self.input)
        results = []
        for b, (image, unit) in enumerate(zip(image_index, channel, strict=True)):
            at = None if position is None else np.repeat(position[b : b + 1], batch, axis=0)
            filled = np.repeat(rows[image][None], batch, axis=0)
            units = np.full(batch, unit, np.int64)
            results.append(self._run(filled, None, units, at, stop))
        positions = [r.position[:1] for r in results if r.position is not None]
        return Projections(
            np.concatenate([r.attribution[:1] for r in results]),
            np.concatenate([r.score[:1] for r in results]),
            np.concatenate(positions) if positions else None,
        )

    def _run(
        self,
        batch: Array,
        image_index: npt.NDArray[np.int64] | None,
        channel: npt.NDArray[np.int64],
        position: npt.NDArray[np.int64] | None,
        stop: Stop,
    ) -> Projections:
        feeds = {self.input.name: batch}
        added = {"image_index": image_index, "channel": channel, "position": position}
        for name, value in added.items():
            if value is not None:
                feeds[self.renamed.get(name, name)] = value
        wanted = [self.renamed.get(n, n) for n in ("attribution", "score", "position")]
        wanted = [name for name in wanted if name in self.session.outputs]
        results = self.session.run(feeds, wanted, stop)
        return Projections(
            results[0].astype(np.float32),
            results[1].astype(np.float32),
            results[2].astype(np.int64) if len(results) > 2 else None,
        )


def make_plan(
    opened: OpenedModel,
    layer: str | None,
    method: str,
    options: Options,
    device: str,
    threads: int,
) -> Plan:
    """Rewrite the model and load it. Raises InputError, ModelError or DeviceError.

    options: all but the select, which follows from whether the model takes many images at once.
    """
    options = replace(options, target="cpu" if device == "cpu" else "cuda")
    report = check(
        opened.model,
        layer,
        method,
        to=options.to,
        unpool=options.unpool,
        target=options.target,
        channel_axis=options.channel_axis,
    )
    pairs = report.batch != "fixed"
    options = replace(options, select="pairs" if pairs else "channel")
    graph = rewrite(opened.model, layer, method, options)
    found = next(known for known in opened.layers if known.tensor == report.layer)
    if options.channel_axis is not None and found.shape is not None:
        size = found.shape[options.channel_axis]
        found = replace(
            found,
            channel_axis=options.channel_axis % len(found.shape),
            channels=size if isinstance(size, int) else None,
        )
    session = Session(graph, device, threads)
    rows_apart = pairs and not report.batch_note
    renamed = json.loads(read_metadata(graph).get("onnxplain.renamed", "{}"))
    warnings = report.warnings
    return Plan(session, opened.input, found, report.to, pairs, rows_apart, renamed, warnings)


@dataclass(frozen=True, eq=False)
class Activity:
    """The network cut at a plan's layer, to see how active its units are."""

    session: Session
    plan: Plan

    def run(self, rows: Sequence[Array], stop: Stop) -> npt.NDArray[np.float32]:
        """Return the layer's values for images of one shape, [images, ...]."""
        if self.plan.rows_apart:
            return self._run(np.stack(rows), stop)
        batch = _fixed_batch(self.plan.input)
        filled = (np.repeat(row[None], batch, axis=0) for row in rows)
        return np.concatenate([self._run(f, stop)[:1] for f in filled])

    def _run(self, batch: Array, stop: Stop) -> npt.NDArray[np.float32]:
        (values,) = self.session.run({self.plan.input.name: batch}, ["activation"], stop)
        if len(values) != len(batch):
            raise UnsupportedModel(
                f"layer '{self.plan.layer.tensor}' has {len(values)} rows for {len(batch)} images, "
                "so its strongest units cannot be told: name the channels, or another layer"
            )
        return values.astype(np.float32)


def make_activity(opened: OpenedModel, plan: Plan, device: str, threads: int) -> Activity:
    """Cut the model at the plan's layer and load it. Raises ModelError or DeviceError."""
    graph = forward(opened.model, plan.layer.tensor)
    return Activity(Session(graph, device, threads), plan)


def project(
    plan: Plan,
    rows: Sequence[Array],
    channels: npt.NDArray[np.int64],
    positions: npt.NDArray[np.int64] | None,
    memory_bytes: int,
    stop: Stop,
) -> Iterator[tuple[int, slice, Projections]]:
    """Yield (image, slice of its units, their projections), in the order of images and units.

    rows: the images. channels: [images, units]. positions: [images, units, rank] if given.
    memory_bytes: one run takes as many images, or as many units of one image, as fit into it.
    """
    units = channels.shape[1]
    for group in batches(rows, memory_bytes, units):
        limit = _projections_per_run(rows[group[0]], memory_bytes)
        for start in range(0, units, limit):
            chunk = slice(start, start + limit)
            width = channels[0, chunk].size
            image_index = np.repeat(np.arange(len(group)), width)
            channel = channels[group, chunk].ravel()
            position = None
            if positions is not None:
                position = positions[group, chunk].reshape(len(channel), -1)
            result = plan.run([rows[i] for i in group], image_index, channel, position, stop)
            for i, image in enumerate(group):
                yield image, chunk, result.rows(i * width, (i + 1) * width)


def batches(rows: Sequence[Array], memory_bytes: int, units: int = 1) -> Iterator[list[int]]:
    """Yield the numbers of consecutive images of one shape whose `units` fit into the memory."""
    for _, same in itertools.groupby(range(len(rows)), key=lambda i: rows[i].shape):
        images = list(same)
        most = max(1, _projections_per_run(rows[images[0]], memory_bytes) // units)
        for start in range(0, len(images), most):
            yield images[start : start + most]


def _projections_per_run(row: Array, memory_bytes: int) -> int:
    return max(1, memory_bytes // (row.size * 4 * SIGNALS))


def _fixed_batch(target: Input) -> int:
    """Return how many images every run takes where that is not free."""
    batch = target.shape[0] if target.shape else None
    return batch if isinstance(batch, int) else 1
