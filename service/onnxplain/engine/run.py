"""One explanation on its way: what is explained, with which choices, and the graphs it runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import Preprocess
from onnxplain.engine.runtime import (
    Activity,
    ByteCache,
    Footprint,
    OpenedModel,
    Plan,
    Projections,
    Stop,
    Subject,
    give_back,
    make_activity,
    make_plan,
)
from onnxplain.graphops import Method, Network, Options, begin_at
from onnxplain.graphops.errors import OptionError

__all__ = ["Chosen", "ProjectedUnits", "Run", "batches"]

Array = npt.NDArray[Any]
ProjectedUnits = tuple[int, slice, Projections]  # the image, which of its units, and the results


@dataclass(frozen=True, eq=False)
class Chosen:
    """The units: channels [images, units], -1 for the whole layer; positions where given.

    positions: [images, units, spatial rank] or None.
    """

    channels: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """What every method is given.

    own: the method's options, see `Choices`. position: a word, coordinates, or None for the
    method's default. rows: the images, as the network takes them, without a batch. preprocess: how
    these were made of pictures, None where they came as arrays. passes: called with the runs done
    of the projections under way, and their total.
    """

    opened: OpenedModel
    subject: Subject
    method: Method
    options: Options
    own: Mapping[str, Any]
    position: object
    passes: Callable[[int, int], None] | None
    rows: tuple[Array, ...]
    preprocess: Preprocess | None
    device: str
    threads: int
    memory_bytes: int
    cache: ByteCache
    stop: Stop

    def plan(self, method: Method, options: Options, begun: bool = False) -> Plan:
        """Return the plan of a method, from the cache if it was made before.

        begun: of the network that begins at the tensor projected back to, instead of the picture.
        """

        def build() -> tuple[Plan, int]:
            made = make_plan(
                self.begun() if begun else self.opened.network,
                self._layer(method),
                method,
                options,
                self.subject,
                self.device,
                self.threads,
            )
            give_back()
            return made, made.session.bytes

        ends = (self.subject.layer.tensor, self.subject.to, self.options.channel_axis)
        key = ("plan", self.opened.sha256, method, ends, options, begun)
        return self.cache.get(key, build)

    def activity(self, tensor: str | None = None, begun: bool = False) -> Activity:
        """Return the network cut at a tensor, by default the layer."""
        name = self.subject.layer.tensor if tensor is None else tensor

        def build() -> tuple[Activity, int]:
            network = self.begun() if begun else self.opened.network
            made = make_activity(network, name, self.subject, self.device, self.threads)
            give_back()
            return made, made.session.bytes

        start = self.subject.to if begun else None
        axis = self.options.channel_axis
        return self.cache.get(("activity", self.opened.sha256, name, start, axis), build)

    def forward(self) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
        """Yield the numbers of the images that fit into a run, and the layer's values for them."""
        activity = self.activity()
        for group in batches(self.rows, activity.footprint, self.memory_bytes):
            yield group, activity.run([self.rows[i] for i in group], self.stop)

    def begun(self) -> Network:
        """Return the network that has the tensor projected back to as an input beside its own."""

        def build() -> tuple[Network, int]:
            network = Network(begin_at(self.opened.network, self.subject.to))
            return network, network.size_bytes

        return self.cache.get(("begun", self.opened.sha256, self.subject.to), build)

    def passed(self, done: int, total: int) -> None:
        """Tell the caller how far the projections under way are, and see whether to stop."""
        self.stop.check()
        if self.passes is not None:
            self.passes(done, total)

    def require_whole_way(self) -> None:
        """Raise OptionError where an attribution to another tensor than the input is asked for."""
        if self.options.to is not None and self.subject.to != self.subject.input.name:
            raise OptionError(
                f"method '{self.method.name}' changes the picture itself and knows no other end: "
                "leave `to` out"
            )

    def _layer(self, method: Method) -> str:
        """Return what a rewrite is given as its layer: class activation maps name their map's."""
        over = self.options.score_layer is not None or method.over == "map"
        return self.subject.to if over else self.subject.layer.tensor


def batches(
    rows: Sequence[Array], footprint: Footprint, memory_bytes: int, units: int = 1
) -> Iterator[list[int]]:
    """Yield the numbers of consecutive images of one shape whose `units` fit into the memory."""
    for _, same in itertools.groupby(range(len(rows)), key=lambda i: rows[i].shape):
        images = list(same)
        most = max(1, footprint.rows(rows[images[0]].shape, memory_bytes) // units)
        for start in range(0, len(images), most):
            yield images[start : start + most]
