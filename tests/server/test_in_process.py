"""A service in one process, whose clients call without an edge between."""

import asyncio

import grpc

from onnxplain.server import Settings, start_settings
from onnxplain.server.tokens import Token, digest
from onnxplain.server.worker.scheduler import Scheduler
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

LOCAL = [("grpc.enable_http_proxy", 0)]
FORGED = ("onnxplain-caller", "another")


def test_calls_are_queued_by_their_tokens_whatever_their_metadata_say(tmp_path, monkeypatch):
    callers, aside = [], Scheduler.aside

    def noting(self, call, *work):
        callers.append(call.caller)
        return aside(self, call, *work)

    monkeypatch.setattr(Scheduler, "aside", noting)

    async def calling(tokens, metadata):
        settings = Settings(models=(tmp_path,), listen=("127.0.0.1:0",), tokens=tokens)
        service = await start_settings(settings, in_process=True)
        async with grpc.aio.insecure_channel(service.address, LOCAL) as channel:
            stub = explain_pb2_grpc.ExplainServiceStub(channel)
            await stub.ListModels(pb.ListModelsRequest(), metadata=(FORGED, *metadata))
        await service.stop(0)

    token = Token("mine", frozenset({"infer"}), digest("secret"))
    asyncio.run(calling((token,), [("authorization", "Bearer secret")]))
    asyncio.run(calling((), []))
    assert callers == ["mine", "127.0.0.1"]
