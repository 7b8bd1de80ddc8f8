"""ListModels and GetModel: a worker describes the models, and the edge adds what it alone knows.

If the worker dies of one of them, each is described by itself, so that the others still are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from onnxplain.graphops.errors import QuarantinedModel, WorkerDied
from onnxplain.server.edge.catalogue import Catalogue, UnaryCalls
from onnxplain.server.errors import failure
from onnxplain.server.pages import page_of_models
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["ModelDescriptions"]

LIST = "/onnxplain.v1.ExplainService/ListModels"
EVERY = "models"  # in place of one model's name: the same worker describes all
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
        timeout = context.time_remaining()
        try:
            data = await self._workers.unary(
                LIST, request.SerializeToString(), EVERY, timeout=timeout
            )
        except (WorkerDied, QuarantinedModel):
            return await self._list_one_by_one(request, timeout)
        response = pb.ListModelsResponse.FromString(data)
        for model in response.models:
            self._complete(model)
        return response

    async def get_model(self, request: pb.GetModelRequest, context: Context) -> pb.Model:
        """Return one version of a model."""
        return await self._describe(
            await self._catalogue.resolve(request.name), context.time_remaining()
        )

    async def _list_one_by_one(
        self, request: pb.ListModelsRequest, timeout: float | None
    ) -> pb.ListModelsResponse:
        await self._catalogue.refresh()
        versions, token = page_of_models(
            self._catalogue.listing, request.page_size, request.page_token
        )
        response = pb.ListModelsResponse(next_page_token=token)
        for version in versions:
            try:
                response.models.append(await self._describe(version.name, timeout))
            except Exception as error:  # it is told in place of the description
                response.models.add(name=version.name, problem=failure(error).text)
        return response

    async def _describe(self, name: str, timeout: float | None) -> pb.Model:
        request = pb.GetModelRequest(name=name)
        data = await self._workers.unary(GET, request.SerializeToString(), name, timeout=timeout)
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
