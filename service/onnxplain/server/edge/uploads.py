"""The calls that change the store: UploadModel, DeleteModel and StoreRewrite.

A file becomes a model when it has arrived whole and a worker could read it, or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Protocol

import grpc

from onnxplain.graphops.errors import (
    Cancelled,
    InputError,
    MissingModel,
    ModelExists,
    UnknownCall,
    UnsupportedModel,
    WorkerDied,
)
from onnxplain.registry import full_name, parse_name, version_number
from onnxplain.server.edge.admission import Shares
from onnxplain.server.edge.catalogue import Catalogue, UnaryCalls
from onnxplain.server.edge.store import StagedFile, Store
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import worker_pb2

__all__ = ["StreamCalls", "Uploads"]

REWRITE = "/onnxplain.v1.ExplainService/Rewrite"
INSPECT = "/onnxplain.v1.WorkerService/Inspect"
MAX_CHUNK_BYTES = 2**20
MAX_ONNX_BYTES = 2**31 - 1  # of a protobuf message
INSPECT_SECONDS = 300.0
IDLE_SECONDS = 60.0  # without a message of an upload, until it is given up
AT_ONCE = 8  # files that are staged

Context = grpc.aio.ServicerContext[Any, Any]


class StreamCalls(UnaryCalls, Protocol):
    """What takes calls to a worker, as `Workers` does."""

    def stream(
        self, method: str, request: bytes, model: str, *, timeout: float | None = None
    ) -> AsyncIterator[bytes]:
        """Call a method with a stream of responses."""


class Uploads:
    """Adds models to a store, and removes them.

    store: None if the service has none, which the errors then say. max_bytes: of an upload.
    """

    def __init__(
        self, store: Store | None, catalogue: Catalogue, workers: StreamCalls, max_bytes: int
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._workers = workers
        self._max_bytes = max_bytes
        self._places = Shares(AT_ONCE)

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the handlers of the calls of ExplainService that change the store."""
        return {
            "UploadModel": grpc.stream_unary_rpc_method_handler(
                self.upload,
                pb.UploadModelRequest.FromString,
                pb.UploadModelResponse.SerializeToString,
            ),
            "DeleteModel": grpc.unary_unary_rpc_method_handler(
                self.delete,
                pb.DeleteModelRequest.FromString,
                pb.DeleteModelResponse.SerializeToString,
            ),
            "StoreRewrite": grpc.unary_unary_rpc_method_handler(
                self.store_rewrite,
                pb.StoreRewriteRequest.FromString,
                pb.StoreRewriteResponse.SerializeToString,
            ),
        }

    async def upload(
        self, requests: AsyncIterator[pb.UploadModelRequest], context: Context
    ) -> pb.UploadModelResponse:
        """Receive a file, and make it a version of a model."""
        store = self._open_store()
        with self._places.place("models are being stored"):
            first = await _next(requests)
            if first is None or first.WhichOneof("part") != "header":
                raise InputError("header: it must be the first message of an upload")
            header = first.header
            self._check(header)
            model, number = await self._destination(header.model)
            with store.stage() as staged:
                await _receive(requests, header, staged)
                described = await self._add(store, staged, (model, number), context)
        return pb.UploadModelResponse(model=described)

    async def store_rewrite(
        self, request: pb.StoreRewriteRequest, context: Context
    ) -> pb.StoreRewriteResponse:
        """Rewrite a model, and make the artefact a version of a model."""
        store = self._open_store()
        with self._places.place("models are being stored"):
            destination = await self._destination(request.name)
            source = await self._catalogue.resolve(request.rewrite.model)
            rewrite = pb.RewriteRequest()
            rewrite.CopyFrom(request.rewrite)
            rewrite.model, rewrite.record_source = source, True
            pieces = self._workers.stream(
                REWRITE, rewrite.SerializeToString(), source, timeout=context.time_remaining()
            )
            with store.stage() as staged:
                sha256 = ""
                async for piece in pieces:
                    part = pb.RewriteResponse.FromString(piece)
                    sha256 = sha256 or part.sha256
                    await asyncio.to_thread(staged.write, part.data)
                if staged.sha256 != sha256:
                    raise WorkerDied("the artefact did not arrive whole: repeat the call")
                described = await self._add(store, staged, destination, context)
        return pb.StoreRewriteResponse(model=described)

    async def delete(
        self, request: pb.DeleteModelRequest, context: Context
    ) -> pb.DeleteModelResponse:
        """Remove one version of a model from the store."""
        store = self._open_store()
        if parse_name(request.name)[1] is None:
            raise InputError(f"name: write which version, as in {request.name}/versions/1")
        await self._catalogue.resolve(request.name)
        version = self._catalogue.listing.find(request.name)
        if not store.remove(version.model, version.number):
            await self._catalogue.refresh()
            self._catalogue.listing.find(request.name)  # another call may have removed it
            raise InputError(
                f"'{version.name}' comes from a folder of the service that is not its store: only "
                "those who run the service can remove it"
            )
        await asyncio.to_thread(store.sync, version.model)
        await self._catalogue.refresh()
        return pb.DeleteModelResponse()

    def _open_store(self) -> Store:
        if self._store is None:
            raise UnknownCall("the service stores no models: start it with `--store FOLDER`")
        return self._store

    def _check(self, header: pb.UploadHeader) -> None:
        if header.size_bytes <= 0:
            raise InputError("header.size_bytes: it must be the size of the file")
        if header.size_bytes > MAX_ONNX_BYTES:
            raise UnsupportedModel(
                "header.size_bytes: the model exceeds 2 GiB, which no ONNX file in one piece can: "
                "have it put into a folder of the service, with its external data"
            )
        if header.size_bytes > self._max_bytes:
            raise InputError(
                f"header.size_bytes: {header.size_bytes} bytes exceed {self._max_bytes}, the "
                "service's limit for a model"
            )
        if not re.fullmatch("[0-9a-fA-F]{64}", header.sha256):
            raise InputError("header.sha256: write the file's SHA-256 as 64 hexadecimal digits")

    async def _destination(self, name: str) -> tuple[str, int | None]:
        """Return the model and the version that a new file is for. Raises InputError."""
        model, text = parse_name(name)
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", model):
            raise InputError(
                f"'{model:.128}' cannot be the name of a stored model: it has up to 128 letters, "
                "digits, '.', '_' and '-', and does not begin with '.'"
            )
        if text is None:
            return model, None
        number = version_number(text)
        if number is None:
            raise InputError(f"'{text:.128}' is no version: write a number from 1, or leave it out")
        await self._require_free(model, number)
        return model, number

    async def _require_free(self, model: str, number: int) -> None:
        """Raise ModelExists if there is that version of the model, in the store or elsewhere."""
        await self._catalogue.refresh()
        if number in self._numbers(model):
            raise ModelExists(f"'{full_name(model, number)}' exists already: name another version")

    def _numbers(self, model: str) -> set[int]:
        try:
            return {version.number for version in self._catalogue.listing.versions(model)}
        except MissingModel:
            return set()

    async def _add(
        self,
        store: Store,
        staged: StagedFile,
        destination: tuple[str, int | None],
        context: Context,
    ) -> pb.Model:
        """Have a worker read a staged file, publish it, and return its description."""
        model, number = destination
        await asyncio.to_thread(staged.sync)
        name = f"models/{model}" if number is None else full_name(model, number)
        request = worker_pb2.InspectRequest(file=staged.name, name=name)
        # The worker may die of the file: blamed is that file alone, which bears no model's name.
        remaining = context.time_remaining()
        timeout = INSPECT_SECONDS if remaining is None else min(remaining, INSPECT_SECONDS)
        response = await self._workers.unary(
            INSPECT, request.SerializeToString(), staged.name, timeout=timeout
        )
        described = worker_pb2.InspectResponse.FromString(response).model
        if number is None:
            await self._catalogue.refresh()
        else:
            await self._require_free(model, number)
        newest = max(self._numbers(model), default=0)
        described.name = full_name(model, store.publish(staged, model, number, newest))
        await asyncio.to_thread(store.sync, model)
        await self._catalogue.refresh()
        return described


async def _next(requests: AsyncIterator[pb.UploadModelRequest]) -> pb.UploadModelRequest | None:
    """Return the next message, None after the last one. Raises Cancelled if none comes."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            return await anext(requests, None)
    except TimeoutError as e:
        raise Cancelled(f"nothing of the upload has arrived for {IDLE_SECONDS:g} seconds") from e


async def _receive(
    requests: AsyncIterator[pb.UploadModelRequest], header: pb.UploadHeader, staged: StagedFile
) -> None:
    """Write the data of an upload. Raises InputError unless they are what the header declares."""
    while (message := await _next(requests)) is not None:
        if message.WhichOneof("part") != "data":
            raise InputError("data: every message after the first must hold some of the file")
        if not 0 < len(message.data) <= MAX_CHUNK_BYTES:
            raise InputError(f"data: a message holds 1 to {MAX_CHUNK_BYTES} bytes of the file")
        if staged.size + len(message.data) > header.size_bytes:
            raise InputError(f"data: more than the {header.size_bytes} bytes that were declared")
        await asyncio.to_thread(staged.write, message.data)
    if staged.size < header.size_bytes:
        raise InputError(
            f"data: only {staged.size} of the {header.size_bytes} bytes that were declared"
        )
    if staged.sha256 != header.sha256.lower():
        raise InputError(
            f"header.sha256: the file that arrived has {staged.sha256}: it was damaged on the way, "
            "or is another"
        )
