"""Graphs ready to run on one device: a plan projects a layer's units, an activity is its values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import Input
from onnxplain.engine.runtime.footprint import Footprint
from onnxplain.engine.runtime.model import OpenedModel
from onnxplain.engine.runtime.sessions import Session, Stop
from onnxplain.graphops import (
    Layer,
    Method,
    Network,
    Options,
    check,
    forward,
    read_metadata,
    rewrite,
)
from onnxplain.graphops.analysis import ClassScore
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.options import Select, Target

__all__ = [
    "Activity",
    "Plan",
    "Projections",
    "Subject",
    "find_subject",
    "make_activity",
    "make_plan",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Projections:
    """The results of B units: attribution [B, ...], score [B], position [B, spatial rank].

    completeness_error: [B], the violation of the method's conservation law, None without one.
    of_picture: whether the given picture has a part in the attribution.
    notes: sentences about how the attributions came about.
    """

    attribution: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    position: npt.NDArray[np.int64] | None = None
    completeness_error: npt.NDArray[np.float32] | None = None
    of_picture: bool = True
    notes: tuple[str, ...] = ()

    def rows(self, start: int, stop: int) -> Projections:
        """Return the results of the units from `start` to before `stop`."""
        position, error = self.position, self.completeness_error
        return replace(
            self,
            attribution=self.attribution[start:stop],
            score=self.score[start:stop],
            position=None if position is None else position[start:stop],
            completeness_error=None if error is None else error[start:stop],
        )

    @staticmethod
    def join(pieces: Sequence[Projections]) -> Projections:
        """Concatenate results, in their order."""
        joined: dict[str, Any] = {}
        for name in ("attribution", "score", "position", "completeness_error"):
            arrays = [getattr(piece, name) for piece in pieces]
            joined[name] = None if arrays[0] is None else np.concatenate(arrays)
        return replace(pieces[0], **joined)


@dataclass(frozen=True, eq=False)
class Subject:
    """What is explained, as far as known before a graph is rewritten.

    layer: where the signal starts. to: the target, the tensor that the attribution lies over.
    fixed: whether the model fixes the batch size. separable: whether the images of a batch are
    known not to influence each other. score: the class score, if that is the layer.
    """

    input: Input
    layer: Layer
    to: str
    fixed: bool
    separable: bool
    warnings: tuple[str, ...]
    score: ClassScore | None = None

    @property
    def channel_axis(self) -> int:
        """The layer's channel axis, counted with the batch axis."""
        return 1 if self.layer.channel_axis is None else self.layer.channel_axis

    @property
    def batch_size(self) -> int:
        """The batch size of a run on one image: the model's fixed one, or 1."""
        batch = self.input.shape[0] if self.input.shape else None
        return batch if isinstance(batch, int) else 1


def find_subject(
    opened: OpenedModel, layer: str | None, method: Method, options: Options, device: str
) -> Subject:
    """Resolve the names of the layer and the target. Raises InputError or ModelError.

    The engine's own methods, which are no graph, see the network from the picture to the layer.
    """
    graph = method.exportable
    report = check(
        opened.network,
        layer,
        method if graph else "gradient",
        to=options.to,
        unpool=options.unpool,
        target=_target(device),
        channel_axis=options.channel_axis,
        score_layer=options.score_layer,
        score_channel_axis=options.score_channel_axis,
    )
    if graph and not report.ok:
        rewrite(opened.network, layer, method, options)  # raises the error of the report's problem
    start = next(known for known in opened.layers if known.tensor == report.layer)
    axis = options.score_channel_axis if method.over == "map" else options.channel_axis
    if axis is not None and start.shape is not None:
        size = start.shape[axis]
        start = replace(
            start,
            channel_axis=axis % len(start.shape),
            channels=size if isinstance(size, int) else None,
        )
    fixed = report.batch == "fixed"
    separable = not fixed and not report.batch_note
    to = report.to if graph or options.to is not None else opened.input.name
    score = opened.network.class_score
    score = score if score is not None and score.tensor == start.tensor else None
    of_nodes = {node.note for node in report.nodes}
    warnings = tuple(w for w in report.warnings if graph or w not in of_nodes)
    return Subject(opened.input, start, to, fixed, separable, warnings, score)


@dataclass(frozen=True, eq=False)
class Plan:
    """A session of the rewritten graph.

    select: "pairs" if one run takes many units of many images; "channel" if the batch is fixed;
    "whole"; or "seed", with one cotangent per image.
    renamed: the new names of the rewriter's inputs and outputs whose names the network has taken.
    """

    session: Session
    subject: Subject
    select: str
    renamed: Mapping[str, str]
    footprint: Footprint

    def run(self, rows: Sequence[Array], added: Mapping[str, Array], stop: Stop) -> Projections:
        """Project B units of images of one shape.

        added: the graph's further inputs by name, such as `channel` [B]. `image_index` [B] is the
        image of each unit; without it, there is one unit per image.
        """
        if self.select == "pairs" or (self.subject.separable and self.select != "channel"):
            return self._run(np.stack(rows), added, stop)
        batch, results = self.subject.batch_size, []
        images = added.get("image_index", np.arange(len(rows)))
        per_unit = {k: v for k, v in added.items() if k not in ("image_index", "baseline")}
        for b, image in enumerate(images):
            filled = {k: np.repeat(v[b : b + 1], batch, axis=0) for k, v in per_unit.items()}
            if "baseline" in added:
                filled["baseline"] = added["baseline"]
            result = self._run(np.repeat(rows[image][None], batch, axis=0), filled, stop)
            results.append(result.rows(0, 1))
        return Projections.join(results)

    def _run(self, batch: Array, added: Mapping[str, Array], stop: Stop) -> Projections:
        feeds = {self.subject.input.name: batch}
        if "seed" in added and len(self.subject.layer.shape or (0, 0)) == 1:
            added = {**added, "seed": added["seed"].reshape(len(batch))}
        feeds |= {self.renamed.get(name, name): value for name, value in added.items()}
        feeds = {name: v.astype(self.session.types[name], copy=False) for name, v in feeds.items()}
        names = ("attribution", "score", "position", "completeness_error")
        wanted = [self.renamed.get(name, name) for name in names]
        present = [name for name in wanted if name in self.session.outputs]
        outputs = dict(zip(present, self.session.run(feeds, present, stop), strict=True))
        attribution, score, position, error = (outputs.get(name) for name in wanted)
        if attribution is None or score is None:
            raise UnsupportedModel("the graph has no outputs 'attribution' and 'score'")
        return Projections(
            attribution.astype(np.float32),
            score.astype(np.float32),
            None if position is None else position.astype(np.int64),
            None if error is None else error.astype(np.float32),
        )


def make_plan(
    network: Network,
    layer: str | None,
    method: Method,
    options: Options,
    subject: Subject,
    device: str,
    threads: int,
) -> Plan:
    """Rewrite the network and load it. Raises InputError, ModelError or DeviceError."""
    select: Select = options.select or ("channel" if subject.fixed else "pairs")
    options = replace(options, target=_target(device), select=select)
    graph = rewrite(network, layer, method, options)
    session = Session(graph, device, threads)
    renamed = json.loads(read_metadata(graph).get("onnxplain.renamed", "{}"))
    footprint = Footprint(graph, subject.input.name)
    return Plan(session, subject, select, renamed, footprint)


@dataclass(frozen=True, eq=False)
class Activity:
    """The network cut at the layer, or at another tensor, whose values are its output."""

    session: Session
    subject: Subject
    footprint: Footprint

    def run(self, rows: Sequence[Array], stop: Stop, **added: Array) -> npt.NDArray[np.float32]:
        """Return the values for images of one shape, [images, ...].

        A layer of rank 1, one number per image, has one channel, [images, 1]. added: further inputs
        by name, [images, ...].
        """
        if self.subject.separable:
            return self._run(np.stack(rows), added, stop)
        batch, values = self.subject.batch_size, []
        for i, row in enumerate(rows):
            filled = {k: np.repeat(v[i : i + 1], batch, axis=0) for k, v in added.items()}
            values.append(self._run(np.repeat(row[None], batch, axis=0), filled, stop)[:1])
        return np.concatenate(values)

    def _run(self, batch: Array, added: Mapping[str, Array], stop: Stop) -> npt.NDArray[np.float32]:
        feeds = {self.subject.input.name: batch, **added}
        feeds = {name: v.astype(self.session.types[name], copy=False) for name, v in feeds.items()}
        (values,) = self.session.run(feeds, ["activation"], stop)
        if len(np.shape(values)) == 0 or len(values) != len(batch):
            raise UnsupportedModel(
                f"layer '{self.subject.layer.tensor}' has the shape {list(np.shape(values))} for "
                f"{len(batch)} images, without a batch axis of that size, so the strongest units "
                "of an image cannot be determined: name the channels, or another layer"
            )
        return (values[:, None] if values.ndim == 1 else values).astype(np.float32)


def make_activity(
    network: Network, tensor: str, subject: Subject, device: str, threads: int
) -> Activity:
    """Cut the network at a tensor and load it. Raises ModelError or DeviceError."""
    graph = forward(network, tensor)
    footprint = Footprint(graph, subject.input.name)
    return Activity(Session(graph, device, threads), subject, footprint)


def _target(device: str) -> Target:
    return "cpu" if device == "cpu" else "cuda"
