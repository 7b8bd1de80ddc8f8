"""ListModels and GetModel: a worker describes the models, and the edge adds what it alone knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from onnxplain.server.edge.catalogue import Catalogue, UnaryCalls
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["ModelDescriptions"]

LIST = "/onnxplain.v1.ExplainService/ListModels"
GET = "/onnxplain.v1.ExplainService/GetModel"

Context = grpc.aio.ServicerContext[Any, Any]


class ModelDescriptions:
    """Describes models, with the reasons why they are not served.

    quarantine: returns why a version is in quarantine, by its full name; "" if it is not.
    """

    def __init__(
        self, catalogue: Catalogue, workers: UnaryCalls, quarantine: Callable[[str], str]
    ) -> None:
        self._catalogue = catalogue
        self._workers = workers
        self._quarantine = quarantine

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the handlers of the calls of ExplainService that describe models."""
        return {
            "ListModels": grpc.unary_unary_rpc_method_handler(
                self.list_models,
                pb.ListModelsRequest.FromString,
                pb.ListModelsResponse.SerializeToString,
            ),
            "GetModel": grpc.unary_unary_rpc_method_handler(
                self.get_model, pb.GetModelRequest.FromString, pb.Model.SerializeToString
            ),
        }

    async def list_models(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """List every version of every model, or a page of them."""
        data = await self._workers.unary(
            LIST, request.SerializeToString(), "", timeout=context.time_remaining()
        )
        response = pb.ListModelsResponse.FromString(data)
        for model in response.models:
            self._complete(model)
        return response

    async def get_model(self, request: pb.GetModelRequest, context: Context) -> pb.Model:
        """Return one version of a model."""
        named = pb.GetModelRequest(name=await self._catalogue.resolve(request.name))
        data = await self._workers.unary(
            GET, named.SerializeToString(), "", timeout=context.time_remaining()
        )
        model = pb.Model.FromString(data)
        self._complete(model)
        return model

    def _complete(self, model: pb.Model) -> None:
        """Add what keeps a model from being served, unless it cannot be read anyway."""
        problems = (
            model.problem,
            self._quarantine(model.name),
            self._catalogue.problem(model.name),
        )
        model.problem = next(filter(None, problems), "")
