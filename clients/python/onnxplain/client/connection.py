"""How a call is made: its deadline, and its repetition where it was not begun."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self, TypeVar

import grpc

from onnxplain.client.errors import InvalidArgumentError
from onnxplain.client.statuses import never_begun, translated
from onnxplain.client.transports import Transport

__all__ = ["RETRIES", "Connection"]

RETRIES = 3
FIRST_DELAY = (
    0.2  # seconds until a call is repeated, doubled each time; the service may ask for more
)

T = TypeVar("T")


class Connection:
    """Calls over a transport, which may take `timeout` seconds each, repetitions included.

    retries: how often a call is repeated that the service did not begin.
    """

    def __init__(self, transport: Transport, timeout: float | None, retries: int) -> None:
        if retries < 0:
            raise InvalidArgumentError(f"retries={retries}: give 0 or more", "OptionError")
        self._transport = transport
        self._timeout = timeout
        self._retries = retries

    def with_timeout(self, timeout: float | None) -> Self:
        """Return a client of the same connection, whose calls may take another time.

        Args:
            timeout: seconds that each call may take, None for no limit.

        Returns:
            The client, which closes when this one does.

        Raises:
            Nothing.
        """
        other = copy.copy(self)
        other._timeout = timeout
        return other

    async def close(self) -> None:
        """Close the connection."""
        await self._transport.close()

    async def _unary(self, call: str, request: Any, longer: float = 0.0) -> Any:
        """Return the response of a call. longer: seconds that it may take beyond the timeout."""
        return await self._made(lambda left: self._transport.unary(call, request, left), longer)

    async def _upload(self, call: str, requests: Callable[[], Iterator[Any]]) -> Any:
        """Return the response of a call to the requests of an iterator, made anew each time."""
        return await self._made(lambda left: self._transport.unary(call, requests(), left))

    async def _stream(self, call: str, request: Any, take: Callable[[Any], None]) -> None:
        """Hand over each message of a call's stream."""
        taken = False

        def first(message: Any) -> None:
            nonlocal taken
            taken = True
            take(message)

        await self._made(
            lambda left: self._transport.stream(call, request, left, first),
            repeatable=lambda: not taken,
        )

    async def _made(
        self,
        attempt: Callable[[float | None], Awaitable[T]],
        longer: float = 0.0,
        repeatable: Callable[[], bool] = lambda: True,
    ) -> T:
        """Return what `attempt` does, given the seconds left. Raises ClientError."""
        timeout = None if self._timeout is None else self._timeout + longer
        end = None if timeout is None else time.monotonic() + timeout
        left, tries = timeout, 0
        while True:
            try:
                return await attempt(left)
            except grpc.RpcError as error:
                failure = translated(error, self._transport.channel.address, timeout)
                safe = never_begun(error, failure) and repeatable()
            delay = max(failure.retry_delay or 0, FIRST_DELAY * 2**tries)
            delay *= random.uniform(1, 1.25)  # so that clients do not come back all at once
            late = end is not None and time.monotonic() + delay >= end
            if not safe or late or tries >= self._retries:
                raise failure from None  # gRPC's own text is a page of internals and adds nothing
            await self._transport.sleep(delay)
            tries += 1
            left = None if end is None else max(end - time.monotonic(), 0)
