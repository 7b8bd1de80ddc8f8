"""The two ways to make a call: one blocks its thread, the other waits in the event loop.

Both have the same coroutines, so that all above them is written once; those of the former never
wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import grpc

from onnxplain.client.channels import Channel
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["AsyncTransport", "BlockingTransport", "Transport"]

Take = Callable[[Any], None]


class Transport(Protocol):
    """A channel on which calls are made by their names; they raise grpc.RpcError."""

    channel: Channel

    async def unary(self, call: str, request: Any, timeout: float | None) -> Any:
        """Return the response to a request, or to an iterator of requests."""

    async def stream(self, call: str, request: Any, timeout: float | None, take: Take) -> None:
        """Hand over each message of a stream, which is cancelled if `take` raises."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def close(self) -> None:
        """Close the channel."""


class BlockingTransport:
    """Calls that block the thread."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        address, options = channel.address, channel.options
        if channel.credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, channel.credentials, options)
        self._stub = explain_pb2_grpc.ExplainServiceStub(self._channel)

    async def unary(self, call: str, request: Any, timeout: float | None) -> Any:
        """Return the response to a request, or to an iterator of requests."""
        made = getattr(self._stub, call)
        return made(request, timeout=timeout, metadata=self.channel.metadata)

    async def stream(self, call: str, request: Any, timeout: float | None, take: Take) -> None:
        """Hand over each message of a stream, which is cancelled if `take` raises."""
        made = getattr(self._stub, call)
        messages = made(request, timeout=timeout, metadata=self.channel.metadata)
        try:
            for message in messages:
                take(message)
        finally:
            messages.cancel()  # no effect on a stream that has ended

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class AsyncTransport:
    """Calls that wait in the event loop that is running at the first one."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        address, options = self.channel.address, self.channel.options
        if self.channel.credentials is None:
            return grpc.aio.insecure_channel(address, options)
        return grpc.aio.secure_channel(address, self.channel.credentials, options)

    @cached_property
    def _stub(self) -> Any:
        return explain_pb2_grpc.ExplainServiceStub(self._channel)

    async def unary(self, call: str, request: Any, timeout: float | None) -> Any:
        """Return the response to a request, or to an iterator of requests."""
        made = getattr(self._stub, call)
        return await made(request, timeout=timeout, metadata=self.channel.metadata)

    async def stream(self, call: str, request: Any, timeout: float | None, take: Take) -> None:
        """Hand over each message of a stream, which is cancelled if `take` raises."""
        made = getattr(self._stub, call)
        messages = made(request, timeout=timeout, metadata=self.channel.metadata)
        try:
            async for message in messages:
                take(message)
        finally:
            messages.cancel()  # no effect on a stream that has ended

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Close the channel."""
        if "_channel" in vars(self):
            await self._channel.close()
