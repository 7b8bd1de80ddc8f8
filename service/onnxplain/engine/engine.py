"""The engine: the explainer with the views and the evaluation as its methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Unpack, overload

import numpy.typing as npt

from onnxplain.engine import evaluation, views
from onnxplain.engine.argument_checks import checked
from onnxplain.engine.choices import Choices
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.inference import run_network
from onnxplain.engine.pictures import Images
from onnxplain.engine.preparation import Machine
from onnxplain.engine.runtime import Model
from onnxplain.engine.signatures import with_choices
from onnxplain.engine.units import Units
from onnxplain.engine.views import SideBySide, explain_by_each
from onnxplain.graphops import Method
from onnxplain.graphops.methods import DEFAULT_METHOD

__all__ = ["Engine", "Methods"]

# Sequence[str] would take in a single name.
Methods: TypeAlias = "list[str] | list[Method] | list[str | Method] | tuple[str | Method, ...]"


class Engine(Explainer):
    """Explains models on one device, and caches models and sessions. Thread-safe.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".
        cache_bytes: limit of the cache.
        memory_bytes: limit of the tensors of one run; more units or images take more runs.
        threads: ONNX Runtime's threads within an operator; 0 for one per core.

    Raises:
        OptionError: an unknown device.
        MissingRuntime: there is no ONNX Runtime.
        DeviceError: the device cannot run.
    """

    @overload
    def explain(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str | Method = DEFAULT_METHOD,
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> Explanation: ...
    @overload
    def explain(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: Methods = ...,
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> SideBySide: ...
    @checked
    @with_choices
    def explain(
        self,
        model: Model,
        images: Images,
        layer: str | None = None,
        method: str | Method | Methods = DEFAULT_METHOD,
        units: Units = None,
        **choices: Unpack[Choices],
    ) -> Explanation | SideBySide:
        """Project units of a layer back to the pixels of each image.

        Args:
            model: a path, the bytes of a file, a ModelProto, or the result of `open`.
            images: one or several paths, bytes, Pillow images or uint8 arrays [H, W, 3]; or one
                float array [N, C, H, W] that is already preprocessed, or a .npy or .npz file of it.
            layer: the name of a tensor, a node or an exporter's module; None for the class score.
                For class activation maps, the layer that the map lies over; `score_layer` names
                the one that is explained.
            method: a name in `onnxplain.engine.METHODS`, or a Method of your own; or a list of
                these, which are explained side by side.
            units: None for the strongest unit of each image (the top class), "top:K" for the K
                strongest, "all", channel numbers, or "whole" for the whole layer at once, the
                default of method inverse.
            **choices: see `Choices`; an option of single methods only for those.

        Returns:
            The explanation: attributions [images, units, ...] with scores, channels and notes. For
            a list of methods, the explanations by the methods' names; those that cannot explain the
            network are in `refused`, with the reasons.

        Raises:
            InputError, TypeError: an argument is wrong.
            ModelError: the model cannot be read or explained, by any of the methods.
            DeviceError: the device cannot run, or runs out of memory.
            AnswerTooLarge, Cancelled: a limit is exceeded.
        """
        if isinstance(method, str | Method):
            return super().explain(model, images, layer, method, units, **choices)
        return explain_by_each(self, model, images, method, layer, units, **choices)

    @checked
    def infer(
        self, model: Model, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str] = ()
    ) -> dict[str, npt.NDArray[Any]]:
        """Run a model as it is, in one run.

        Args:
            model: as in `explain`.
            inputs: the values of its inputs by name, in their types and shapes.
            outputs: the names of the outputs to return; none for all.

        Returns:
            The values of the outputs by name.

        Raises:
            InputError: an input is missing, or does not fit; or there is no such output.
            ModelError: the model cannot be read.
            DeviceError: the device cannot run, or runs out of memory.
            Cancelled: a limit is exceeded.
        """
        with self.stop().watching() as stop:
            machine = Machine(self.device, self.threads, self.memory_bytes, self._cache, stop)
            return run_network(machine, self.open(model), inputs, outputs)

    maps = views.maps
    top = views.top
    training = views.training
    invariance = views.invariance
    occlusion = views.occlusion
    slide = views.slide
    evaluate = evaluation.evaluate
