"""A service that answers as a test tells it to, and clients of both kinds to call it with."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import status_pb2
from grpc_status import rpc_status

from onnxplain.client import AsyncClient, Client
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc


class Failure:
    """A status as the service gives it, with the kind of the error and google.rpc details."""

    def __init__(self, code, kind="", *details, text="as the test said"):
        self.code, self.kind, self.details, self.text = code, kind, details, text

    def end(self, context):
        metadata = (("onnxplain-error", self.kind),) if self.kind else ()
        if self.details:
            status = status_pb2.Status(code=self.code.value[0], message=self.text)
            for detail in self.details:
                packed = Any()
                packed.Pack(detail)
                status.details.append(packed)
            metadata += tuple(rpc_status.to_status(status).trailing_metadata)
        context.set_trailing_metadata(metadata)
        context.abort(self.code, self.text)


class Scripted(explain_pb2_grpc.ExplainServiceServicer):
    """Fails with the failures of a script, one a call, and then answers."""

    def __init__(self, script=(), after_messages=0):
        self.script = list(script)
        self.after_messages = after_messages
        self.calls = []
        self.metadata = []

    def _called(self, name, context, fails=True):
        self.calls.append(name)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.script and fails:
            self.script.pop(0).end(context)

    def ListMethods(self, request, context):
        self._called("ListMethods", context)
        return pb.ListMethodsResponse(methods=[pb.MethodInfo(name="gradient")])

    def Rewrite(self, request, context):
        self._called("Rewrite", context, fails=not self.after_messages)
        for _ in range(self.after_messages):
            yield pb.RewriteResponse(data=b"a model", size=7)
        if self.script:
            self.script.pop(0).end(context)

    def ListModels(self, request, context):
        """Pages of at most two of five models."""
        self._called("ListModels", context)
        first = int(request.page_token or 0)
        names = [f"models/m{i}/versions/1" for i in range(5)][first : first + 2]
        token = str(first + 2) if first + 2 < 5 else ""
        return pb.ListModelsResponse(
            models=[pb.Model(name=name) for name in names], next_page_token=token
        )


@contextlib.contextmanager
def serving(servicer, port=0, credentials=None):
    """Serve on a local port, and give the address."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    explain_pb2_grpc.add_ExplainServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{port}"
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def blocking_call(address, name, *arguments, **options):
    """Return what a method of Client gives."""
    with Client(address, **options) as client:
        return getattr(client, name)(*arguments)


def async_call(address, name, *arguments, **options):
    """Return what a method of AsyncClient gives."""

    async def called():
        async with AsyncClient(address, **options) as client:
            return await getattr(client, name)(*arguments)

    return asyncio.run(called())


CALLS = [blocking_call, async_call]
