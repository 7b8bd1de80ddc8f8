"""The calls that change the models of a service: upload, delete, and store a rewrite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from onnxplain.client.connection import Connection
from onnxplain.client.files import ModelFile, Upload
from onnxplain.client.models import rewrite_request
from onnxplain.client.requests import model_name
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["StoreCalls"]


class StoreCalls(Connection):
    """The calls of a client that change the models of the service."""

    async def upload(
        self,
        name: str,
        model: ModelFile,
        progress: Callable[[int, int], None] | None = None,
    ) -> pb.Model:
        """Add a version of a model to the service.

        Args:
            name: the model, such as `squeezenet`, for the version after its newest; or the version,
                such as `squeezenet/versions/2`.
            model: the path of an ONNX file, or its bytes. It holds its weights itself.
            progress: called with the bytes sent, and their total.

        Returns:
            The version, which the service has read and lists.

        Raises:
            ClientError: the file cannot be read, the service has that version or does not accept
                the model, or the call fails; nothing of it stays.
        """
        upload = Upload(model_name(name), model, progress)
        response = await self._upload("UploadModel", upload.requests)
        return cast(pb.Model, response.model)

    async def delete(self, name: str) -> None:
        """Remove one version of a model from the service.

        Args:
            name: the version, such as `squeezenet/versions/2`.

        Raises:
            ClientError: no such version, one that was not uploaded, or the call fails.
        """
        await self._unary("DeleteModel", pb.DeleteModelRequest(name=model_name(name)))

    async def store_rewrite(
        self,
        /,
        store_as: str,
        name: str,
        layer: str | None = None,
        method: str = "deconvnet",
        **options: Any,
    ) -> pb.Model:
        """Rewrite a model, and store the artefact as a model of the service.

        Args:
            store_as: the new model, or its version, as in `upload`.
            name: the model to rewrite.
            layer: a tensor, node or module path; None for the class score.
            method: a name that `methods` lists as exportable.
            **options: as in `rewrite`.

        Returns:
            The new version; its `source_model` is the one that was rewritten.

        Raises:
            ClientError: as `rewrite` and `upload` do.
            TypeError: no method takes an option.
        """
        rewrite = rewrite_request(name, layer=layer, method=method, **options)
        request = pb.StoreRewriteRequest(rewrite=rewrite, name=model_name(store_as))
        return cast(pb.Model, (await self._unary("StoreRewrite", request)).model)
