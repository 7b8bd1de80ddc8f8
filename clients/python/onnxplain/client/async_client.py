"""The client whose calls are coroutines."""

from __future__ import annotations

from typing import Self

from onnxplain.client.channels import TLS, Channel
from onnxplain.client.connection import RETRIES
from onnxplain.client.explanations import ExplanationCalls
from onnxplain.client.operations import OperationCalls
from onnxplain.client.store import StoreCalls
from onnxplain.client.transports import AsyncTransport

__all__ = ["AsyncClient", "Calls"]


class Calls(ExplanationCalls, StoreCalls, OperationCalls):
    """All calls of a client, over whatever transport."""


class AsyncClient(Calls):
    """A connection to an onnxplain service for asyncio.

    Use it in an `async with` block, or close it. It has the methods of `Client`, and takes the same
    arguments; its methods are coroutines.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float | None = None,
        token: str | None = None,
        tls: TLS | None = None,
        retries: int = RETRIES,
    ) -> None:
        super().__init__(AsyncTransport(Channel(address, tls, token)), timeout, retries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
