"""Hostile requests of the soak, each with the statuses that may end it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import onnx
from grpc import StatusCode

from onnxplain.client import AsyncClient
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["HOSTILE", "Hostile"]

INVALID, MISSING = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND
RANGE, PRECONDITION = StatusCode.OUT_OF_RANGE, StatusCode.FAILED_PRECONDITION
EXHAUSTED, DENIED = StatusCode.RESOURCE_EXHAUSTED, StatusCode.PERMISSION_DENIED

SERVICE = "/onnxplain.v1.ExplainService/"
BILLION = 10**9


@dataclass(frozen=True)
class Hostile:
    """A hostile call, and the statuses that may end it; OK is one only where it is listed."""

    name: str
    call: Callable[[AsyncClient, grpc.aio.Channel], Awaitable[Any]]
    allowed: tuple[StatusCode, ...]


def explained(what: str, allowed: tuple[StatusCode, ...], **options: Any) -> Hostile:
    """Return a call of `explain` whose arguments are wrong."""

    async def call(client: AsyncClient, channel: grpc.aio.Channel) -> Any:
        arguments = {"name": "small", "images": np.zeros((32, 32, 3), np.uint8), **options}
        return await client.explain(**arguments)

    return Hostile(what, call, allowed)


def sent(name: str, call_name: str, request: Callable[[], bytes], *allowed: StatusCode) -> Hostile:
    """Return a call with these bytes as its request."""

    async def call(client: AsyncClient, channel: grpc.aio.Channel) -> Any:
        return await channel.unary_unary(SERVICE + call_name)(request(), timeout=20)

    return Hostile(name, call, allowed)


def uploaded(
    name: str, pieces: Callable[[], Iterator[pb.UploadModelRequest]], *allowed: StatusCode
) -> Hostile:
    """Return an upload that is wrong."""

    async def call(client: AsyncClient, channel: grpc.aio.Channel) -> Any:
        stub = explain_pb2_grpc.ExplainServiceStub(channel)
        return await stub.UploadModel(pieces(), timeout=20)

    return Hostile(name, call, allowed)


async def abandoned(client: AsyncClient, channel: grpc.aio.Channel) -> Any:
    """Stop an upload half-way."""
    stub = explain_pb2_grpc.ExplainServiceStub(channel)
    call = stub.UploadModel(timeout=20)
    header, piece, *_ = upload(b"x" * 3 * 2**20)
    try:
        await call.write(header)
        await call.write(piece)
        await asyncio.sleep(0.05)
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):  # it was refused before
        return await call
    call.cancel()
    return await call


def upload(
    data: bytes, *, name: str = "models/hostile", size: int | None = None, sha256: str = ""
) -> Iterator[pb.UploadModelRequest]:
    """Yield the messages of an upload whose header may lie."""
    yield pb.UploadModelRequest(
        header=pb.UploadHeader(
            model=name,
            size_bytes=len(data) if size is None else size,
            sha256=sha256 or hashlib.sha256(data).hexdigest(),
        )
    )
    for start in range(0, len(data), 2**20):
        yield pb.UploadModelRequest(data=data[start : start + 2**20])


def bomb() -> bytes:
    """Return a small PNG file that declares 30000x30000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_of = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_of

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(2**20)))
        + chunk(b"IEND", b"")
    )


def outside() -> bytes:
    """Return a model whose weights are another file's bytes."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> n (float[1, 3, 4, 4] x, float[2, 3, 1, 1] w)'
        " => (float[1, 2, 4, 4] y) { y = Conv (x, w) }"
    )
    weights = model.graph.initializer.add(name="w", data_type=1, dims=[2, 3, 1, 1])
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="/etc/passwd")
    model.graph.input.pop()
    return model.SerializeToString()


def huge() -> bytes:
    """Return a model of a hundred bytes whose one node asks for 4 TB."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> n (float[N, 3, 4, 4] x) => (float[K] y)'
        " { s = Constant <value = int64[1] {1099511627776}> () z = ConstantOfShape (s)"
        " m = ReduceMax <keepdims = 0> (x) y = Add (z, m) }"
    )
    return model.SerializeToString()


NOT_FINITE = np.full((1, 3, 32, 32), np.nan, np.float32)
HOSTILE = (
    explained("a picture of random bytes", (INVALID,), images=os.urandom(1000)),
    explained("a PNG file of 30000x30000 pixels", (INVALID, EXHAUSTED), images=bomb()),
    explained("inputs that are not numbers", (StatusCode.OK, INVALID), images=NOT_FINITE),
    explained("inputs of a wrong shape", (INVALID,), images=np.zeros((1, 1, 7, 7), np.float32)),
    explained("inputs of another rank", (INVALID,), images=np.zeros((1, 32), np.float32)),
    explained("a channel out of range", (RANGE,), units=[10**12]),
    explained("a layer that is not there", (MISSING,), layer="nowhere"),
    explained("a method that is none", (INVALID,), method="magic"),
    explained("a model outside the folder", (MISSING, INVALID), name="../../../etc/passwd"),
    explained("a billion samples", (INVALID, EXHAUSTED), method="smoothgrad", samples=BILLION),
    explained("a billion masks", (INVALID, EXHAUSTED), method="rise", masks=BILLION),
    explained("pixels without end", (INVALID, EXHAUSTED), name="large", layer="y",
              preprocess={"size": (60_000, 60_000)}),
    sent("a request of random bytes", "Check", lambda: random.randbytes(200), INVALID, MISSING),
    sent("a call that does not exist", "Destroy", bytes, StatusCode.UNIMPLEMENTED),
    uploaded("an upload of random bytes", lambda: upload(random.randbytes(2**20)),
             PRECONDITION, INVALID),
    uploaded("an upload with another hash", lambda: upload(b"x" * 2**20, sha256="0" * 64), INVALID),
    uploaded("an upload that is too short", lambda: upload(b"x", size=2**20), INVALID),
    uploaded("an upload that is too long", lambda: upload(b"x" * 2**21, size=5), INVALID),
    uploaded("an upload out of the store", lambda: upload(b"x", name="models/../../x"),
             INVALID, MISSING),
    uploaded("an upload of another file's weights", lambda: upload(outside()), PRECONDITION),
    uploaded("an upload that asks for 4 TB", lambda: upload(huge()), PRECONDITION, EXHAUSTED),
    Hostile("an upload that stops half-way", abandoned, (StatusCode.CANCELLED,)),
)  # fmt: skip
