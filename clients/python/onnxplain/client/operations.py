"""Long work that goes on in the service when the client has gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from grpc import StatusCode

from onnxplain.client.connection import Connection
from onnxplain.client.errors import ClientError, DeadlineExceededError, error_class
from onnxplain.client.labels import Labels, label_names
from onnxplain.client.requests import Images, Preprocess, evaluate_request
from onnxplain.client.results import EvaluationParts, ServedEvaluations
from onnxplain.client.views import ServedView, ViewParts, view_request
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["AsyncOperation", "OperationCalls", "OperationState"]

WAIT_SECONDS = 20.0  # of one call, since proxies end calls that stay silent for a minute
TELL_SECONDS = 1.0  # between calls of `progress`
PAGE = 100
CODES = {code.value[0]: code for code in StatusCode}


class OperationState:
    """What is known of an operation since its last call.

    message: the state as the service told it.
    """

    message: pb.Operation

    @property
    def name(self) -> str:
        """The name of the operation, by which `operation` finds it again."""
        return self.message.name

    @property
    def state(self) -> str:
        """One of "queued", "running", "succeeded", "failed" and "cancelled"."""
        return pb.OperationState.Name(self.message.state).rpartition("_")[2].lower()

    @property
    def done(self) -> bool:
        """Whether the operation has ended."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def progress(self) -> tuple[int, int]:
        """The steps done, and their total."""
        return self.message.progress.done, self.message.progress.total

    @property
    def created(self) -> datetime:
        """When it was started, in local time."""
        return self.message.create_time.ToDatetime(UTC).astimezone()

    @property
    def error(self) -> ClientError | None:
        """Why it failed or was cancelled, None if it did not."""
        if self.state == "cancelled":
            return ClientError(f"{self.name} was cancelled", "Cancelled", StatusCode.CANCELLED)
        if self.state != "failed":
            return None
        code = CODES.get(self.message.code, StatusCode.UNKNOWN)
        return error_class(code)(self.message.error, self.message.error_kind, code)

    def __repr__(self) -> str:
        done, total = self.progress
        return (
            f"{self.name}: {self.message.call} of {self.message.model}, {self.state}, "
            f"{done} of {total}"
        )


class AsyncOperation(OperationState):
    """An operation of a service, whose calls are coroutines."""

    def __init__(self, connection: Connection, message: pb.Operation) -> None:
        self._connection = connection
        self.message = message

    async def refresh(self) -> None:
        """Ask the service for the state."""
        request = pb.GetOperationRequest(name=self.name)
        self.message = (await self._connection._unary("GetOperation", request)).operation

    async def wait(
        self, timeout: float | None = None, progress: Callable[[int, int], None] | None = None
    ) -> bool:
        """Wait until the operation has ended.

        Args:
            timeout: seconds to wait at most, None for no limit. The client's own timeout does not
                limit the wait.
            progress: called about once a second with the steps done, and their total.

        Returns:
            Whether it has ended.

        Raises:
            ClientError: the service no longer has the operation, or the call fails.
        """
        end = None if timeout is None else time.monotonic() + timeout
        longest = WAIT_SECONDS if progress is None else TELL_SECONDS
        while not self.done:
            left = longest if end is None else min(longest, end - time.monotonic())
            if left <= 0:
                break
            request = pb.WaitOperationRequest(name=self.name, timeout_seconds=left)
            answer = await self._connection._unary("WaitOperation", request, longer=left)
            self.message = answer.operation
            if progress is not None:
                progress(*self.progress)
        return self.done

    async def result(self, timeout: float | None = None) -> ServedView | ServedEvaluations:
        """Wait until the operation has ended, and return what it made.

        Args:
            timeout: seconds to wait at most, None for no limit.

        Returns:
            What `view` or `evaluate` would have returned.

        Raises:
            ClientError: the operation failed or was cancelled, has not ended in time, or the call
                fails.
        """
        if not await self.wait(timeout):
            raise DeadlineExceededError(
                f"{self.name} has not ended within {timeout:g} seconds: it goes on, so wait longer "
                "or cancel it",
                "Cancelled",
            )
        if self.error is not None:
            raise self.error
        view, evaluation = ViewParts(None, None), EvaluationParts(None)

        def take(message: pb.ReadOperationResponse) -> None:
            if message.HasField("view"):
                view.add(message.view)
            else:
                evaluation.add(message.evaluate)

        request = pb.ReadOperationRequest(name=self.name)
        await self._connection._stream("ReadOperation", request, take)
        return view.result() if self.message.call == "View" else evaluation.result()

    async def cancel(self) -> None:
        """End the operation, which may take a moment; one that has ended stays as it is."""
        request = pb.CancelOperationRequest(name=self.name)
        self.message = (await self._connection._unary("CancelOperation", request)).operation

    async def delete(self) -> None:
        """Remove the operation, which has ended, with its results."""
        await self._connection._unary("DeleteOperation", pb.DeleteOperationRequest(name=self.name))


class OperationCalls(Connection):
    """The calls of a client that start long work, and find it again."""

    async def start_view(
        self,
        /,
        name: str,
        images: Images,
        view: str,
        *,
        preprocess: Preprocess = None,
        labels: Labels | None = None,
        **options: Any,
    ) -> AsyncOperation:
        """Start drawing a view, which goes on when the client has gone.

        Args:
            name: the model.
            images: the pictures, as in `view`.
            view: the view, as in `view`.
            preprocess: as in `explain`.
            labels: class names by channel, a list or a text file of one name a line.
            **options: as in `view`.

        Returns:
            The operation, whose result is what `view` returns.

        Raises:
            ClientError: an argument is wrong, or the call fails.
            TypeError: the view does not take an option.
        """
        request = view_request(name, images, view, preprocess, label_names(labels), options)
        return await self._started(pb.StartOperationRequest(view=request))

    async def start_evaluate(
        self,
        name: str,
        images: Images,
        methods: Sequence[str] = (),
        *,
        class_index: int | None = None,
        masks: Images | None = None,
        randomize: int = 0,
        preprocess: Preprocess = None,
    ) -> AsyncOperation:
        """Start measuring the methods, which goes on when the client has gone.

        Args:
            name: the model.
            images: the pictures, as in `view`.
            methods: as in `evaluate`.
            class_index: as in `evaluate`.
            masks: as in `evaluate`.
            randomize: as in `evaluate`.
            preprocess: as in `explain`.

        Returns:
            The operation, whose result is what `evaluate` returns.

        Raises:
            ClientError: an argument is wrong, or the call fails.
        """
        request = evaluate_request(name, images, methods, masks, randomize, class_index, preprocess)
        return await self._started(pb.StartOperationRequest(evaluate=request))

    async def operations(self) -> list[AsyncOperation]:
        """Return the operations that this client's token, or address, has started, newest first."""
        found: list[AsyncOperation] = []
        request = pb.ListOperationsRequest(page_size=PAGE)
        while True:
            page = await self._unary("ListOperations", request)
            found += [AsyncOperation(self, message) for message in page.operations]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def operation(self, name: str) -> AsyncOperation:
        """Return an operation that was started before.

        Args:
            name: its name, `operations/{operation}`.

        Returns:
            The operation, in its present state.

        Raises:
            ClientError: the service has no such operation, or the call fails.
        """
        response = await self._unary("GetOperation", pb.GetOperationRequest(name=name))
        return AsyncOperation(self, response.operation)

    async def _started(self, request: pb.StartOperationRequest) -> AsyncOperation:
        response = await self._unary("StartOperation", request)
        return AsyncOperation(self, response.operation)
