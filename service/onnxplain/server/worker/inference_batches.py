"""Requests of the Open Inference Protocol that wait for the same graph, run together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import Engine
from onnxplain.engine.inference import require_inputs
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops.errors import InputError, OnnxplainError
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.server.worker.batching import MOST_UNITS, is_one_run
from onnxplain.server.worker.bounds import check_options, check_runs
from onnxplain.server.worker.inference_explanation import Outputs, explain, explain_alike
from onnxplain.server.worker.inference_parameters import explanation_of
from onnxplain.server.worker.inference_tensors import input_arrays, requested_outputs

__all__ = ["images_of", "infer_each", "infer_key"]

LARGE = 4096  # bytes of parameters of a request that runs alone
MANY = 64  # inputs, outputs and dimensions of such a request

Array = npt.NDArray[Any]


def images_of(request: pb.ModelInferRequest) -> int:
    """Return the number of images of a request, as the shape of its first input tells."""
    shape = request.inputs[0].shape if request.inputs else ()
    return max(1, shape[0]) if shape else 1


def infer_key(request: pb.ModelInferRequest) -> Hashable:
    """Return what requests that may run together have in common, None for one that may not."""
    size = sum(one.ByteSize() for one in request.parameters.values())
    if size > LARGE or max(len(request.inputs), len(request.outputs)) > MANY:
        return None  # not to be read here, on the event loop
    images = images_of(request)
    if any(not 0 < len(one.shape) <= MANY or one.shape[0] != images for one in request.inputs):
        return None
    try:
        explanation = explanation_of(request.parameters)
    except OnnxplainError:
        return None  # told in its turn
    if explanation is not None and not _is_one_run(request, explanation):
        return None
    return (
        request.model_name,
        request.model_version,
        bool(request.raw_input_contents),
        tuple((one.name, one.datatype, *one.shape[1:]) for one in request.inputs),
        tuple(one.name for one in request.outputs),
        tuple(sorted((name, repr(value)) for name, value in (explanation or {}).items())),
    )


def infer_each(
    engine: Engine, model: OpenedModel, requests: Sequence[pb.ModelInferRequest]
) -> list[Outputs | Exception]:
    """Return the outputs for each of several requests of one key, or the error of its inputs.

    Args:
        engine: the engine.
        model: the model.
        requests: the requests, or a single one.

    Returns:
        The outputs and texts of each, or its error.

    Raises:
        InputError: images of the model influence each other, so that each must run alone.
        OnnxplainError: whatever else the engine raises.
    """
    explanation = explanation_of(requests[0].parameters)
    wanted = requested_outputs(requests[0])
    if explanation is not None:
        check_options("parameters", explanation)
        explanation["passes"] = check_runs
    if len(requests) == 1:
        inputs = input_arrays(requests[0])
        if explanation is None:
            return [(engine.infer(model, inputs, wanted), {})]
        return [explain(engine, model, inputs, wanted, explanation)]
    found: list[Outputs | Exception | None] = []
    several: list[dict[str, Array]] = []
    for request in requests:
        try:
            inputs = input_arrays(request)
            require_inputs(model, inputs)
            several.append(inputs)
            found.append(None)
        except Exception as e:
            found.append(e)
    if not several:
        return [one for one in found if one is not None]
    good = iter(
        _infer_alike(engine, model, several, wanted)
        if explanation is None
        else explain_alike(engine, model, several, wanted, explanation)
    )
    return [next(good) if one is None else one for one in found]


def _is_one_run(request: pb.ModelInferRequest, explanation: Mapping[str, Any]) -> bool:
    """Tell whether an explanation takes one run for each image and some units of it."""
    units = explanation.get("units")
    many = units == "all" or (isinstance(units, tuple) and len(units) > MOST_UNITS)
    if isinstance(units, str) and units.startswith("top:"):
        many = int(units[4:]) > MOST_UNITS
    return not many and len(request.inputs) == 1 and is_one_run(explanation["method"])


def _infer_alike(
    engine: Engine,
    model: OpenedModel,
    several: Sequence[Mapping[str, Array]],
    wanted: Sequence[str],
) -> list[Outputs]:
    """Run a model on several inputs at once. Raises InputError where each must run alone."""
    names = set(wanted) or {value.name for value in model.model.graph.output}
    if not model.network.batched >= names | several[0].keys():
        raise InputError("images of the model influence each other, so each runs alone")
    joined = {name: np.concatenate([one[name] for one in several]) for name in several[0]}
    ends = np.cumsum([len(next(iter(one.values()))) for one in several])
    outputs = engine.infer(model, joined, wanted)
    parts = {name: np.split(values, ends[:-1]) for name, values in outputs.items()}
    return [({name: parts[name][i] for name in outputs}, {}) for i in range(len(several))]
