"""Workers for suspect models: how many there are, and who gets one."""

import asyncio
import dataclasses
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest

from onnxplain.graphops.errors import NoWorker, QueueFull, ServiceError
from onnxplain.server import Settings
from onnxplain.server.caller import CALLER, Caller
from onnxplain.server.edge import lone_workers
from onnxplain.server.edge.lone_workers import LoneWorkers
from onnxplain.server.machine import MOST_ALONE, local_settings, lone_settings


class Link:
    """In place of a worker: it ends as soon as it falls."""

    def __init__(self):
        self.fallen = asyncio.Event()
        self.error = asyncio.get_running_loop().create_future()
        self.given_up = 0
        self.dies = False  # before its work stops
        self.rests = asyncio.Event()

    def fall(self, error=None):
        if not self.fallen.is_set():
            self.fallen.set()
            self.reason = error
            self.error.set_result(error)

    def unary(self, method):
        assert method == "/onnxplain.v1.WorkerService/Rest"

        async def rest(_):
            await self.rests.wait()
            if self.dies:
                raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, (), ())

        return rest


class Pool:
    """In place of the workers' pool; `links` has those that were started."""

    def __init__(self):
        self.links = []

    async def fresh(self):
        await asyncio.sleep(0)
        self.links.append(Link())
        return self.links[-1]

    @property
    def up(self):
        return sum(not link.fallen.is_set() for link in self.links)


@asynccontextmanager
async def lone():
    pool = Pool()
    workers = LoneWorkers(pool)
    calls = []

    def call(caller, *models):
        """Begin a call, which lasts until the event that is returned is set."""
        CALLER.set(Caller(caller))
        begun, end = asyncio.Event(), asyncio.Event()

        async def run():
            async with workers.lend(models):
                begun.set()
                await end.wait()

        calls.append(asyncio.ensure_future(run()))
        return calls[-1], begun, end

    try:
        yield pool, call
    finally:
        for one in calls:
            one.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await workers.stop()


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def test_calls_of_the_same_models_share_one():
    async def run():
        async with lone() as (pool, call):
            ends = [call("ann", "a"), call("bob", "a")]
            await settle()
            assert [begun.is_set() for _, begun, _ in ends] == [True, True]
            assert pool.up == 1
            ends[0][2].set()
            await settle()
            assert pool.up == 1
            ends[1][2].set()
            await settle()
            assert pool.up == 0

    asyncio.run(run())


def test_a_caller_leaves_one_for_others_and_they_come_in_turn():
    async def run():
        async with lone() as (pool, call):
            mine = [call("ann", name) for name in "abc"]
            await settle()
            assert [begun.is_set() for _, begun, _ in mine] == [True, False, False]
            _, begun, end = call("bob", "d")
            await settle()
            assert begun.is_set()
            shared = call("bob", "c")  # waits, as bob has one too
            other = call("cid", "c")  # has none, but all are taken
            await settle()
            assert not shared[1].is_set()
            assert pool.up == MOST_ALONE
            end.set()
            await settle()
            assert [begun.is_set() for _, begun, _ in mine] == [True, False, True]
            assert shared[1].is_set()
            assert other[1].is_set()
            for _, _, end in (mine[0], mine[2], shared, other):
                end.set()
            await settle()
            assert mine[1][1].is_set()

    asyncio.run(run())


def test_the_wait_is_bounded(monkeypatch):
    monkeypatch.setattr(lone_workers, "WAIT_SECONDS", 0.05)

    async def run():
        async with lone() as (_, call):
            call("ann", "a")
            waits, _, _ = call("ann", "b")
            gone, _, _ = call("ann", "c")
            await settle()
            gone.cancel()
            with pytest.raises(QueueFull, match="b may make workers die"):
                await waits
            _, begun, _ = call("bob", "b")
            await settle()
            assert begun.is_set()

    asyncio.run(run())


def test_a_worker_with_work_that_was_given_up_ends_when_that_stops():
    async def run():
        async with lone() as (pool, call):
            _, _, end = call("ann", "a")
            await settle()
            (link,) = pool.links
            link.given_up = 1
            end.set()
            await settle()
            assert pool.up == 1
            _, begun, end = call("ann", "a")  # shares it meanwhile
            await settle()
            assert begun.is_set()
            link.rests.set()
            await settle()
            assert pool.up == 1
            end.set()
            await settle()
            assert pool.up == 0
            assert type(link.reason) is ServiceError  # which is no death
            _, begun, _ = call("ann", "a")
            await settle()
            assert begun.is_set()
            assert len(pool.links) == 2

    asyncio.run(run())


def test_a_worker_that_dies_of_work_that_was_given_up_has_died():
    async def run():
        async with lone() as (pool, call):
            _, _, end = call("ann", "a")
            await settle()
            (link,) = pool.links
            link.given_up, link.dies = 1, True
            end.set()
            link.rests.set()
            await settle()
            assert link.fallen.is_set()
            assert link.reason is None  # the end of its process tells

    asyncio.run(run())


def test_a_worker_that_dies_gives_its_place_back():
    async def run():
        async with lone() as (pool, call):
            first, _, end = call("ann", "a")
            await settle()
            pool.links[0].fall()
            _, begun, _ = call("ann", "b")
            await settle()
            assert begun.is_set()
            end.set()
            with suppress(NoWorker):
                await first

    asyncio.run(run())


def test_they_share_the_memory_with_the_others():
    settings = Settings((Path(),), device=("cpu",), workers=2)
    each = {one.memory_bytes for one in (*local_settings(settings).values(),)}
    each.add(lone_settings(settings).memory_bytes)
    assert len(each) == 1
    alone = dataclasses.replace(settings, workers=1)
    whole = 3 * lone_settings(alone).memory_bytes
    assert each.pop() * (2 + MOST_ALONE) == pytest.approx(whole, rel=1e-6)
