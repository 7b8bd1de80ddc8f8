"""The engine: explains units of a model's layer for pictures, on ONNX Runtime."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict, Unpack, cast

import numpy as np
import numpy.typing as npt

from onnxplain.engine.cache import ByteCache
from onnxplain.engine.explanation import Explanation, join_images, join_units, require_same_size
from onnxplain.engine.inputs import Images, Prepared, prepare
from onnxplain.engine.opening import Model, OpenedModel, open_model, stored_labels
from onnxplain.engine.plans import (
    Activity,
    Plan,
    Projections,
    batches,
    make_activity,
    make_plan,
    project,
)
from onnxplain.engine.preprocess import Preprocess
from onnxplain.engine.sessions import Stop, resolve_device
from onnxplain.engine.units import Units, choose, place, strongest, top_count
from onnxplain.graphops import Options
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.options import Position, SeedValue, Unpool

__all__ = ["Choices", "Engine", "explain"]


class Choices(TypedDict, total=False):
    """What may be chosen about an explanation besides model, images, layer, method and units.

    position: "all", "max", or coordinates: a sequence for all units, or [images, units, rank].
    seed_value: "activation" or "one". Both default to the method's own.
    to: the tensor projected back to. unpool, channel_axis: see `onnxplain.graphops.Options`.
    preprocess: a Preprocess or the name of a preset; default the model's own, or a guess.
    labels: class names by channel, for the drawing of class scores.
    timeout: seconds after which Cancelled is raised. cancel: an event that does so when set.
    progress: called with the projections done and their total.
    """

    position: str | Sequence[int] | npt.NDArray[np.int64] | None
    seed_value: str | None
    to: str | None
    unpool: str
    channel_axis: int | None
    preprocess: Preprocess | str | None
    labels: Sequence[str] | None
    timeout: float | None
    cancel: threading.Event | None
    progress: Callable[[int, int], None] | None


class Engine:
    """Explains models on one device, and keeps what it built for the next time. Thread-safe.

    device: "auto", "cpu", "cuda" or "cuda:N". cache_bytes: for models and sessions that are kept.
    memory_bytes: for the signals of one run; more units or images take more runs. threads: of ONNX
    Runtime within an operator, 0 for as many as there are cores.

    Raises DeviceError where the device cannot run.
    """

    def __init__(
        self,
        device: str = "auto",
        *,
        cache_bytes: int = 2**30,
        memory_bytes: int = 2**30,
        threads: int = 0,
    ) -> None:
        self.device = resolve_device(device)
        self.memory_bytes = memory_bytes
        self.threads = threads
        self._cache = ByteCache(cache_bytes)

    def explain(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str = "deconvnet",
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> Explanation:
        """Project units of a layer back to the pixels of each image.

        model: a path, the bytes of a file, or a ModelProto.
        images: one or several paths, bytes, Pillow images or uint8 arrays [H, W, 3]; or one float
            array [N, C, H, W], taken as already preprocessed.
        layer: a tensor's, node's or module's name; None is the class score.
        method: "gradient", "deconvnet" or "guided_backprop".
        units: None for the strongest unit of each image (the top class), "top:K" for the K
            strongest, "all", or channel numbers.

        Raises InputError, ModelError, DeviceError or Cancelled.
        """
        joined: list[Explanation] = []
        pieces = self.explain_units(model, images, layer, method, units, **choices)
        for _, group in itertools.groupby(pieces, key=lambda piece: piece.first_image):
            joined.append(join_units(list(group)))
            require_same_size(joined[0], joined[-1])
        return join_images(joined)

    def explain_units(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str = "deconvnet",
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> Iterator[Explanation]:
        """Yield the same result as `explain` in pieces: one image and a chunk of its units each.

        The pieces come in the order of images and units; `first_image` tells a piece's image.
        """
        for name in choices:
            if name not in Choices.__annotations__:
                raise TypeError(f"explain() got an unexpected keyword argument '{name}'")
        progress = choices.get("progress") or (lambda done, total: None)
        with Stop(choices.get("timeout"), choices.get("cancel")).watching() as stop:
            opened = open_model(model, self._cache)
            labels = choices.get("labels")
            prepared = prepare(opened.model, images, choices.get("preprocess"))
            stop.check()
            plan = self._plan(opened, layer, method, choices)
            channels, positions = self._choose(opened, plan, prepared, units, choices, stop)
            done = 0
            progress(done, channels.size)
            for image, chunk, result in project(
                plan, prepared.rows, channels, positions, self.memory_bytes, stop
            ):
                yield Explanation(
                    attribution=result.attribution[None],
                    score=result.score[None],
                    channels=channels[image : image + 1, chunk],
                    position=None if result.position is None else result.position[None],
                    layer=plan.layer.tensor,
                    to=plan.to,
                    method=method,
                    pictures=prepared.pictures[image : image + 1],
                    labels=_labels(opened, plan, labels),
                    preprocess=prepared.preprocess,
                    notes=(*prepared.notes, *plan.warnings, *_oddities(result)),
                    first_image=image,
                )
                done += len(result.score)
                progress(done, channels.size)

    def _plan(self, opened: OpenedModel, layer: str | None, method: str, choices: Choices) -> Plan:
        position = choices.get("position")
        if isinstance(position, str) and position == "given":
            raise OptionError("position 'given' is not a place: give its coordinates instead")
        word = position if position is None or isinstance(position, str) else "given"
        options = Options(  # it refuses words that are none of its own
            position=cast("Position | None", word),
            seed_value=cast("SeedValue | None", choices.get("seed_value")),
            to=choices.get("to"),
            unpool=cast("Unpool", choices.get("unpool", "auto")),
            channel_axis=choices.get("channel_axis"),
            keep_outputs=False,
        )

        def build() -> tuple[Plan, int]:
            plan = make_plan(opened, layer, method, options, self.device, self.threads)
            return plan, plan.session.bytes

        return self._cache.get(("plan", opened.sha256, layer, method, options), build)

    def _activity(self, opened: OpenedModel, plan: Plan) -> Activity:
        def build() -> tuple[Activity, int]:
            activity = make_activity(opened, plan, self.device, self.threads)
            return activity, activity.session.bytes

        return self._cache.get(("activity", opened.sha256, plan.layer.tensor), build)

    def _choose(
        self,
        opened: OpenedModel,
        plan: Plan,
        prepared: Prepared,
        units: Units,
        choices: Choices,
        stop: Stop,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
        """Return the channels [images, units] and, where they are given, their positions."""
        position = choices.get("position")
        given = position is not None and not isinstance(position, str)
        name, rows, channels = plan.layer.tensor, prepared.rows, plan.layer.channels
        if top_count(units) is None and not given and channels is not None:
            return choose(units, len(rows), channels, None, name), None
        activity, axis = self._activity(opened, plan), plan.channel_axis
        strengths, sizes = [], []
        for group in batches(rows, self.memory_bytes):
            values = activity.run([rows[i] for i in group], stop)
            strengths.append(strongest(values, axis))
            sizes += [values.shape[1:axis] + values.shape[axis + 1 :]] * len(group)
        strength = np.concatenate(strengths)
        chosen = choose(units, len(rows), strength.shape[1], strength, name)
        return chosen, place(position, sizes, chosen.shape[1], name) if given else None


_default: list[Engine] = []
_default_lock = threading.Lock()


def explain(
    model: Model,
    images: Images,
    layer: str | None = None,
    method: str = "deconvnet",
    units: Units = None,
    **choices: Unpack[Choices],
) -> Explanation:
    """Do what `Engine.explain` does, with one Engine that all callers of the process share."""
    with _default_lock:
        if not _default:
            _default.append(Engine())
    return _default[0].explain(model, images, layer, method, units, **choices)


def _labels(opened: OpenedModel, plan: Plan, given: Sequence[str] | None) -> tuple[str, ...]:
    if not {"class score", "output"} & set(plan.layer.marks):
        return ()
    return stored_labels(opened.model) if given is None else tuple(given)


def _oddities(result: Projections) -> tuple[str, ...]:
    if np.isfinite(result.attribution).all() and np.isfinite(result.score).all():
        return ()
    return (
        "some values are NaN or infinite: the network overflows, or the picture has such values",
    )
