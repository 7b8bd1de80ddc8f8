"""Graphs ready to run on one device: a plan projects a layer's units, an activity is its values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.runtime.footprint import Footprint
from onnxplain.engine.runtime.loading import Loadable
from onnxplain.engine.runtime.sessions import Session, Stop
from onnxplain.engine.runtime.subject import Others, Subject, target_of
from onnxplain.graphops import (
    Method,
    Network,
    Options,
    forward,
    read_metadata,
    rewrite,
)
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.options import Select

__all__ = [
    "Activity",
    "Plan",
    "Projections",
    "make_activity",
    "make_plan",
]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Projections:
    """The results of B units: attribution [B, ...], score [B], position [B, spatial rank].

    completeness_error: [B], the violation of the method's conservation law, None without one.
    others: the attributions to further inputs, by name.
    of_picture: whether the given picture has a part in the attribution.
    notes: sentences about how the attributions came about.
    """

    attribution: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    position: npt.NDArray[np.int64] | None = None
    completeness_error: npt.NDArray[np.float32] | None = None
    of_picture: bool = True
    others: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
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
            others={name: values[start:stop] for name, values in self.others.items()},
        )

    @staticmethod
    def join(pieces: Sequence[Projections]) -> Projections:
        """Concatenate results, in their order."""
        joined: dict[str, Any] = {}
        for name in ("attribution", "score", "position", "completeness_error"):
            arrays = [getattr(piece, name) for piece in pieces]
            joined[name] = None if arrays[0] is None else np.concatenate(arrays)
        joined["others"] = {
            name: np.concatenate([piece.others[name] for piece in pieces])
            for name in pieces[0].others
        }
        return replace(pieces[0], **joined)


@dataclass(frozen=True, eq=False)
class Plan:
    """A session of the rewritten graph.

    select: "pairs" if one run takes many units of many images; "channel", with one unit per image,
    if that is all, or the batch is fixed; "whole"; or "seed", with one cotangent per image.
    renamed: the new names of the rewriter's inputs and outputs whose names the network has taken.
    over: the tensor whose shape the attribution has, "" for a class activation map.
    """

    session: Session
    subject: Subject
    select: str
    renamed: Mapping[str, str]
    footprint: Footprint
    over: str

    def run(
        self, rows: Sequence[Array], added: Mapping[str, Array], stop: Stop, others: Others = ()
    ) -> Projections:
        """Project B units of images of one shape.

        added: the graph's added inputs by name, such as `channel` [B]. `image_index` [B] is the
        image of each unit; without it, there is one unit per image. others: see `Subject.feeds`.
        """
        if self.select == "pairs" or self.subject.separable:
            return self._run(self.subject.feeds(rows, others), added, stop)
        batch, results = self.subject.batch_size, []
        images = added.get("image_index", np.arange(len(rows)))
        per_unit = {k: v for k, v in added.items() if k not in ("image_index", "baseline")}
        for b, image in enumerate(images):
            filled = {k: np.repeat(v[b : b + 1], batch, axis=0) for k, v in per_unit.items()}
            if "baseline" in added:
                filled["baseline"] = added["baseline"]
            same = [others[image]] * batch if others else ()
            feeds = self.subject.feeds([rows[image]] * batch, same)
            results.append(self._run(feeds, filled, stop).rows(0, 1))
        return Projections.join(results)

    def _run(self, feeds: dict[str, Array], added: Mapping[str, Array], stop: Stop) -> Projections:
        for name, tensor in (("seed", self.subject.layer.tensor), ("baseline", self.subject.to)):
            if name in added and tensor in self.subject.unbatched:
                added = {**added, name: added[name][0]}
        if "seed" in added and len(self.subject.layer.shape or (0, 0)) == 1:
            added = {**added, "seed": added["seed"].reshape(-1)}
        feeds |= {self.renamed.get(name, name): value for name, value in added.items()}
        feeds = self.session.fitting(feeds)
        names = ("attribution", "score", "position", "completeness_error")
        wanted = [self.renamed.get(name, name) for name in names]
        further = {
            one.name: self.renamed.get(f"attribution.{one.name}", f"attribution.{one.name}")
            for one in (self.subject.input, *self.subject.further)
        }
        further = {n: output for n, output in further.items() if output in self.session.outputs}
        wanted_all = [*wanted, *further.values()]
        present = [name for name in wanted_all if name in self.session.outputs]
        outputs = dict(zip(present, self.session.run(feeds, present, stop), strict=True))
        attribution, score, position, error = (outputs.get(name) for name in wanted)
        if attribution is None or score is None:
            raise UnsupportedModel("the graph has no outputs 'attribution' and 'score'")
        attribution = self.subject.with_batch(attribution, self.over)
        return Projections(
            attribution.astype(np.float32),
            score.astype(np.float32),
            None if position is None else position.astype(np.int64),
            None if error is None else error.astype(np.float32),
            others={
                name: self.subject.with_batch(outputs[output], name).astype(np.float32)
                for name, output in further.items()
            },
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
    """Rewrite the network in its fastest form and load it.

    Raises InputError, ModelError or DeviceError.
    """
    select: Select = options.select or ("channel" if subject.fixed else "pairs")
    options = replace(options, target=target_of(device), select=select, lowering="fast")
    graph = rewrite(network, layer, method, options)
    over = subject.to if method.over == "target" else subject.input.name if method.onwards else ""
    renamed = json.loads(read_metadata(graph).get("onnxplain.renamed", "{}"))
    footprint = Footprint(graph, subject.input.name)
    loadable = Loadable(graph)
    del graph
    session = Session(loadable, device, threads)
    return Plan(session, subject, select, renamed, footprint, over)


@dataclass(frozen=True, eq=False)
class Activity:
    """The network cut at a tensor, whose values are its output.

    of_units: whether one number per image counts as a channel of its own, as in the layer.
    """

    session: Session
    subject: Subject
    footprint: Footprint
    tensor: str
    of_units: bool

    def run(
        self, rows: Sequence[Array], stop: Stop, others: Others = ()
    ) -> npt.NDArray[np.float32]:
        """Return the values for images of one shape, [images, ...]. others: see `Subject.feeds`."""
        if self.subject.separable:
            return self._run(rows, others, stop)
        batch, values = self.subject.batch_size, []
        for i, row in enumerate(rows):
            same = [others[i]] * batch if others else ()
            values.append(self._run([row] * batch, same, stop)[:1])
        return np.concatenate(values)

    def _run(self, rows: Sequence[Array], others: Others, stop: Stop) -> npt.NDArray[np.float32]:
        feeds = self.session.fitting(self.subject.feeds(rows, others))
        (values,) = self.session.run(feeds, ["activation"], stop)
        values = self.subject.with_batch(values, self.tensor)
        if len(np.shape(values)) == 0 or len(values) != len(rows):
            raise UnsupportedModel(
                f"layer '{self.subject.layer.tensor}' has the shape {list(np.shape(values))} for "
                f"{len(rows)} images, without a batch axis of that size, so the strongest units "
                "of an image cannot be determined: name the channels, or another layer"
            )
        return (values[:, None] if self.of_units and values.ndim == 1 else values).astype(
            np.float32
        )


def make_activity(
    network: Network, tensor: str | None, subject: Subject, device: str, threads: int
) -> Activity:
    """Cut the network at a tensor, None for the layer. Raises ModelError or DeviceError."""
    of_units, tensor = tensor is None, subject.layer.tensor if tensor is None else tensor
    graph = forward(network, tensor)
    footprint = Footprint(graph, subject.input.name)
    loadable = Loadable(graph)
    del graph
    session = Session(loadable, device, threads)
    return Activity(session, subject, footprint, tensor, of_units)
