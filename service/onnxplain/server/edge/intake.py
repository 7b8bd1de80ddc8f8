"""How many bytes of requests the edge holds at once, those that are still being read among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from onnxplain.graphops.errors import Cancelled, QueueFull
from onnxplain.server.caller import caller_name
from onnxplain.server.edge.admission import Shares
from onnxplain.server.listening import MAX_REQUEST_BYTES

__all__ = ["Intake"]

MOST_WAITING = 1024  # requests for room
WAIT_SECONDS = 10.0  # for room
READ_SECONDS = 60.0  # for a request to arrive


class Intake:
    """Gives calls room for their requests, which clients share.

    gRPC reads a message only when it is asked for one, and does not tell its size before.

    most: the bytes of all requests together.
    """

    def __init__(self, most: int) -> None:
        self._held = Shares(most)
        self._queue = Shares(MOST_WAITING)
        self._waiting: dict[asyncio.Future[None], str] = {}

    @asynccontextmanager
    async def room(self) -> AsyncIterator[Callable[[int], None]]:
        """Hold room for the largest request, of the client of the running call.

        Yields:
            A function that takes the size of the request once it is there, and keeps only that.

        Raises:
            QueueFull: there is no room, and none became free in a while.
            Cancelled: the request did not arrive in time.
        """
        client = caller_name()
        await self._take(client)
        held = MAX_REQUEST_BYTES

        def keep(size: int) -> None:
            nonlocal held
            limit.reschedule(None)
            self._free(client, held - size)
            held = size

        try:
            async with asyncio.timeout(READ_SECONDS) as limit:
                yield keep
        except TimeoutError as e:
            if not limit.expired():
                raise
            raise Cancelled(f"the request did not arrive within {READ_SECONDS:g} seconds") from e
        finally:
            self._free(client, held)

    async def _take(self, client: str) -> None:
        """Take room for one request, as soon as there is some. Raises QueueFull."""
        if not self._waiting and self._held.fits(client, MAX_REQUEST_BYTES):
            self._held.add(client, MAX_REQUEST_BYTES)
            return
        turn = asyncio.get_running_loop().create_future()
        with self._queue.place("requests wait to be read"):
            self._waiting[turn] = client
            self._give()
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await turn
            except BaseException as error:
                if self._waiting.pop(turn, None) is None:  # it had its turn at the same moment
                    self._free(client, MAX_REQUEST_BYTES)
                if isinstance(error, TimeoutError):
                    raise QueueFull(
                        f"{self._held.held[client]} bytes of this client's requests are held "
                        "already: try again in a while, or send fewer pictures at once"
                    ) from error
                raise

    def _free(self, client: str, size: int) -> None:
        self._held.add(client, -size)
        self._give()

    def _give(self) -> None:
        """Give room to those that wait, in their order, as far as there is some."""
        for turn, client in list(self._waiting.items()):
            if self._held.fits(client, MAX_REQUEST_BYTES):
                self._held.add(client, MAX_REQUEST_BYTES)
                del self._waiting[turn]
                turn.set_result(None)
