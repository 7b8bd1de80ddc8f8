"""The clients of the soak: each calls again and again, and counts how every call ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable
from itertools import count
from typing import Any

import grpc
import numpy as np
from grpc import StatusCode
from soak_cases import Case, Models, explanation_case
from soak_hostile import HOSTILE

from onnxplain.client import AsyncClient, ClientError
from onnxplain.engine import Engine

__all__ = ["Load"]

SECONDS = 60.0  # that a call may take which nobody cancels: one that takes longer is lost
SHORT, CANCELLED, HOSTILE_SHARE, UPLOAD = 0.10, 0.05, 0.05, 0.01  # of all calls
LAST_CLIENTS = 4  # fewer than the service runs at once
# Besides what was asked for wrongly, only this may happen to a call, and the text says so.
DOCUMENTED = {
    (StatusCode.ABORTED, "WorkerDied"),
    (StatusCode.UNAVAILABLE, "NoWorker"),
    (StatusCode.RESOURCE_EXHAUSTED, "QueueFull"),
}
LATE = {(StatusCode.DEADLINE_EXCEEDED, "Cancelled"), (StatusCode.DEADLINE_EXCEEDED, "")}


class Load:
    """What the clients call, and how all calls have ended so far.

    started: the number of calls. ended: how many by kind of call and end. wrong: what should not
    have happened. seconds: how long the calls took that nobody cut short.
    """

    def __init__(self, address: str, cases: list[Case], models: Models, engine: Engine) -> None:
        self._address = address
        self._cases = cases
        self._variants, self._engine = models.variants, engine
        self._names = count()
        self.started = 0
        self.ended: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.seconds: list[float] = []

    async def client(self, seed: int, end: float) -> None:
        """Call until the time `end`."""
        draw = random.Random(seed)
        options = [("grpc.enable_http_proxy", 0)]
        async with (
            AsyncClient(self._address, timeout=SECONDS) as client,
            grpc.aio.insecure_channel(self._address, options) as channel,
        ):
            while time.monotonic() < end:
                share = draw.random()
                case = draw.choice(self._cases)
                self.started += 1
                if share < SHORT:
                    await self._too_short(case, client.with_timeout(draw.uniform(0, 0.03)))
                elif share < SHORT + CANCELLED:
                    await self._cancelled(case, client, draw.uniform(0, 0.1))
                elif share < SHORT + CANCELLED + HOSTILE_SHARE:
                    await self._hostile(draw, client, channel)
                elif share < SHORT + CANCELLED + HOSTILE_SHARE + UPLOAD:
                    await self._upload(draw, client)
                else:
                    await self.ask(case, client)

    async def ask(self, case: Case, client: AsyncClient) -> None:
        """Make a call that nobody cuts short, and check its answer."""
        start = time.monotonic()
        await self._end(case.name, case.call(client), case, DOCUMENTED)
        self.seconds.append(time.monotonic() - start)

    async def last_round(self) -> None:
        """Make every call once, some at once, none of which may fail now."""
        left = list(self._cases)
        self.started += len(left)

        async def work() -> None:
            async with AsyncClient(self._address, timeout=SECONDS, retries=0) as client:
                while left:
                    case = left.pop()
                    await self._end("the last round", case.call(client), case, set())

        await asyncio.gather(*(work() for _ in range(LAST_CLIENTS)))

    async def _too_short(self, case: Case, client: AsyncClient) -> None:
        await self._end("with a deadline too short", case.call(client), case, DOCUMENTED | LATE)

    async def _cancelled(self, case: Case, client: AsyncClient, seconds: float) -> None:
        task = asyncio.ensure_future(case.call(client))
        await asyncio.sleep(seconds)
        task.cancel()
        await self._end("cancelled", task, case, DOCUMENTED)

    async def _hostile(
        self, draw: random.Random, client: AsyncClient, channel: grpc.aio.Channel
    ) -> None:
        hostile = draw.choice(HOSTILE)
        try:
            await hostile.call(client, channel)
            code, kind, text = StatusCode.OK, "", ""
        except ClientError as error:
            code, kind, text = error.code, error.kind, str(error)
        except grpc.aio.AioRpcError as error:
            metadata: Any = error.trailing_metadata() or ()
            kind = str(dict(metadata).get("onnxplain-error", ""))
            code, text = error.code(), error.details() or ""
        except asyncio.CancelledError:
            code, kind, text = StatusCode.CANCELLED, "", ""
        self._count(f"hostile: {hostile.name}", code.name, kind)
        if code not in hostile.allowed and (code, kind) not in DOCUMENTED:
            self.wrong.append(f"hostile: {hostile.name}: {code.name} {kind}: {text}")

    async def _upload(self, draw: random.Random, client: AsyncClient) -> None:
        """Upload a model under a new name, explain with it, and delete it."""
        path, name = draw.choice(self._variants), f"soak_{next(self._names)}"
        picture = np.frombuffer(draw.randbytes(32 * 32 * 3), np.uint8).reshape(32, 32, 3)
        chosen = {"method": "gradient", "preprocess": "unit"}
        case = explanation_case(self._engine, path, picture, name, **chosen)

        async def used() -> Any:
            model = await client.upload(name, path)
            try:
                return await case.call(client)
            finally:
                await client.delete(model.name.removeprefix("models/"))

        await self._end("upload, explain and delete", used(), case, DOCUMENTED)

    async def _end(
        self,
        name: str,
        call: Awaitable[Any],
        case: Case,
        allowed: set[tuple[StatusCode, str]],
    ) -> None:
        """Await a call, count how it ended, and note what is wrong with that."""
        try:
            answer = await call
        except ClientError as error:
            self._count(name, error.code.name, error.kind)
            if (error.code, error.kind) not in allowed:
                self.wrong.append(f"{name} ({case.name}): {error.code.name} {error.kind}: {error}")
            return
        except asyncio.CancelledError:
            self._count(name, "CANCELLED", "")
            return
        fault = case.fault(answer)
        self._count(name, "wrong answer" if fault else "right answer", "")
        if fault:
            self.wrong.append(f"{name} ({case.name}): {fault}")

    def _count(self, name: str, code: str, kind: str) -> None:
        self.ended[name, f"{code} {kind}".strip()] += 1
