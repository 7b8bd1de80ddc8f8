"""Which call computes when: slots, callers in turn, calls that are over, work that hangs."""

import asyncio
import threading
import time
import weakref

import pytest

from onnxplain.graphops.errors import Cancelled, InputError, NoWorker
from onnxplain.server.settings import Settings
from onnxplain.server.worker import Scheduler
from onnxplain.server.worker.calls import Call
from onnxplain.server.worker.turns import Turn


def scheduled(test, on_stuck=None, **settings):
    """Run a test that takes a scheduler on an event loop of its own."""

    async def main():
        scheduler = Scheduler(Settings(**settings), on_stuck)
        try:
            return await asyncio.wait_for(test(scheduler), 20)
        finally:
            scheduler.close()

    return asyncio.run(main())


async def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


class Gate:
    """Work that runs until it is let go."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.open.wait(10)


async def occupied(scheduler, gate, caller="other"):
    """Return a task that holds a slot until the gate opens."""
    task = asyncio.ensure_future(scheduler.run(Call(caller), gate))
    await until(gate.begun.is_set)
    return task


def test_so_many_calls_run_at_once():
    running, most = [], []

    def work():
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    async def test(scheduler):
        await asyncio.gather(*(scheduler.run(Call(f"caller {i}"), work) for i in range(12)))
        assert scheduler.free == 3
        assert scheduler.waiting == 0

    scheduled(test, concurrency=3)
    assert len(most) == 12
    assert max(most) <= 3


def test_the_result_the_error_and_the_time_used():
    async def test(scheduler):
        call = Call("caller")
        assert await scheduler.run(call, lambda a, b: time.sleep(0.02) or a + b, 1, 2) == 3
        assert call.compute_seconds >= 0.02
        with pytest.raises(InputError, match="wrong"):
            await scheduler.run(call, failing)
        assert scheduler.free == 1

    def failing():
        raise InputError("wrong")

    scheduled(test, concurrency=1)


def test_a_hundred_calls_of_one_client_do_not_starve_another():
    order = []

    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate, "many")
        many = [scheduler.run(Call("many"), order.append, f"many {i}") for i in range(100)]
        few = [scheduler.run(Call("few"), order.append, f"few {i}") for i in range(3)]
        tasks = [*map(asyncio.ensure_future, many), *map(asyncio.ensure_future, few)]
        await until(lambda: scheduler.waiting == 103)
        gate.open.set()
        await asyncio.gather(first, *tasks)

    scheduled(test, concurrency=1)
    assert [order.index(f"few {i}") for i in range(3)] == [1, 3, 5]  # in turn with the other's
    assert [name for name in order if "many" in name] == [f"many {i}" for i in range(100)]


def test_a_client_that_comes_again_and_again_does_not_starve_another():
    """New calls of others come in while a long queue waits."""
    order = []

    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate)
        queue = [asyncio.ensure_future(scheduler.run(Call("a"), order.append, "a")) for _ in "123"]
        await until(lambda: scheduler.waiting == 3)
        gate.open.set()
        for i in range(10):
            await scheduler.run(Call(f"new {i}"), order.append, "new")
        await asyncio.gather(first, *queue)

    scheduled(test, concurrency=1)
    assert order.index("a") <= 1
    assert [i for i, name in enumerate(order) if name == "a"][-1] <= 6


@pytest.mark.parametrize("how", ["cancelled", "gone", "expired"])
def test_a_call_that_is_over_never_begins(how):
    ran = []

    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate)
        calls = [Call("caller", deadline=time.monotonic() + 0.05 if how == "expired" else None)
                 for _ in range(5)]  # fmt: skip
        tasks = [asyncio.ensure_future(scheduler.run(call, ran.append, 1)) for call in calls]
        kept = asyncio.ensure_future(scheduler.run(Call("caller"), ran.append, 2))
        await until(lambda: scheduler.waiting == 6)
        for call, task in zip(calls, tasks, strict=True):
            if how == "cancelled":
                task.cancel()
            elif how == "gone":
                call.cancelled.set()
        await asyncio.sleep(0.06)
        gate.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(first, kept)
        assert scheduler.free == 1
        return results

    results = scheduled(test, concurrency=1)
    expected = asyncio.CancelledError if how == "cancelled" else Cancelled
    assert [type(result) for result in results] == [expected] * 5
    if how == "expired":
        assert "deadline passed" in str(results[0])
    assert ran == [2]


def test_the_slot_of_a_cancelled_call_is_free_once_its_work_has_stopped():
    async def test(scheduler):
        call, begun = Call("caller"), threading.Event()

        def work():
            begun.set()
            assert call.cancelled.wait(10)

        task = asyncio.ensure_future(scheduler.run(call, work))
        await until(begun.is_set)
        assert scheduler.free == 0
        task.cancel()
        await until(lambda: scheduler.free == 1)
        assert await scheduler.run(Call("caller"), lambda: "served") == "served"

    scheduled(test, concurrency=1)


@pytest.mark.parametrize("stops", [True, False])
def test_work_that_goes_on_after_its_call_has_ended(stops):
    """It may end the process; in these tests, it is only noted."""
    stuck, hanging = [], threading.Event()

    async def test(scheduler):
        call, begun = Call("caller"), threading.Event()

        def work():
            begun.set()
            assert (call.cancelled if stops else hanging).wait(10)

        task = asyncio.ensure_future(scheduler.run(call, work))
        await until(begun.is_set)
        task.cancel()
        if stops:
            await asyncio.sleep(0.3)
        else:
            await until(lambda: stuck)
            assert scheduler.free == 0
            hanging.set()
        await until(lambda: scheduler.free == 1)

    scheduled(test, lambda: stuck.append(1), concurrency=1, grace_seconds=0.1)
    assert stuck == ([] if stops else [1])


def test_the_result_of_a_cancelled_call_is_let_go_at_once():
    gone = threading.Event()

    async def test(scheduler):
        call, begun = Call("caller"), threading.Event()

        def work():
            begun.set()
            assert call.cancelled.wait(10)
            result = Gate()
            weakref.finalize(result, gone.set)
            return result

        task = asyncio.ensure_future(scheduler.run(call, work))
        await until(begun.is_set)
        task.cancel()
        await until(gone.is_set)

    scheduled(test, lambda: None, concurrency=1, grace_seconds=60)


def test_what_runs_together_and_hangs_is_noticed_once_nobody_waits():
    stuck, hanging, begun = [], threading.Event(), threading.Event()

    def run(members, call):
        begun.set()
        hanging.wait(10)
        return members

    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate)
        tasks = [
            asyncio.ensure_future(scheduler.together(Call("a"), "key", 1, i, run)) for i in range(2)
        ]
        await until(lambda: scheduler.waiting == 2)
        gate.open.set()
        await first
        await until(begun.is_set)
        tasks[0].cancel()
        await asyncio.sleep(0.2)
        assert not stuck
        tasks[1].cancel()
        await until(lambda: stuck)
        hanging.set()

    scheduled(test, lambda: stuck.append(1), concurrency=1, grace_seconds=0.1)


def test_a_slow_reader_of_a_stream_gives_its_slot_back():
    async def test(scheduler):
        call = Call("slow")
        turn = Turn(scheduler, call, long=True)
        assert await turn.run(lambda: 1) == 1
        assert scheduler.free == 0  # it may read the next part at once
        assert await scheduler.run(Call("other"), lambda: "served") == "served"
        assert scheduler.free == 1
        assert await turn.run(lambda: 2) == 2
        tidied = threading.Event()
        turn.end(tidied.set)
        await until(lambda: scheduler.free == 1 and tidied.is_set())

    scheduled(test, concurrency=1)


def test_a_stream_that_is_read_keeps_its_slot():
    order = []

    async def test(scheduler):
        turn = Turn(scheduler, Call("stream"), long=True)
        await turn.run(order.append, "part")
        other = asyncio.ensure_future(scheduler.run(Call("other"), order.append, "other"))
        await until(lambda: scheduler.waiting == 1)
        for _ in range(3):
            await turn.run(order.append, "part")
        turn.end()
        await other

    scheduled(test, concurrency=1)
    assert order == ["part"] * 4 + ["other"]


def test_the_streams_of_one_caller_leave_a_slot_for_others():
    async def test(scheduler):
        turns = [Turn(scheduler, Call("streams"), long=True) for _ in range(5)]
        gates = [Gate() for _ in turns]
        tasks = [
            asyncio.ensure_future(turn.run(gate)) for turn, gate in zip(turns, gates, strict=True)
        ]
        await until(lambda: scheduler.waiting == 3)
        assert scheduler.free == 1
        assert await scheduler.run(Call("other"), lambda: "served") == "served"
        for turn, gate, task in zip(turns, gates, tasks, strict=True):
            gate.open.set()
            await task
            turn.end()

    scheduled(test, concurrency=3)


def test_light_work_needs_no_slot():
    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate)
        assert await scheduler.aside(Call("caller"), lambda: "served") == "served"
        gate.open.set()
        await first

    scheduled(test, concurrency=1)


async def grouped(scheduler, members, run, *, sizes=None, key="key"):
    """Return the results of members that all wait before the slot is free."""
    gate = Gate()
    first = await occupied(scheduler, gate)
    calls = [Call(f"caller {i}") for i in range(len(members))]
    tasks = [
        asyncio.ensure_future(scheduler.together(call, key, size, member, run))
        for call, member, size in zip(calls, members, sizes or [1] * len(members), strict=True)
    ]
    await until(lambda: scheduler.waiting == len(members))
    gate.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    return results, calls


def doubling(groups):
    def run(members, call):
        groups.append(list(members))
        return [2 * member for member in members]

    return run


@pytest.mark.parametrize(
    ("key", "sizes", "expected"),
    [
        ("key", [1] * 5, [[0, 1, 2], [3, 4]]),
        ("key", [2, 2, 1, 1, 4], [[0], [1, 2], [3], [4]]),
        (None, [1] * 5, [[0], [1], [2], [3], [4]]),
    ],
)
def test_calls_of_one_key_run_together(key, sizes, expected):
    groups = []

    async def test(scheduler):
        results, calls = await grouped(scheduler, range(5), doubling(groups), sizes=sizes, key=key)
        assert results == [0, 2, 4, 6, 8]
        return [call.batch for call in calls]

    batches = scheduled(test, concurrency=1, batch=3)
    assert groups == expected
    assert batches == [sum(sizes[i] for i in group) for group in expected for _ in group]


def test_calls_of_one_key_and_other_work_run_apart():
    """As Explain and ExplainUnits do, which ask the same of the engine for another answer."""
    first, second = [], []

    async def test(scheduler):
        gate = Gate()
        holder = await occupied(scheduler, gate)
        tasks = [
            asyncio.ensure_future(scheduler.together(Call("a"), "key", 1, i, run))
            for i, run in enumerate([doubling(first), doubling(second)])
        ]
        await until(lambda: scheduler.waiting == 2)
        gate.open.set()
        assert await asyncio.gather(*tasks) == [0, 2]
        await holder

    scheduled(test, concurrency=1)
    assert (first, second) == ([[0]], [[1]])


def test_what_fails_together_runs_alone():
    groups = []

    def run(members, call):
        groups.append(list(members))
        if 1 in members:
            raise InputError(f"wrong in {list(members)}")
        return members

    async def test(scheduler):
        return await grouped(scheduler, range(3), run)

    (first, second, third), calls = scheduled(test, concurrency=1)
    assert (first, third) == (0, 2)
    assert str(second) == "wrong in [1]"
    assert groups == [[0, 1, 2], [0], [1], [2]]
    assert [call.batch for call in calls] == [1, 1, 1]


def test_an_error_of_one_member_is_its_own():
    async def test(scheduler):
        return await grouped(
            scheduler,
            range(3),
            lambda members, call: [m if m != 1 else InputError("1") for m in members],
        )

    (first, second, third), _ = scheduled(test, concurrency=1)
    assert (first, third) == (0, 2)
    assert str(second) == "1"


def test_a_member_that_goes_does_not_end_the_others():
    begun, going = threading.Event(), threading.Event()

    def run(members, call):
        begun.set()
        assert going.wait(10)
        assert not call.over
        return members

    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate)
        calls = [Call("a"), Call("b", deadline=time.monotonic() + 0.05), Call("c")]
        tasks = [
            asyncio.ensure_future(scheduler.together(call, "key", 1, i, run))
            for i, call in enumerate(calls)
        ]
        await until(lambda: scheduler.waiting == 3)
        gate.open.set()
        await until(begun.is_set)
        tasks[0].cancel()
        await asyncio.sleep(0.06)
        going.set()
        assert await tasks[2] == 2
        await first
        await until(lambda: scheduler.free == 1)

    scheduled(test, concurrency=1)


def test_once_all_members_have_gone_the_work_is_told_to_stop():
    begun, told = threading.Event(), threading.Event()

    def run(members, call):
        begun.set()
        end = time.monotonic() + 10
        while time.monotonic() < end and not call.cancelled.is_set():
            time.sleep(0.005)
        told.set()
        raise Cancelled("told to stop")

    async def test(scheduler):
        gate = Gate()
        first = await occupied(scheduler, gate)
        calls = [Call("a"), Call("b", deadline=time.monotonic() + 0.2)]
        tasks = [
            asyncio.ensure_future(scheduler.together(call, "key", 1, i, run))
            for i, call in enumerate(calls)
        ]
        await until(lambda: scheduler.waiting == 2)
        gate.open.set()
        await until(begun.is_set)
        assert not told.is_set()
        tasks[0].cancel()
        await until(told.is_set)
        await until(lambda: scheduler.free == 1)
        assert isinstance((await asyncio.gather(tasks[1], first, return_exceptions=True))[0],
                          Cancelled)  # fmt: skip

    scheduled(test, concurrency=1)


def test_a_call_waits_for_others_to_run_with():
    groups = []

    async def test(scheduler):
        begun = time.monotonic()
        alone = await scheduler.together(Call("a"), "key", 1, 0, doubling(groups))
        assert time.monotonic() - begun >= 0.1
        begun = time.monotonic()
        run = doubling(groups)
        full = [scheduler.together(Call("a"), "key", 1, i, run) for i in range(3)]
        assert await asyncio.gather(*full) == [0, 2, 4]
        assert time.monotonic() - begun < 0.1
        return alone

    assert scheduled(test, batch=3, delay_ms=100) == 0
    assert groups == [[0], [0, 1, 2]]


def test_streams_of_one_key_run_together_and_alone_on_their_own():
    """A stream that no other joins has the slot, and computes its parts itself."""

    async def test(scheduler):
        alone = Turn(scheduler, Call("a"), long=True)
        fields = {"key": "key", "size": 1, "run": doubling([])}
        assert await scheduler.grant(alone, **fields, member=0) is None
        assert scheduler.holds(alone)
        turns = [Turn(scheduler, Call("a"), long=True) for _ in range(2)]
        tasks = [
            asyncio.ensure_future(scheduler.grant(turn, **fields, member=i))
            for i, turn in enumerate(turns)
        ]
        await until(lambda: scheduler.waiting == 2)
        alone.end()
        assert await asyncio.gather(*tasks) == [0, 2]
        assert scheduler.free == 1

    scheduled(test, concurrency=1)


def test_the_end_of_the_service():
    async def test(scheduler):
        running, begun = Call("a"), threading.Event()

        def work():
            begun.set()
            assert running.cancelled.wait(10)
            return "told to stop"

        task = asyncio.ensure_future(scheduler.run(running, work))
        waiting = asyncio.ensure_future(scheduler.run(Call("b"), work))
        await until(lambda: begun.is_set() and scheduler.waiting == 1)
        scheduler.stop()
        assert await task == "told to stop"
        for refused in (waiting, scheduler.run(Call("c"), work)):
            with pytest.raises(NoWorker, match="repeat it"):
                await refused

    scheduled(test, concurrency=1)
