"""The bytes of requests that are held at once: bounded, and shared by clients."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

import grpc
import pytest
from grpc import StatusCode

from onnxplain.graphops.errors import Cancelled, QueueFull
from onnxplain.server.caller import CALLER, Caller
from onnxplain.server.edge import intake
from onnxplain.server.edge.front import Front
from onnxplain.server.edge.intake import Intake
from onnxplain.server.listening import MAX_REQUEST_BYTES
from onnxplain.server.settings import Settings
from onnxplain.server.tokens import Token, digest

SERVICE = "onnxplain.v1.ExplainService"
TOKENS = [Token(name, frozenset({"infer"}), digest(f"of {name}")) for name in ("alice", "bob")]


def room(taker, client):
    CALLER.set(Caller(client))
    return taker.room()


def test_a_client_holds_no_more_than_it_leaves_free(monkeypatch):
    monkeypatch.setattr(intake, "WAIT_SECONDS", 0.01)

    async def play():
        taker = Intake(4 * MAX_REQUEST_BYTES)
        async with AsyncExitStack() as held:
            keep = await held.enter_async_context(room(taker, "alice"))
            await held.enter_async_context(room(taker, "alice"))
            with pytest.raises(QueueFull, match=f"{2 * MAX_REQUEST_BYTES} bytes"):
                await held.enter_async_context(room(taker, "alice"))
            async with room(taker, "bob"):
                pass
            keep(10)  # the request is small: the rest of its room is free
            await held.enter_async_context(room(taker, "alice"))
        for _ in range(2):  # all of it is free again
            await held.enter_async_context(room(taker, "alice"))
        await held.aclose()

    asyncio.run(play())


def test_a_request_waits_for_room_in_its_turn():
    async def play():
        taker, order = Intake(2 * MAX_REQUEST_BYTES), []

        async def call(number):
            async with room(taker, "alice"):
                order.append(number)

        async with room(taker, "alice"):
            calls = [asyncio.ensure_future(call(number)) for number in range(4)]
            await asyncio.sleep(0)
            calls[1].cancel()
            await asyncio.sleep(0)
            assert order == []
        await asyncio.gather(*calls, return_exceptions=True)
        return order

    assert asyncio.run(play()) == [0, 2, 3]


def test_a_slow_sender_is_given_up(monkeypatch):
    monkeypatch.setattr(intake, "READ_SECONDS", 0.01)

    async def play():
        taker = Intake(2 * MAX_REQUEST_BYTES)
        with pytest.raises(Cancelled, match="did not arrive"):
            async with room(taker, "alice"):
                await asyncio.sleep(60)
        async with room(taker, "alice") as keep:
            keep(10)
            await asyncio.sleep(0.05)  # a call may take longer than its request

    asyncio.run(play())


async def explain(request, context):
    return CALLER.get().name.encode()


HANDLERS = {"Explain": grpc.unary_unary_rpc_method_handler(explain)}


def test_who_sends_nothing_holds_up_no_other_client(monkeypatch):
    """Both come from one address: it is by their tokens that they are told apart."""
    monkeypatch.setattr(intake, "WAIT_SECONDS", 0.1)

    async def play():
        front = Front(
            Settings(
                listen=("127.0.0.1:0",), tokens=tuple(TOKENS), request_bytes=2 * MAX_REQUEST_BYTES
            ),
            SimpleNamespace(admitted={}, restarts=0, up=1),
        )
        server = front.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, HANDLERS),))
        (address,) = front.bind(server)
        await server.start()
        async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
            stub = channel.stream_unary(f"/{SERVICE}/Explain")
            idle = stub(metadata=[("authorization", "Bearer of alice")], timeout=60)
            await idle.wait_for_connection()
            bob = stub(iter([b""]), metadata=[("authorization", "Bearer of bob")], timeout=10)
            answer = await bob
            alice = stub(iter([b""]), metadata=[("authorization", "Bearer of alice")], timeout=10)
            error = (await asyncio.gather(alice, return_exceptions=True))[0]
            idle.cancel()
        await server.stop(0)
        return answer, error.code(), dict(error.trailing_metadata())["onnxplain-error"]

    assert asyncio.run(play()) == (b"bob", StatusCode.RESOURCE_EXHAUSTED, "QueueFull")
