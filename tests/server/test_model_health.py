"""Health checks, which need no token: what they may cost."""

import asyncio
from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from onnxplain.server.edge import model_health
from onnxplain.server.edge.catalogue import Catalogue
from onnxplain.server.edge.model_health import ModelHealth
from onnxplain.server.errors import ErrorInterceptor

UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVING = health_pb2.HealthCheckResponse.SERVING


class Source:
    """Counts how often it is listed."""

    listed = 0

    def list(self):
        self.listed += 1
        return []

    async def watch(self):
        await asyncio.sleep(3600)
        yield


def checking(play):
    """Run `play` with a source, and a stub of the health checks over it."""

    async def run():
        source = Source()
        catalogue = Catalogue([source], SimpleNamespace(), warm=False)
        await catalogue.start()
        health = ModelHealth(["a.Service"], SimpleNamespace(up=1), catalogue, lambda _: "")
        server = grpc.aio.server(interceptors=[ErrorInterceptor()])
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        options = [("grpc.enable_http_proxy", 0)]
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
                await play(source, health_pb2_grpc.HealthStub(channel))
        finally:
            await server.stop(0)
            await catalogue.stop()

    asyncio.run(run())


def asked(name):
    return health_pb2.HealthCheckRequest(service=name)


def test_checks_do_not_have_the_folders_listed(monkeypatch):
    monkeypatch.setattr(model_health, "WATCH_SECONDS", 0.01)

    async def play(source, stub):
        watches = [stub.Watch(asked(f"models/no{i}"), timeout=30) for i in range(20)]
        assert {(await watch.read()).status for watch in watches} == {UNKNOWN}
        with pytest.raises(grpc.RpcError) as missing:
            await stub.Check(asked("models/none"), timeout=30)
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
        await asyncio.sleep(0.2)
        assert source.listed == 1

    checking(play)


def test_a_client_watches_no_more_than_it_leaves_to_others(monkeypatch):
    monkeypatch.setattr(model_health, "MOST_WATCHES", 4)

    async def play(source, stub):
        watches = [stub.Watch(asked(""), timeout=30) for _ in range(2)]
        assert {(await watch.read()).status for watch in watches} == {SERVING}
        third = stub.Watch(asked(""), timeout=30)
        assert await third.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        for _ in range(100):
            again = stub.Watch(asked(""), timeout=30)
            if (answer := await read(again)) is not None:
                break
            await asyncio.sleep(0.05)
        assert answer.status == SERVING

    checking(play)


async def read(watch):
    try:
        answer = await watch.read()
    except grpc.RpcError:
        return None
    return None if answer is grpc.aio.EOF else answer
