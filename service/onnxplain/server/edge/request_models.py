"""The models that a request names, the only thing that the edge reads of it."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

from onnxplain.inference import open_inference_pb2
from onnxplain.inference.open_inference_pb2 import ModelReadyRequest
from onnxplain.server.resource_names import model_resource
from onnxplain.v1.explain_pb2 import ViewRequest
from onnxplain.v1.routing_pb2 import Routing

__all__ = [
    "INFERENCE",
    "VIEW",
    "further_names",
    "named_model",
    "other_models",
    "with_model",
    "with_others",
]

VIEW = "/onnxplain.v1.ExplainService/View"

INFERENCE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


def named_model(method: str, request: bytes) -> str:
    """Return the resource name of a request's model, "" where it names none.

    method: the full path of the call. Raises InputError for a name of the Open Inference Protocol
    that is none, and DecodeError where the request is no message.
    """
    if not _is_inference(method):
        return Routing.FromString(request).model
    # It declares the two fields that name the model in every request of the protocol.
    asked = ModelReadyRequest.FromString(request)
    return model_resource(asked.name, asked.version) if asked.name else ""


def with_model(method: str, request: bytes, model: str) -> bytes:
    """Return the request with a full name in place of its model's: the last one counts."""
    if not _is_inference(method):
        return request + Routing(model=model).SerializeToString()
    return request + ModelReadyRequest(name=model).SerializeToString()


def other_models(method: str, request: bytes) -> list[str]:
    """Return the names of the further models that a request opens.

    method: the full path of the call. Raises DecodeError where the request is no message.
    """
    return list(further_names(ViewRequest.FromString(request))) if method == VIEW else []


def with_others(request: bytes, models: Sequence[str]) -> bytes:
    """Return a request with other names in place of those that `other_models` returns."""
    view = ViewRequest.FromString(request)
    further_names(view)[:] = models
    return view.SerializeToString()


def further_names(request: ViewRequest) -> MutableSequence[str]:
    """Return the field with the names of further models; an empty list where it has none."""
    view = request.WhichOneof("view")
    return getattr(getattr(request, view), "earlier", []) if view else []


def _is_inference(method: str) -> bool:
    return method.startswith(f"/{INFERENCE.full_name}/")
