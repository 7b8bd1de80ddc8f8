"""An edge with a store in this process, and a worker that really reads what is uploaded."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from onnxplain.registry import FolderSource
from onnxplain.server.caller import CALLER, Caller
from onnxplain.server.edge.catalogue import Catalogue
from onnxplain.server.edge.descriptions import ModelDescriptions
from onnxplain.server.edge.store import Store
from onnxplain.server.edge.uploads import Uploads
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.settings import Settings
from onnxplain.server.worker.process import start_worker
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

SERVICE = "onnxplain.v1.ExplainService"
NO_PROXY = [("grpc.enable_http_proxy", 0)]


class OneWorker:
    """Takes the calls of the edge to one worker, and notes which model each was for.

    failures: the errors of calls, by their names and models.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.asked: list[tuple[str, str]] = []
        self.failures: dict[tuple[str, str], Exception] = {}

    async def unary(self, method, request, model, *, timeout=None):
        self.asked.append((method.rpartition("/")[2], model))
        if error := self.failures.get(self.asked[-1]):
            raise error
        return await self._channel.unary_unary(method)(request, timeout=timeout)

    async def stream(self, method, request, model, *, timeout=None):
        self.asked.append((method.rpartition("/")[2], model))
        async for response in self._channel.unary_stream(method)(request, timeout=timeout):
            yield response


class Names(grpc.aio.ServerInterceptor):
    """Knows callers by the name that they give."""

    async def intercept_service(self, continuation, details):
        CALLER.set(Caller(dict(details.invocation_metadata).get("name", "anyone")))
        return await continuation(details)


@dataclass
class Storing:
    """A running edge. stub: of its own channel. quarantined: texts by full names of models."""

    stub: explain_pb2_grpc.ExplainServiceStub
    worker: OneWorker
    catalogue: Catalogue
    store: Store | None
    quarantined: dict[str, str]


@asynccontextmanager
async def storing(
    models: Path, store_folder: Path | None, *, max_bytes: int = 2**31, warm: bool = False
) -> AsyncIterator[Storing]:
    """Run an edge that has the calls of the store and those that describe models."""
    store = None if store_folder is None else Store(store_folder)
    listen = "127.0.0.1:0"
    settings = Settings((models,), store_folder, listen=(listen,), device=("cpu",))
    # Its process is that of the tests, and not to be ended.
    server = await start_worker(replace(settings, grace_seconds=3600), 2**26)
    edge = grpc.aio.server(interceptors=[ErrorInterceptor(), Names()])
    edge_port = edge.add_insecure_port(listen)
    async with (
        grpc.aio.insecure_channel(server.address, NO_PROXY) as inner,
        grpc.aio.insecure_channel(f"127.0.0.1:{edge_port}", NO_PROXY) as outer,
    ):
        worker, quarantined = OneWorker(inner), {}
        sources = [FolderSource(f, poll_seconds=0.05) for f in (models, store_folder) if f]
        catalogue = Catalogue(sources, worker, warm=warm)
        calls = Uploads(store, catalogue, worker, max_bytes).handlers()
        described = ModelDescriptions(catalogue, worker, lambda name: quarantined.get(name, ""))
        handlers = calls | described.handlers()
        edge.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        await catalogue.start()
        await edge.start()
        try:
            stub = explain_pb2_grpc.ExplainServiceStub(outer)
            yield Storing(stub, worker, catalogue, store, quarantined)
        finally:
            await edge.stop(0)
            await catalogue.stop()
            await server.stop(0)
            if store is not None:
                store.close()


def header(name: str, data: bytes, size: int | None = None, sha256: str | None = None):
    return pb.UploadModelRequest(
        header=pb.UploadHeader(
            model=name,
            size_bytes=len(data) if size is None else size,
            sha256=hashlib.sha256(data).hexdigest() if sha256 is None else sha256,
        )
    )


def pieces(data: bytes, size: int = 2**20) -> list[pb.UploadModelRequest]:
    starts = range(0, len(data), size)
    return [pb.UploadModelRequest(data=data[start : start + size]) for start in starts]


def upload(
    stub: explain_pb2_grpc.ExplainServiceStub, name: str, data: bytes, by="anyone", **declared
):
    """Return a client's call that uploads a file; `declared` replaces what its header tells."""
    messages = iter([header(name, data, **declared), *pieces(data)])
    return stub.UploadModel(messages, metadata=[("name", by)])


def left_in(folder: Path) -> list[str]:
    """Return the files in a store, without the locks."""
    files = (path for path in folder.rglob("*") if not path.is_dir() and path.name != "lock")
    return sorted(path.relative_to(folder).as_posix() for path in files)


async def eventually(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
