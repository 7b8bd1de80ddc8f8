"""The engine: explains units of a model's layer for pictures, on ONNX Runtime."""

from __future__ import annotations

import copy
import itertools
import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from inspect import cleandoc
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.drawing import name_pictures
from onnxplain.engine.explanation import Explanation, join_images, join_units, require_same_size
from onnxplain.engine.methods import find_method, run_method
from onnxplain.engine.options import Choices, describe_options, to_options
from onnxplain.engine.pictures import Images, PreparedInputs, Preprocess, prepare
from onnxplain.engine.run import Run
from onnxplain.engine.runtime import (
    ByteCache,
    Model,
    OpenedModel,
    Projections,
    Stop,
    Subject,
    find_subject,
    open_model,
    resolve_device,
    stored_labels,
)
from onnxplain.engine.units import Units, choose_units, is_whole, pinpoints
from onnxplain.graphops import Method
from onnxplain.graphops.errors import AnswerTooLarge
from onnxplain.graphops.options import STEPS

__all__ = ["Choices", "Engine", "explain"]

INCOMPLETE = 0.01  # relative completeness error above which a note is added


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
        self._stop: Stop | None = None
        self._result_bytes = math.inf

    def limited(
        self,
        timeout: float | None,
        cancel: threading.Event | None = None,
        result_bytes: float = math.inf,
    ) -> Engine:
        """Return this engine for work of many calls, all of which raise Cancelled after the end.

        timeout: seconds from now on. cancel: an event that is the end when set. result_bytes: what
        one call of `explain` may give; for more it raises AnswerTooLarge before it has computed it.
        """
        engine = copy.copy(self)
        engine._result_bytes = result_bytes
        engine._stop = Stop(timeout, cancel)
        return engine

    def stop(self, timeout: float | None = None, cancel: threading.Event | None = None) -> Stop:
        """Return when a call must end: as it says itself, or else with the engine's own limits."""
        if self._stop is None or timeout is not None or cancel is not None:
            return Stop(timeout, cancel)
        return self._stop

    def open(self, model: Model) -> OpenedModel:
        """Return the model, read and checked. Raises MissingFile or ModelError."""
        return open_model(model, self._cache)

    def explain(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str | Method = "deconvnet",
        units: Units = None,
        **choices: Any,
    ) -> Explanation:
        """Project units of a layer back to the pixels of each image.

        model: a path, the bytes of a file, a ModelProto, or what `open` gave.
        images: one or several paths, bytes, Pillow images or uint8 arrays [H, W, 3]; or one float
            array [N, C, H, W], taken as already preprocessed.
        layer: a tensor's, node's or module's name; None is the class score.
            For class activation maps (grad_cam and its like) it names the layer that the map lies
            over, and `score_layer` the one that is explained.
        method: a name of `onnxplain.engine.METHODS`, or a method of your own.
        units: None for the strongest unit of each image (the top class), "top:K" for the K
            strongest, "all", channel numbers, or "whole" for the layer all at once, which is
            method inverse's default.
        choices: see `Choices`, and the options of methods, see `METHODS`.

        Raises InputError, ModelError, DeviceError or Cancelled.
        """
        joined: list[Explanation] = []
        pieces = self._bounded(self.explain_units(model, images, layer, method, units, **choices))
        for _, group in itertools.groupby(pieces, key=lambda piece: piece.first_image):
            joined.append(join_units(list(group)))
            require_same_size(joined[0], joined[-1])
        return join_images(joined)

    def _bounded(self, pieces: Iterator[Explanation]) -> Iterator[Explanation]:
        size = 0
        for piece in pieces:
            size += piece.attribution.nbytes
            if size > self._result_bytes:
                raise AnswerTooLarge(
                    f"the attributions take more than {self._result_bytes:,.0f} bytes: ask for "
                    "fewer images or units, or call explain_units, which yields them one by one"
                )
            yield piece

    def explain_units(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str | Method = "deconvnet",
        units: Units = None,
        **choices: Any,
    ) -> Iterator[Explanation]:
        """Yield the same result as `explain` in pieces: one image and a chunk of its units each.

        The pieces come in the order of images and units; `first_image` tells a piece's image.
        """
        method = find_method(method)
        chosen = Choices.of(method, choices)
        progress = chosen.progress or (lambda done, total: None)
        with self.stop(chosen.timeout, chosen.cancel).watching() as stop:
            whole = is_whole(units, method)
            run, prepared = self._prepared(model, images, layer, method, whole, chosen, stop)
            subject = run.subject
            names = prepared.names
            if chosen.names is not None:
                names = name_pictures(prepared.rows, chosen.names)
            labels = _labels(run, whole, chosen)
            # Pictures that are made of noise have nothing of the image.
            made = method.drawn == "picture" and run.own.get("start") == "noise"
            wanted = choose_units(run, units, whole)
            notes, done = (*prepared.notes, *subject.warnings), 0
            progress(done, wanted.channels.size)
            for image, chunk, result in run_method(run, wanted):
                error = result.completeness_error
                yield Explanation(
                    attribution=result.attribution[None],
                    score=result.score[None],
                    channels=wanted.channels[image : image + 1, chunk],
                    position=None if result.position is None else result.position[None],
                    layer=subject.layer.tensor,
                    to=subject.to,
                    method=method.name,
                    pictures=() if made else prepared.pictures[image : image + 1],
                    labels=labels,
                    preprocess=prepared.preprocess,
                    notes=(*notes, *pinpoints(run, run.rows[image]), *_oddities(method, result)),
                    first_image=image,
                    names=names[image : image + 1],
                    seed_value=run.options.seed_value or method.seed_value,
                    completeness_error=None if error is None else error[None],
                )
                done += len(result.score)
                progress(done, wanted.channels.size)

    def values(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        preprocess: Preprocess | str | None = None,
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield for each image the values of a layer, [channels, ...], with nothing explained.

        The arguments are those of `explain`. As many images as fit into the memory are run at once.
        """
        with self.stop().watching() as stop:
            method, choices = find_method("activation"), Choices(preprocess=preprocess)
            run, _ = self._prepared(model, images, layer, method, False, choices, stop)
            axis = run.subject.channel_axis
            for _, values in run.forward():
                yield from np.moveaxis(values, axis, 1) if values.ndim > axis else values

    def _prepared(
        self,
        model: Model,
        images: Images,
        layer: str | None,
        method: Method,
        whole: bool,
        choices: Choices,
        stop: Stop,
    ) -> tuple[Run, PreparedInputs]:
        opened = self.open(model)
        prepared = prepare(opened.model, images, choices.preprocess)
        stop.check()
        options = to_options(choices, method, whole, prepared)

        def resolved() -> tuple[Subject, int]:
            return find_subject(opened, layer, method, options, self.device), 0

        # Of the method's own options only this one changes what is explained.
        rest = (options.score_layer, replace(options, own=()))
        key = ("subject", opened.sha256, layer, method, rest)
        run = Run(
            opened=opened,
            subject=self._cache.get(key, resolved),
            method=method,
            options=options,
            own=choices.own,
            position=choices.position,
            passes=choices.passes,
            rows=prepared.rows,
            preprocess=prepared.preprocess,
            device=self.device,
            threads=self.threads,
            memory_bytes=self.memory_bytes,
            cache=self._cache,
            stop=stop,
        )
        return run, prepared


_default: list[Engine] = []
_default_lock = threading.Lock()


def explain(
    model: Model,
    images: Images,
    layer: str | None = None,
    method: str | Method = "deconvnet",
    units: Units = None,
    **choices: Any,
) -> Explanation:
    """Do what `Engine.explain` does, with one Engine that all callers of the process share."""
    with _default_lock:
        if not _default:
            _default.append(Engine())
    return _default[0].explain(model, images, layer, method, units, **choices)


explain.__doc__ = "\n\n".join(
    (cleandoc(explain.__doc__ or ""), cleandoc(Engine.explain.__doc__ or ""), describe_options())
)


def _labels(run: Run, whole: bool, choices: Choices) -> tuple[str, ...]:
    if whole or not {"class score", "output"} & set(run.subject.layer.marks):
        return ()
    if choices.labels is None:
        return stored_labels(run.opened.model)
    return tuple(choices.labels)


def _oddities(method: Method, result: Projections) -> Iterator[str]:
    if not (np.isfinite(result.attribution).all() and np.isfinite(result.score).all()):
        yield (
            "some values are NaN or infinite: the network overflows, or the picture has such values"
        )
        return
    error = result.completeness_error
    if STEPS in method.takes and error is not None:
        change = result.attribution.reshape(len(error), -1).sum(axis=1, dtype=np.float64) - error
        if (np.abs(error) > INCOMPLETE * np.abs(change)).any():
            yield (
                "an attribution's sum is more than 1 % apart from f(input) - f(baseline), see the "
                "completeness error: a kink of the network lies between two steps, take more steps"
            )
