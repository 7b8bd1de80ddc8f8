"""One call of the engine: what is explained, with which choices, and the graphs that are run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.pictures import Images, Preprocess
from onnxplain.engine.runtime import (
    SMALL_BYTES,
    Activity,
    ByteCache,
    Footprint,
    OpenedModel,
    Others,
    Plan,
    Projections,
    Stop,
    Subject,
    available_cores,
    make_activity,
    make_plan,
    release_memory,
)
from onnxplain.graphops import Method, Network, Options, begin_at
from onnxplain.graphops.cropping import Crop, crop_network, find_crop
from onnxplain.graphops.errors import OptionError

__all__ = ["Chosen", "ProjectedUnits", "Run", "batches"]

Array = npt.NDArray[Any]
ProjectedUnits = tuple[int, slice, Projections]  # index of the image, its units, their results
# On two cores a gradient of SqueezeNet took 1.3 times as long in batches of 16 as by itself; a
# forward pass of SqueezeNet or ResNet-50 gained 2 % in a batch of two and nothing beyond.
SAMPLE_BYTES_PER_CORE = 2**26


@dataclass(frozen=True, eq=False)
class Chosen:
    """The units to explain.

    channels: [images, units], -1 for the whole layer. positions: [images, units, spatial rank] of
    explicit coordinates, else None. regions: for each image the weights of the layer's positions,
    [*spatial], else None. runner_up: [images], the next strongest channel where the strongest one
    is explained, else None. strength: [images, channels], each channel's maximum, where it was
    needed to choose the units, else None. places: for each image the positions of these maxima,
    [channels, spatial rank], likewise.
    """

    channels: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64] | None = None
    regions: Sequence[npt.NDArray[np.float32]] | None = None
    runner_up: npt.NDArray[np.int64] | None = None
    strength: npt.NDArray[np.float32] | None = None
    places: Sequence[npt.NDArray[np.int64]] | None = None

    def part(self, images: Sequence[int], units: slice | Sequence[int] | Array) -> Chosen:
        """Return some of the units of some of the images."""
        return Chosen(
            self.channels[list(images)][:, units],
            None if self.positions is None else self.positions[list(images)][:, units],
            None if self.regions is None else [self.regions[i] for i in images],
        )

    def added(self, group: Sequence[int], chunk: slice) -> dict[str, Array]:
        """Return the inputs of a run that select a chunk of the units of each image in a group."""
        width = self.channels[0, chunk].size
        added: dict[str, Array] = {}
        if self.channels.size and self.channels[0, 0] >= 0:
            added["image_index"] = np.repeat(np.arange(len(group)), width)
            added["channel"] = self.channels[list(group), chunk].ravel()
        if self.positions is not None:
            added["position"] = self.positions[list(group), chunk].reshape(len(group) * width, -1)
        if self.regions is not None:
            added["region"] = np.repeat(np.stack([self.regions[i] for i in group]), width, axis=0)
        return added


@dataclass(frozen=True, eq=False)
class Run:
    """The argument of every method: the model, the images, the choices, and the means to run.

    own: the values of the method's own options. position: a word, coordinates, or None for the
    method's default. region: a mask of the layer's positions, or None. rows: the network's input
    for each image, without the batch axis. others: for each image, the values of further inputs by
    name. preprocess: the preprocessing of the pictures, None for arrays. sizes: the pictures' own
    heights and widths, empty for arrays. passes: called with the number of runs
    done for the current projections, and their total.
    """

    opened: OpenedModel
    subject: Subject
    method: Method
    options: Options
    own: Mapping[str, Any]
    position: object
    region: Images | None
    passes: Callable[[int, int], None] | None
    rows: tuple[Array, ...]
    others: tuple[Mapping[str, Array], ...]
    sizes: tuple[tuple[int, ...], ...]
    preprocess: Preprocess | None
    device: str
    threads: int
    memory_bytes: int
    cache: ByteCache
    stop: Stop

    @property
    def sample_bytes(self) -> int:
        """The limit of the tensors of a run whose items share nothing, such as noisy copies.

        On the CPU, more at once only leaves the caches.
        """
        if self.device != "cpu":
            return self.memory_bytes
        return min(self.memory_bytes, SAMPLE_BYTES_PER_CORE * (self.threads or available_cores()))

    def plan(
        self,
        method: Method,
        options: Options,
        from_target: bool = False,
        crop: Crop | None = None,
        one_unit: bool = False,
    ) -> Plan:
        """Return the plan of a method, from the cache where it has it.

        from_target: rewrite the network that starts at the target instead of the picture. crop:
        take crops of pictures, one unit at a given position of each. one_unit: each image of a run
        has one unit, so that the backward part needs no copies of what the forward part computed.
        """
        if crop is not None:
            axis = self.subject.channel_axis
            options = replace(options, select="channel", position="given", channel_axis=axis)
        elif one_unit and options.select is None and self.subject.separable:
            options = replace(options, select="channel")

        def build() -> tuple[Plan, int]:
            network = self.network_from_target() if from_target else self.opened.network
            if crop is not None:
                network = Network(crop_network(network, self.subject.layer.tensor, crop))
            plan = make_plan(
                network,
                self._layer(method),
                method,
                options,
                self.subject,
                self.device,
                self.threads,
            )
            release_memory()
            return plan, plan.session.bytes

        subject = self.subject
        ends = (subject.layer.tensor, subject.to, self.options.channel_axis, subject.input.name)
        key = ("plan", self.opened.sha256, method, ends, options, from_target)
        return self.cache.get((*key, None if crop is None else crop.size), build)

    def crop(self, shape: tuple[int, ...]) -> Crop | None:
        """Return where to crop a picture of this shape for a unit, None where that is not exact."""
        picture, layer = self.subject.input, self.subject.layer
        sizes = shape[:-1] if picture.channels_last else shape[1:]
        key = ("crop", self.opened.sha256, layer.tensor, sizes)

        def build() -> tuple[Crop | None, int]:
            return find_crop(self.opened.network, layer.tensor, sizes), SMALL_BYTES

        crop = self.cache.get(key, build)
        axes = {*range(1, len(layer.shape or ()))} - {self.subject.channel_axis}
        return crop if crop is not None and axes == set(crop.layer_axis) else None

    def activity(self, tensor: str | None = None, from_target: bool = False) -> Activity:
        """Return the network cut at a tensor, by default the layer."""

        def build() -> tuple[Activity, int]:
            network = self.network_from_target() if from_target else self.opened.network
            activity = make_activity(network, tensor, self.subject, self.device, self.threads)
            release_memory()
            return activity, activity.session.bytes

        start = self.subject.to if from_target else None
        ends = (start, self.subject.layer.tensor, self.options.channel_axis)
        key = ("activity", self.opened.sha256, tensor, ends, self.subject.input.name)
        return self.cache.get(key, build)

    def forward(self) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
        """Yield the indices of the images of one run, and the layer's values for them."""
        activity = self.activity()
        for group in batches(self.rows, activity.footprint, self.sample_bytes):
            yield group, self.values(group, activity)

    def values(
        self, images: Sequence[int], activity: Activity | None = None
    ) -> npt.NDArray[np.float32]:
        """Return a tensor's values, by default the layer's, for images of one shape."""
        activity = activity or self.activity()
        return activity.run([self.rows[i] for i in images], self.stop, self.others_of(images))

    def others_of(self, images: Sequence[int]) -> Others:
        """Return the values of further inputs for each of these images."""
        return [self.others[i] for i in images] if self.others else ()

    def network_from_target(self) -> Network:
        """Return the network with the target, the tensor projected back to, as a further input."""

        def build() -> tuple[Network, int]:
            network = Network(begin_at(self.opened.network, self.subject.to))
            return network, network.size_bytes

        return self.cache.get(("from target", self.opened.sha256, self.subject.to), build)

    def report(self, done: int, total: int) -> None:
        """Report the runs done for the current projections. Raises Cancelled at the deadline."""
        self.stop.check()
        if self.passes is not None:
            self.passes(done, total)

    def require_picture_target(self) -> None:
        """Raise OptionError for a target other than the picture."""
        if self.options.to is not None and self.options.to != self.subject.input.name:
            raise OptionError(
                f"method '{self.method.name}' changes the picture, so it explains to nothing but "
                f"the picture, not to '{self.options.to}': leave `to` out"
            )

    def _layer(self, method: Method) -> str:
        """Return the `layer` of a rewrite: for class activation maps, the one the map lies over."""
        is_map = self.options.score_layer is not None or method.over == "map"
        return self.subject.to if is_map else self.subject.layer.tensor


def batches(
    rows: Sequence[Array], footprint: Footprint, memory_bytes: int, units: int = 1
) -> Iterator[list[int]]:
    """Yield the indices of consecutive images of one shape whose `units` fit into memory."""
    for _, same in itertools.groupby(range(len(rows)), key=lambda i: rows[i].shape):
        images = list(same)
        wanted = len(images) * units
        most = footprint.max_batch(rows[images[0]].shape, memory_bytes, wanted) // units or 1
        for start in range(0, len(images), most):
            yield images[start : start + most]
