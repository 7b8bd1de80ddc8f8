"""The work of the Open Inference Protocol's calls, which runs on threads."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import METHODS, Engine, EngineMethod
from onnxplain.engine.inference import require_inputs
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops.errors import InputError, OnnxplainError, UnsupportedModel
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.registry import parse_name
from onnxplain.server.resource_names import model_resource
from onnxplain.server.worker.batching import MOST_UNITS
from onnxplain.server.worker.calls import Call, limited
from onnxplain.server.worker.inference_explanation import (
    explain_each,
    explanation_outputs,
    explanation_texts,
    require_outputs,
)
from onnxplain.server.worker.inference_parameters import explanation_of
from onnxplain.server.worker.inference_tensors import (
    MAX_INFERENCE_BYTES,
    input_arrays,
    requested_outputs,
    tensor_metadata,
    with_outputs,
)
from onnxplain.server.worker.models import Models

__all__ = ["InferenceRuns", "WantedInference"]

MOST_ENTRIES, MOST_SIZES = 1000, 32  # of a list of a request, and of a shape

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class WantedInference:
    """What a call asks for.

    request: its message. model: the model's resource name. outputs: the names of the outputs to
    return. explanation: the arguments of an explanation, None for the model's own outputs.
    """

    request: pb.ModelInferRequest
    model: str
    outputs: tuple[str, ...]
    explanation: Mapping[str, Any] | None

    @staticmethod
    def of(request: pb.ModelInferRequest) -> WantedInference:
        """Return what a request asks for. Raises InputError, or UnknownMethod."""
        for field in ("inputs", "outputs", "parameters"):
            if len(getattr(request, field)) > MOST_ENTRIES:
                raise InputError(
                    f"{field}: {len(getattr(request, field)):,} of them exceed {MOST_ENTRIES:,}, "
                    "the service's limit"
                )
        model = model_resource(request.model_name, request.model_version)
        outputs = tuple(requested_outputs(request))
        return WantedInference(request, model, outputs, explanation_of(request.parameters))

    @property
    def images(self) -> int:
        """The number of images, of valid inputs."""
        return next((t.shape[0] for t in self.request.inputs if t.shape), 1)

    @property
    def key(self) -> Hashable:
        """What calls that may run together have in common, None for one that may not."""
        inputs = self.request.inputs
        if self.images < 1 or any(len(t.shape) > MOST_SIZES for t in inputs):
            return None
        if any(not t.shape or t.shape[0] != self.images for t in inputs):
            return None
        if not _shares_runs(self.explanation, len(inputs)):
            return None
        explanation = None if self.explanation is None else tuple(self.explanation.items())
        forms = tuple((t.name, t.datatype, tuple(t.shape[1:])) for t in inputs)
        return (self.model, self.outputs, explanation, forms)


class InferenceRuns:
    """Runs and explains a folder's models with one engine."""

    def __init__(self, models: Models, engine: Engine) -> None:
        self._models = models
        self._engine = engine

    def ready(self, name: str) -> bool:
        """Tell whether a model can be read. name: its resource name."""
        return not self._models.get(name).problem

    def metadata(self, name: str) -> pb.ModelMetadataResponse:
        """Return a model's versions, inputs and outputs. name: its resource name."""
        served = self._models.get(name)
        if served.problem:
            raise UnsupportedModel(served.problem)
        return pb.ModelMetadataResponse(
            name=parse_name(served.name)[0],
            versions=self._models.versions(served.name),
            platform="onnx_onnxv1",
            inputs=map(tensor_metadata, served.inputs),
            outputs=map(tensor_metadata, served.outputs),
        )

    def infer(self, wanted: Sequence[WantedInference], call: Call) -> list[pb.ModelInferResponse]:
        """Return the answer to each of several calls of one key."""
        engine = limited(self._engine, call, MAX_INFERENCE_BYTES)
        explanation, outputs = wanted[0].explanation, wanted[0].outputs
        inputs = [input_arrays(one.request) for one in wanted]
        with self._models.use(wanted[0].model) as (name, path):
            opened = engine.open(str(path))
            for some in inputs:
                require_inputs(opened, some)
            if explanation is None:
                found = _infer_each(engine, opened, inputs, outputs)
                texts = [dict[str, str]()] * len(wanted)
            else:
                require_outputs(opened, outputs)
                explained = explain_each(engine, opened, inputs, explanation)
                found = [
                    explanation_outputs(engine, opened, some, outputs, one)
                    for some, one in zip(inputs, explained, strict=True)
                ]
                texts = list(map(explanation_texts, explained))
        model, version = parse_name(name)
        answers = []
        for one, arrays, facts in zip(wanted, found, texts, strict=True):
            answer = pb.ModelInferResponse(
                model_name=model, model_version=version or "", id=one.request.id
            )
            for parameter, text in facts.items():
                answer.parameters[parameter].string_param = text
            answers.append(with_outputs(answer, arrays, bool(one.request.raw_input_contents)))
        return answers


def _shares_runs(explanation: Mapping[str, Any] | None, inputs: int) -> bool:
    """Tell whether an explanation of few units may run with others, as explain_key does."""
    if explanation is None:
        return True
    method, units = METHODS[explanation["method"]], explanation["units"]
    few = units is None or (isinstance(units, tuple) and len(units) <= MOST_UNITS)
    graph = not isinstance(method, EngineMethod) and not method.accumulated
    return few and graph and inputs == 1 and not isinstance(explanation.get("position"), tuple)


def _infer_each(
    engine: Engine,
    opened: OpenedModel,
    inputs: Sequence[Mapping[str, Array]],
    outputs: Sequence[str],
) -> list[dict[str, Array]]:
    """Return what `Engine.infer` does for each of several inputs, in one run where that is exact.

    inputs: all of the same names, and of one shape but for the number of images.
    """
    names = [*inputs[0], *(outputs or (value.name for value in opened.model.graph.output))]
    if len(inputs) == 1 or not _is_independent(opened, names):
        return [engine.infer(opened, some, outputs) for some in inputs]
    joined = {name: np.concatenate([some[name] for some in inputs]) for name in inputs[0]}
    found = engine.infer(opened, joined, outputs)
    ends = np.cumsum([len(next(iter(some.values()))) for some in inputs])[:-1]
    parts = {name: np.split(values, ends) for name, values in found.items()}
    return [{name: some[i] for name, some in parts.items()} for i in range(len(inputs))]


def _is_independent(opened: OpenedModel, names: Sequence[str]) -> bool:
    """Tell whether the values of these tensors for an image depend on no other image of a run."""
    try:
        return opened.network.independent >= set(names)
    except OnnxplainError:  # what cannot be explained can be run
        return False
