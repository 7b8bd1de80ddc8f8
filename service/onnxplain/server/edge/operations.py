"""The calls about operations: long work that goes on when its client has gone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from onnxplain.graphops.errors import InputError
from onnxplain.server.caller import caller_name
from onnxplain.server.edge.call_records import note_model
from onnxplain.server.edge.kept_operations import KeptOperations
from onnxplain.server.edge.operation_files import KeptOperation, OperationFiles
from onnxplain.server.edge.operation_queue import OperationQueue, WorkerStreams
from onnxplain.server.edge.request_models import further_names
from onnxplain.server.pages import page
from onnxplain.server.settings import Settings
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["Operations"]

CALLS = {"view": "View", "evaluate": "Evaluate"}  # by their fields in StartOperationRequest
MARGIN_SECONDS = 0.5  # before the deadline of a call that waits, for its response to arrive

Context = grpc.aio.ServicerContext[Any, Any]


class Operations:
    """The handlers of the calls; each caller sees its own operations only.

    workers: run the operations. resolve: turns a model's name into the full name of the version to
    run on. Raises ServiceError if another service keeps its operations in the same folder.
    """

    def __init__(
        self, workers: WorkerStreams, resolve: Callable[[str], Awaitable[str]], settings: Settings
    ) -> None:
        self._leaving = ExitStack()
        folder = settings.state or Path(self._leaving.enter_context(TemporaryDirectory()))
        files = self._leaving.enter_context(closing(OperationFiles(folder / "operations")))
        self._kept = KeptOperations(files, settings)
        self._queue = OperationQueue(workers, self._kept, settings)
        self._resolve = resolve
        self._expiry: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with the operations that had not ended when the service stopped."""
        await self._kept.load()
        self._queue.start()
        self._expiry = asyncio.create_task(self._kept.expire())

    async def stop(self) -> None:
        """Stop what runs, before the workers stop; it is run again after the next start."""
        if self._expiry is not None:
            self._expiry.cancel()
        await self._queue.stop()
        self._kept.stop_waiting()
        self._leaving.close()

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the handler of each call by its name."""
        calls = pb.DESCRIPTOR.services_by_name["ExplainService"].methods_by_name
        found: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for behavior in (
            self.StartOperation,
            self.GetOperation,
            self.ListOperations,
            self.CancelOperation,
            self.WaitOperation,
            self.ReadOperation,
            self.DeleteOperation,
        ):
            call = calls[behavior.__name__]
            make: Any = (
                grpc.unary_stream_rpc_method_handler
                if call.server_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            found[call.name] = make(
                behavior,
                GetMessageClass(call.input_type).FromString,
                GetMessageClass(call.output_type).SerializeToString,
            )
        return found

    async def StartOperation(
        self, request: pb.StartOperationRequest, context: Context
    ) -> pb.StartOperationResponse:
        """Start long work on the versions of its models that are the newest now."""
        field = request.WhichOneof("work")
        if field is None:
            raise InputError(f"{', '.join(CALLS)}: none is set; set one of them")
        work = getattr(request, field)
        if field == "view":
            others = further_names(work)
            others[:] = [await self._resolve(other) for other in others]
        model, work.model = work.model, await self._resolve(work.model)
        note_model(work.model)
        data = await asyncio.to_thread(work.SerializeToString)
        kept = await self._kept.add(caller_name(), CALLS[field], model, work.model, data)
        self._queue.begin()
        return pb.StartOperationResponse(operation=kept.operation)

    async def GetOperation(
        self, request: pb.GetOperationRequest, context: Context
    ) -> pb.GetOperationResponse:
        """Return the state of an operation."""
        return pb.GetOperationResponse(operation=self._find(request).operation)

    async def ListOperations(
        self, request: pb.ListOperationsRequest, context: Context
    ) -> pb.ListOperationsResponse:
        """List the caller's operations, the newest first."""
        mine = self._kept.all_of(caller_name())
        operations, token = page(mine, KeptOperation.order, request.page_size, request.page_token)
        return pb.ListOperationsResponse(
            operations=[kept.operation for kept in operations], next_page_token=token
        )

    async def CancelOperation(
        self, request: pb.CancelOperationRequest, context: Context
    ) -> pb.CancelOperationResponse:
        """End an operation, unless it has ended."""
        kept = self._find(request)
        self._queue.cancel(kept)
        return pb.CancelOperationResponse(operation=kept.operation)

    async def WaitOperation(
        self, request: pb.WaitOperationRequest, context: Context
    ) -> pb.WaitOperationResponse:
        """Wait until an operation has ended, or until the given time or the deadline is near."""
        if not request.timeout_seconds >= 0:
            raise InputError(f"timeout_seconds: {request.timeout_seconds:g} is not 0 or more")
        kept = self._find(request)
        longest = request.timeout_seconds or math.inf
        remaining = context.time_remaining()
        if remaining is not None:
            longest = min(longest, remaining - min(MARGIN_SECONDS, remaining / 4))
        await self._kept.wait(kept, None if math.isinf(longest) else longest)
        return pb.WaitOperationResponse(operation=kept.operation)

    async def ReadOperation(
        self, request: pb.ReadOperationRequest, context: Context
    ) -> AsyncIterator[pb.ReadOperationResponse]:
        """Stream the results of an operation that has succeeded."""
        async for message in self._kept.read(self._find(request)):
            yield message

    async def DeleteOperation(
        self, request: pb.DeleteOperationRequest, context: Context
    ) -> pb.DeleteOperationResponse:
        """Remove an operation that has ended."""
        self._kept.remove(self._find(request))
        return pb.DeleteOperationResponse()

    def _find(self, request: Any) -> KeptOperation:
        return self._kept.find(caller_name(), request.name)
