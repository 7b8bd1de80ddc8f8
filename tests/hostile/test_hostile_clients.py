"""Hostile models, pictures and messages, against a whole service: an edge and a worker."""

import asyncio
import hashlib
import io
import logging
import re
import struct
import tempfile
import zlib
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from hostile.crafted_models import CRAFTED
from hostile.hidden_tensors import HIDING_PLACES, outside
from PIL import Image
from server.running import CLASSIFIER, event_loop, model

from onnxplain.graphops import errors
from onnxplain.server import Settings, start_settings
from onnxplain.server.errors import STATUS
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

NO_PROXY = [("grpc.enable_http_proxy", 0), ("grpc.max_send_message_length", -1)]
PATH = r"(?<![\w.*])/[a-z_]+/"
NAMES = {name: f"m{i}" for i, name in enumerate(CRAFTED)}
CORRUPT = [name for name, (error, _) in CRAFTED.items() if error is errors.CorruptModel]
INPUT = pb.Image(input=tensors.from_array(np.zeros((3, 8, 8), np.float32)))
PICTURE = pb.Image(pixels=tensors.from_array(np.zeros((16, 16, 3), np.uint8)))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    models, store = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("store")
    onnx.save(model(CLASSIFIER), models / "good.onnx")
    for name, (_, make) in CRAFTED.items():
        made = make()
        data = made if isinstance(made, bytes) else made.SerializeToString()
        (models / f"{NAMES[name]}.onnx").write_bytes(data)
    return models, store


@pytest.fixture(scope="module")
def deaths():
    """Collect what the edge says of workers that died."""
    found = []

    class Collecting(logging.Handler):
        def emit(self, record):
            if "died" in record.getMessage():
                found.append(record.getMessage())

    handler = Collecting()
    logging.getLogger("onnxplain").addHandler(handler)
    yield found
    logging.getLogger("onnxplain").removeHandler(handler)


@pytest.fixture(scope="module")
def channel(folders, deaths):
    with event_loop() as loop:

        def wait(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

        settings = Settings(
            (folders[0],), folders[1], listen=("127.0.0.1:0",), device=("cpu",), warm=False,
            memory_bytes=2**31,
        )  # fmt: skip
        service = wait(start_settings(settings))
        try:
            with grpc.insecure_channel(service.address, NO_PROXY) as channel:
                yield channel
        finally:
            wait(service.stop(0))


@pytest.fixture(scope="module")
def stub(channel):
    return explain_pb2_grpc.ExplainServiceStub(channel)


@pytest.fixture(autouse=True)
def nothing_else_happens(stub, folders, deaths):
    """After each test the service answers by the same worker, and no file is left."""
    before = set(folders[0].iterdir()), set(folders[1].rglob("*.onnx"))
    yield
    request = pb.ExplainRequest(model="models/good", images=[PICTURE], preset="raw", layer="c")
    assert stub.Explain(request, timeout=30).layer == "c"
    assert deaths == []
    assert (set(folders[0].iterdir()), set(folders[1].rglob("*.onnx"))) == before
    left = [path for path in folders[1].rglob("*") if path.is_file()]
    assert [path for path in left if path.name not in (".lock", "lock")] == []


def refused(call, *kinds, sent="\n"):
    """Assert that a call is refused with one of these errors, by a text without a path.

    sent: what the text may quote from the request.
    """
    with pytest.raises(grpc.RpcError) as caught:
        answer = call()
        list(answer) if hasattr(answer, "__next__") else None
    status, text = caught.value.code(), caught.value.details()
    kind = dict(caught.value.trailing_metadata() or ()).get("onnxplain-error")
    assert kind in {k.__name__ for k in kinds}, (status, text)
    assert status is STATUS[getattr(errors, kind)]
    assert "Traceback" not in text and tempfile.gettempdir() not in text
    assert not re.search(PATH, text.replace(sent, "sent")), text


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_model(stub, name):
    full, error = f"models/{NAMES[name]}", CRAFTED[name][0]
    found = stub.GetModel(pb.GetModelRequest(name=full), timeout=30)
    assert not re.search(PATH, found.problem)
    request = pb.ExplainRequest(model=full, images=[INPUT], method="gradient", layer="")
    if error is None:
        assert stub.Explain(request, timeout=30).method == "gradient"
    else:
        # Of a file, an address is the name of another file, which is not there.
        kinds = (error, errors.MissingFile) if error is errors.UnsafeModel else (error,)
        refused(lambda: stub.Explain(request, timeout=30), *kinds)


def uploaded(data, name="models/new"):
    size, digest = len(data), hashlib.sha256(data).hexdigest()
    yield pb.UploadModelRequest(header=pb.UploadHeader(model=name, size_bytes=size, sha256=digest))
    for at in range(0, size, 2**20):
        yield pb.UploadModelRequest(data=data[at : at + 2**20])


@pytest.mark.parametrize("hide", HIDING_PLACES, ids=lambda hide: hide.__name__)
@pytest.mark.parametrize("location", ["secret.data", "../good.onnx", "/etc/passwd"])
def test_an_upload_names_no_file(stub, hide, location):
    data = hide(outside(location)).SerializeToString()
    refused(lambda: stub.UploadModel(uploaded(data), timeout=30), errors.UnsafeModel)


@pytest.mark.parametrize(
    "name", [n for n, (error, _) in CRAFTED.items() if error is errors.CorruptModel]
)
def test_an_upload_of_a_crafted_model(stub, folders, name):
    data = (folders[0] / f"{NAMES[name]}.onnx").read_bytes()
    kinds = errors.CorruptModel, errors.InputError
    refused(lambda: stub.UploadModel(uploaded(data), timeout=30), *kinds)


def png(width, height, data, *chunks):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts
    )


def tiff(pages):
    """Return a TIFF of pages of one pixel."""
    tags = [(256, 3, 1), (257, 3, 1), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 0),
            (277, 3, 1), (278, 3, 1), (279, 4, 1)]  # fmt: skip
    page = struct.pack("<H", len(tags))
    page += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    size = len(page) + 4
    last = [8 + size * (i + 1) for i in range(pages - 1)] + [0]
    return b"II*\0\x08\0\0\0" + b"".join(page + struct.pack("<I", after) for after in last)


def written(image, form, **options):
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


def small(_=None):
    return Image.new("RGB", (16, 16))


PICTURES = {
    "a PNG of 169 megapixels in 500 kB": lambda: png(13000, 13000, bytes(13000 * 39001)),
    "a PNG that claims 4 exapixels": lambda: png(2**31 - 1, 2**31 - 1, b""),
    "a PNG without pixels": lambda: png(0, 0, b""),
    "a PNG with 256 MB of text": lambda: png(
        4, 4, bytes(52), (b"zTXt", b"k\0\0" + zlib.compress(bytes(2**28), 9))),
    "a PNG with 256 MB of colour profile": lambda: png(
        4, 4, bytes(52), (b"iCCP", b"k\0\0" + zlib.compress(bytes(2**28), 9))),
    "a PNG that is cut off": lambda: png(4000, 4000, bytes(52)),
    "a TIFF of 144 megapixels": lambda: written(
        Image.new("L", (12000, 12000)), "TIFF", compression="tiff_adobe_deflate"),
    "a BMP of -2**31 rows": lambda: b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, 3, -(2**31), 1, 24, 0, 0, 0, 0, 0, 0) + bytes(100),
    "a PPM of 170 megapixels in 20 bytes": lambda: b"P6 100000 1700 255\n",
    "a NumPy archive of 256 MB": lambda: written_arrays(),
    "a picture of another format": lambda: written(small(), "PCX"),
    "nothing": lambda: b"",
}  # fmt: skip


def written_arrays():
    data = io.BytesIO()
    np.savez_compressed(data, a=np.zeros(2**28, np.uint8))
    return data.getvalue()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_is_a_bomb(stub, name):
    image = pb.Image(encoded=PICTURES[name]())
    request = pb.ExplainRequest(model="models/good", images=[image], preset="raw", layer="c")
    kinds = errors.PictureError, errors.InputError
    refused(lambda: stub.Explain(request, timeout=30), *kinds)


@pytest.mark.parametrize(
    "make",
    [
        lambda: tiff(100_000),
        lambda: written(small(), "GIF", save_all=True, append_images=[small()] * 500),
        lambda: written(small(), "WEBP", save_all=True, append_images=[small()] * 100),
        lambda: png(16, 16, bytes(2**28)),  # 256 MB beyond the last row
    ],
    ids=["TIFF", "GIF", "WEBP", "PNG"],
)
def test_of_many_frames_the_first_is_read(stub, make):
    image = pb.Image(encoded=make())
    request = pb.ExplainRequest(model="models/good", images=[image], preset="raw", layer="c")
    assert stub.Explain(request, timeout=30).layer == "c"


def test_a_compressed_message_is_measured_as_it_unpacks(channel):
    """A message of 200 kB that unpacks to 200 MB; the limit is 64 MiB."""
    call = channel.unary_unary("/onnxplain.v1.ExplainService/Explain")
    with pytest.raises(grpc.RpcError) as caught:
        call(bytes(200 * 2**20), timeout=30, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_that_is_too_large(channel):
    call = channel.unary_unary("/onnxplain.v1.ExplainService/Explain")
    with pytest.raises(grpc.RpcError) as caught:
        call(bytes(65 * 2**20), timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x7fshort", bytes(100), b"\x0b" * 10_000])
def test_a_message_that_is_none(channel, data):
    call = channel.unary_unary("/onnxplain.v1.ExplainService/Explain")
    refused(lambda: call(data, timeout=30), errors.InputError)


@pytest.mark.parametrize(
    "name",
    ["models/../good", "models/..", "models//etc/passwd", "/etc/passwd", "models/good/versions/..",
     "models/%2e%2e/good", "models/good\0", "models/" + "a" * 5000, "", "file:///etc/passwd"],
)  # fmt: skip
def test_a_name_that_climbs_out(stub, name):
    kinds = errors.InputError, errors.MissingModel
    data = model(CLASSIFIER).SerializeToString()
    for call in (
        lambda: stub.ListLayers(pb.ListLayersRequest(model=name), timeout=30),
        lambda: stub.UploadModel(uploaded(data, name), timeout=30),
        lambda: stub.DeleteModel(pb.DeleteModelRequest(name=name), timeout=30),
    ):
        refused(call, *kinds, sent=name or "\n")


def test_the_worker_left_no_file(folders):
    """Neither in its own folder nor among the temporary files."""
    left = [
        path
        for folder in Path(tempfile.gettempdir()).glob("onnxplain-*")
        for path in folder.rglob("*")
        if path.suffix in (".onnx", ".json", ".data", ".bin")
    ]
    assert left == []
