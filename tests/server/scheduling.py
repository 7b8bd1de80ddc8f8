"""What the tests of turns and batches share: a worker in this event loop, and an engine on hold."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager

import grpc

from onnxplain.engine import Engine
from onnxplain.registry import FolderSource
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.settings import Settings
from onnxplain.server.worker import ExplainServicer, Models, Scheduler
from onnxplain.v1 import explain_pb2_grpc

NO_PROXY = [("grpc.enable_http_proxy", 0)]


class Held(Engine):
    """An engine whose first call waits until it is let go; it counts the images of each call."""

    def __init__(self):
        super().__init__("cpu")
        self.begun, self.gone_on, self.images = threading.Event(), threading.Event(), []

    def explain_units(self, model, images, *arguments, **choices):
        self.images.append(len(getattr(images, "rows", images)))
        if len(self.images) == 1:
            self.begun.set()
            assert self.gone_on.wait(10)
        return super().explain_units(model, images, *arguments, **choices)


@asynccontextmanager
async def serving(folder, engine, **settings):
    """Serve a folder in this event loop, and give the stub and the scheduler."""
    scheduler = Scheduler(Settings(concurrency=1, **settings))
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = ExplainServicer(Models([FolderSource(folder)]), engine, scheduler)
    explain_pb2_grpc.add_ExplainServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", NO_PROXY) as channel:
        yield explain_pb2_grpc.ExplainServiceStub(channel), scheduler
    await server.stop(0)
    scheduler.close()


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")
