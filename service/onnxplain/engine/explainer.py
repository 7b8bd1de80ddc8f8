"""The explainer: explains units of a model's layer for pictures, on ONNX Runtime.

It is the engine without its views, which are built on it.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Hashable, Iterator
from typing import Self, Unpack

import numpy as np
import numpy.typing as npt

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.arguments import CheckedChoices, class_labels
from onnxplain.engine.boxes import unit_boxes
from onnxplain.engine.choices import Choices
from onnxplain.engine.drawing import name_pictures, picture_of
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.join import join_pieces
from onnxplain.engine.labels import require_fitting
from onnxplain.engine.methods import find_method, run_method
from onnxplain.engine.notes import notes_of
from onnxplain.engine.pictures import Images, NamedInputs, PreparedInputs, Preprocess
from onnxplain.engine.preparation import Machine, prepared_run
from onnxplain.engine.probabilities import UnitProbabilities
from onnxplain.engine.progress import unreported
from onnxplain.engine.run import Run
from onnxplain.engine.runtime import (
    ByteCache,
    Model,
    OpenedModel,
    Stop,
    open_model,
    resolve_device,
)
from onnxplain.engine.signatures import with_choices
from onnxplain.engine.units import Units, choose_units, is_whole
from onnxplain.graphops import Method
from onnxplain.graphops.methods import DEFAULT_METHOD

__all__ = ["Explainer"]


class Explainer:
    """Runs explanations on one device; see `Engine`, which adds the views."""

    @checked
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
        self.result_bytes = math.inf

    @checked
    def limited(
        self,
        timeout: float | None,
        cancel: threading.Event | None = None,
        result_bytes: float = math.inf,
        built: list[Hashable] | None = None,
    ) -> Self:
        """Return this engine with limits that hold for all of its calls together.

        Args:
            timeout: seconds from now; None for no limit.
            cancel: an event that ends all calls when set.
            result_bytes: limit of the attributions of one `explain`.
            built: a list to which the keys of what the cache does not have are appended.

        Returns:
            An engine that shares the cache of this one.

        Raises:
            Cancelled, AnswerTooLarge: by the calls, where they exceed the limits.
        """
        engine = copy.copy(self)
        engine.result_bytes = result_bytes
        engine._stop = Stop(timeout, cancel)
        engine._cache = self._cache.noting(built)
        return engine

    @checked
    def stop(self, timeout: float | None = None, cancel: threading.Event | None = None) -> Stop:
        """Return the limits of one call: its own, or else the engine's.

        Args:
            timeout: seconds from now; None for no limit of the call's own.
            cancel: an event that ends the call when set.

        Returns:
            The limits, to be watched while the call runs.

        Raises:
            Cancelled: by `Stop.check`, once a limit is exceeded.
        """
        if self._stop is None or timeout is not None or cancel is not None:
            return Stop(timeout, cancel)
        return self._stop

    @checked
    def open(self, model: Model) -> OpenedModel:
        """Read and check a model, once for all calls.

        Args:
            model: a path, the bytes of a file, a ModelProto or a Network.

        Returns:
            The opened model, which every call takes in place of the model.

        Raises:
            MissingFile, ModelError: the model cannot be read or takes no picture.
        """
        return open_model(model, self._cache)

    @checked
    @with_choices
    def explain(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str | Method = DEFAULT_METHOD,
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> Explanation:
        """Project units of a layer back to the pixels of each image.

        Args:
            model: a path, the bytes of a file, a ModelProto, or the result of `open`.
            images: one or several paths, bytes, Pillow images or uint8 arrays [H, W, 3]; or one
                float array [N, C, H, W] that is already preprocessed, or a .npy or .npz file of it.
            layer: the name of a tensor, a node or an exporter's module; None for the class score.
                For class activation maps, the layer that the map lies over; `score_layer` names
                the one that is explained.
            method: a name in `onnxplain.engine.METHODS`, or a Method of your own.
            units: None for the strongest unit of each image (the top class), "top:K" for the K
                strongest, "all", channel numbers, or "whole" for the whole layer at once, the
                default of method inverse.
            **choices: see `Choices`; an option of single methods only for those.

        Returns:
            The explanation: attributions [images, units, ...] with scores, channels and notes.

        Raises:
            InputError, TypeError: an argument is wrong.
            ModelError: the model cannot be read or explained.
            DeviceError: the device cannot run, or runs out of memory.
            AnswerTooLarge, Cancelled: a limit is exceeded.
        """
        pieces = self.explain_units(model, images, layer, method, units, **choices)
        return join_pieces(pieces, self.result_bytes)

    @checked
    @with_choices
    def explain_units(
        self,
        model: Model,
        images: Images | PreparedInputs,
        layer: str | None = None,
        method: str | Method = DEFAULT_METHOD,
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> Iterator[Explanation]:
        """Yield the same result as `explain` in pieces: one image and a chunk of its units each.

        Args:
            model: as in `explain`, like the other arguments.
            images: one or several pictures, or one preprocessed float array; or what `prepare` in
                `onnxplain.engine.pictures` made of them.
            layer: a tensor, node or module; None for the class score.
            method: a name or a Method.
            units: the units of each image.
            **choices: see `Choices`; an option of single methods only for those.

        Yields:
            Explanations in the order of images and units; `first_image` is the image's index.

        Raises:
            InputError, TypeError, ModelError, DeviceError, Cancelled: as `explain`.
        """
        method = find_method(method)
        chosen = CheckedChoices.of(method, choices)
        progress = chosen.progress or unreported
        with self.stop(chosen.timeout, chosen.cancel).watching() as stop:
            whole = is_whole(units, method)
            run, prepared = self._prepared(model, images, layer, method, whole, chosen, stop)
            subject = run.subject
            names = prepared.names
            if chosen.names is not None:
                names = name_pictures(prepared.rows, chosen.names)
            bands = tuple(chosen.bands or ())
            if bands and not prepared.pictures and run.rows[0].ndim == 3:
                picture_of(run.rows[0], bands)  # refuses others before the work
            labels = class_labels(run.opened, subject.layer, whole, chosen)
            misfit = require_fitting(labels, subject.layer.channels) if chosen.labels else ()
            chosen_units = choose_units(run, units, whole)
            notes, done = (*prepared.notes, *subject.warnings, *misfit), 0
            progress(done, chosen_units.channels.size)
            probabilities = UnitProbabilities(run, chosen_units)
            for image, chunk, result in run_method(run, chosen_units):
                error = result.completeness_error
                probability = probabilities.of(image, chunk, result)
                box = unit_boxes(run, image, result.position)
                yield Explanation(
                    attribution=result.attribution[None],
                    score=result.score[None],
                    channels=chosen_units.channels[image : image + 1, chunk],
                    position=None if result.position is None else result.position[None],
                    box=None if box is None else box[None],
                    layer=subject.layer.tensor,
                    asked="" if layer is None or method.over == "map" else layer,
                    to=subject.to,
                    method=method.name,
                    pictures=prepared.pictures[image : image + 1] if result.of_picture else (),
                    photographs=prepared.photographs[image : image + 1]
                    if result.of_picture
                    else (),
                    labels=labels,
                    preprocess=prepared.preprocess,
                    notes=(*notes, *notes_of(run, chosen_units, labels, image, result)),
                    first_image=image,
                    names=names[image : image + 1],
                    seed_value=run.options.seed_value or method.seed_value,
                    completeness_error=None if error is None else error[None],
                    drawn_as=method.drawn,
                    negated=run.options.negate,
                    probability=None if probability is None else probability[None],
                    others={name: values[None] for name, values in result.others.items()},
                    inputs=() if prepared.pictures else run.rows[image : image + 1],
                    bands=bands,
                )
                done += len(result.score)
                progress(done, chosen_units.channels.size)

    @checked
    def values(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        preprocess: Preprocess | str | None = None,
        inputs: NamedInputs | None = None,
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield a layer's activations for each image, without explaining anything.

        Args:
            model: as in `explain`, like the other arguments.
            images: one or several pictures, or one preprocessed float array.
            layer: a tensor, node or module; None for the class score.
            preprocess: the preprocessing of pictures.
            inputs: the values of the network's further inputs, as in `explain`.

        Yields:
            One array [channels, ...] per image. A run takes as many images as fit into memory.

        Raises:
            InputError, ModelError, DeviceError, Cancelled: as `explain`.
        """
        with self.stop().watching() as stop:
            method = find_method("activation")
            choices = CheckedChoices(preprocess=preprocess, inputs=inputs)
            run, _ = self._prepared(model, images, layer, method, False, choices, stop)
            axis = run.subject.channel_axis
            for _, values in run.forward():
                yield from np.moveaxis(values, axis, 1) if values.ndim > axis else values

    def _prepared(
        self,
        model: Model,
        images: Images | PreparedInputs,
        layer: str | None,
        method: Method,
        whole: bool,
        choices: CheckedChoices,
        stop: Stop,
    ) -> tuple[Run, PreparedInputs]:
        machine = Machine(self.device, self.threads, self.memory_bytes, self._cache, stop)
        return prepared_run(machine, self.open(model), images, layer, method, whole, choices)
