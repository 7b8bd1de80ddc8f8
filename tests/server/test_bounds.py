"""What a request may ask for: every number has a bound or a reason, checked before the work."""

import asyncio
import io
import math
import re
import struct
import time
import zlib

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from grpc import StatusCode
from PIL import Image
from server.running import pixels

from onnxplain.engine import Engine, Preprocess
from onnxplain.graphops.errors import AnswerTooLarge, InputError
from onnxplain.registry import FolderSource
from onnxplain.server.worker import Models, bounds, computations
from onnxplain.server.worker.calls import Call
from onnxplain.server.worker.progress import ProgressQueue
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

SERVICE = pb.DESCRIPTOR.services_by_name["ExplainService"]
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64, FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE,
}  # fmt: skip


def every_field():
    """Return the fields of all requests, with those of the messages in them."""
    found, left = {}, [method.input_type for method in SERVICE.methods]
    while left:
        message = left.pop()
        for field in message.fields:
            name = f"{message.name}.{field.name}"
            if name not in found:
                found[name] = field
                left += [field.message_type] if field.message_type else []
    return found


FIELDS = every_field()


def test_every_number_of_a_request_has_a_bound_or_a_reason():
    numbers = {name for name, field in FIELDS.items() if field.cpp_type in NUMBERS}
    assert numbers == bounds.VALUES.keys() | bounds.UNBOUNDED.keys()
    assert not bounds.VALUES.keys() & bounds.UNBOUNDED.keys()
    assert all(len(reason) > 10 for reason in bounds.UNBOUNDED.values())


def test_every_list_of_a_request_has_a_bound():
    lists = {name for name, field in FIELDS.items() if field.is_repeated}
    assert lists == bounds.COUNTS.keys()


def holding(name, value):
    """Return a request of some call that holds a value in a field, and the field's path."""
    message, _, last = name.partition(".")

    def within(descriptor, seen):
        if descriptor.name == message:
            return []
        for field in descriptor.fields:
            inner = field.message_type
            if inner is None or inner.name in (*seen, "Image"):
                continue
            path = within(inner, (*seen, inner.name))
            if path is not None:
                return [field, *path]
        return None

    for method in SERVICE.methods:
        path = within(method.input_type, ())
        if path is not None:
            break
    request = target = getattr(pb, method.input_type.name)()
    told = []
    for field in path:
        target = getattr(target, field.name)
        target = target.add() if field.is_repeated else target
        told.append(f"{field.name}[0]" if field.is_repeated else field.name)
    if FIELDS[name].is_repeated:
        getattr(target, last).extend(value)
    else:
        setattr(target, last, value)
    return request, ".".join([*told, last])


@pytest.mark.parametrize("name", bounds.VALUES)
def test_a_number(name):
    most, many = bounds.VALUES[name], FIELDS[name].is_repeated
    bounds.check_bounds(holding(name, [most] if many else most)[0])
    request, path = holding(name, [most + 1] if many else most + 1)
    path = f"{path}[0]" if many else path
    told = f"{path}: {most + 1:,} exceeds {most:,}, the service's limit"
    if FIELDS[name].cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        told = f"{path}: {most + 1:g} exceeds {most:,}, the service's limit"
        with pytest.raises(InputError, match=f"{path}: nan exceeds"):
            bounds.check_bounds(holding(name, math.nan)[0])
    with pytest.raises(InputError) as caught:
        bounds.check_bounds(request)
    assert str(caught.value) == told


@pytest.mark.parametrize("name", bounds.COUNTS)
def test_a_list(name):
    field, most = FIELDS[name], bounds.COUNTS[name]
    one = 1
    if field.message_type:
        one = getattr(pb, field.message_type.name)()
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        one = "a"
    bounds.check_bounds(holding(name, [one] * most)[0])
    request, path = holding(name, [one] * (most + 1))
    with pytest.raises(
        InputError, match=re.escape(f"{path}: {most + 1:,} of them exceed {most:,}")
    ):
        bounds.check_bounds(request)


@pytest.mark.parametrize("name", [n for n, f in FIELDS.items() if f.type == f.TYPE_STRING])
def test_a_text(name):
    field = FIELDS[name]
    value = "a" * 4097
    if f"{field.containing_type.name}" in ("UploadHeader", "Image"):
        return
    request, path = holding(name, [value] if field.is_repeated else value)
    with pytest.raises(InputError, match=re.escape(path) + r".*: 4,097 characters exceed 4,096"):
        bounds.check_bounds(request)


def png(width, height):
    """Return the bytes of a PNG whose header claims a size, and which holds next to nothing."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def encoded(width, height, form):
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("size", [(2**14, 2**12 + 1), (2**31 - 1, 2**31 - 1), (20000, 20000)])
def test_a_picture_of_too_many_pixels_is_not_decoded(stub, size):
    """A zip bomb is one: a hundred kilobytes of zeros become gigabytes of pixels."""
    begun = time.monotonic()
    for call in (
        lambda image: stub.Explain(pb.ExplainRequest(model="models/any_size", images=[image])),
        lambda image: list(
            stub.View(pb.ViewRequest(model="models/any_size", images=[image], maps=pb.MapsView()))
        ),
        lambda image: list(
            stub.Evaluate(pb.EvaluateRequest(model="models/any_size", images=[image]))
        ),
    ):
        with pytest.raises(grpc.RpcError, match=r"images\[0\]: .* exceed 67,108,864") as caught:
            call(pb.Image(encoded=png(*size)))
        assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_the_pixels_of_every_format_count(form, monkeypatch):
    image = pb.Image(encoded=encoded(30, 20, form))
    bounds.check_pictures("images", [image])
    monkeypatch.setattr(bounds, "MAX_PIXELS", 599)
    with pytest.raises(InputError, match=r"images\[1\]: 600 pixels exceed 599"):
        bounds.check_pictures("images", [pb.Image(encoded=encoded(5, 5, form)), image])


def test_all_pictures_together(monkeypatch):
    images = [pb.Image(encoded=encoded(30, 20, "PNG"))] * 2
    images += [pb.Image(pixels=tensors.from_array(pixels(10, 10)))]
    monkeypatch.setattr(bounds, "MAX_ALL_PIXELS", 1300)
    bounds.check_pictures("images", images)
    monkeypatch.setattr(bounds, "MAX_ALL_PIXELS", 1299)
    with pytest.raises(InputError, match="images: 1,300 pixels together exceed 1,299"):
        bounds.check_pictures("images", images)


def test_what_has_no_header_is_left_to_the_engine():
    images = [
        pb.Image(encoded=b"no picture"),
        pb.Image(input=tensors.from_array(np.zeros((3, 4), np.float32))),
        pb.Image(),
    ]
    bounds.check_pictures("images", images)


@pytest.mark.parametrize(
    "fields",
    [{"preset": "raw,size=8000x8000"}, {"preprocess": pb.Preprocess(height=8000, width=8000)}],
    ids=str,
)
def test_the_size_that_pictures_get(stub, fields):
    image = pb.Image(pixels=tensors.from_array(pixels()))
    request = pb.ExplainRequest(model="models/any_size", images=[image] * 5, **fields)
    with pytest.raises(grpc.RpcError, match="5 images of 8,000x8,000 pixels exceed") as caught:
        stub.Explain(request)
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    bounds.check_preprocess(Preprocess(size=(8000, 8000)), 4)


@pytest.mark.parametrize("kind", ["Explain", "ExplainUnits", "View"])
def test_windows_are_counted_before_they_are_made(stub, kind):
    image = pb.Image(pixels=tensors.from_array(pixels(1000, 1000)))
    one = {"model": "models/any_size", "images": [image], "preset": "raw"}
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError, match=r"1,000,000 runs of the network exceed") as caught:
        if kind == "View":
            view = pb.OcclusionView(window=1, stride=1)
            list(stub.View(pb.ViewRequest(**one, occlusion=view)))
        else:
            options = pb.MethodOptions(window=[1], stride=[1])
            request = pb.ExplainRequest(**one, method="occlusion", method_options=options)
            answer = getattr(stub, kind)(request)
            list(answer)
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert time.monotonic() - begun < 10


def test_a_stream_that_would_be_too_large_ends_at_its_first_piece(folder, monkeypatch):
    monkeypatch.setattr(computations, "MAX_STREAM_BYTES", 4 * 3 * 16 * 16 * 4 - 1)
    image = pb.Image(pixels=tensors.from_array(pixels()))
    request = pb.ExplainRequest(model="models/any_size", images=[image], preset="raw", all=True)

    async def main():
        progress = ProgressQueue(lambda message: pb.ExplainUnitsResponse(progress=message))
        compute = computations.Computations(Models([FolderSource(folder)]), Engine("cpu"))
        return list(compute.explain_units(request, Call(), progress))

    with pytest.raises(AnswerTooLarge, match="12,288 bytes, and the service sends up to 12,287"):
        asyncio.run(main())


def test_a_shape_of_a_million_sizes_is_refused_soon(stub):
    tensor = pb.Tensor(data_type=pb.DATA_TYPE_FLOAT, shape=[2**62] * 10**6)
    begun = time.monotonic()
    for image in (pb.Image(input=tensor), pb.Image(pixels=tensor)):
        with pytest.raises(grpc.RpcError, match="1,000,000 of them|pixels exceed"):
            stub.Explain(pb.ExplainRequest(model="models/any_size", images=[image]))
    assert time.monotonic() - begun < 5
