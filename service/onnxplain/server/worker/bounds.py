"""The bounds of what a request may ask for, checked before the work.

They are the service's own: the engine works within the memory and the time that it is given.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message
from PIL import Image

from onnxplain.engine.pictures import FORMATS, Preprocess
from onnxplain.graphops.errors import InputError
from onnxplain.v1 import explain_pb2 as pb

__all__ = [
    "COUNTS",
    "MAX_ALL_PIXELS",
    "MAX_PIXELS",
    "MAX_RUNS",
    "MAX_STREAM_BYTES",
    "MAX_TEXT",
    "UNBOUNDED",
    "VALUES",
    "check_bounds",
    "check_options",
    "check_pictures",
    "check_preprocess",
    "check_runs",
]

MAX_TEXT = 4096  # characters of a text: a name, a label, a preset
MAX_RUNS = 100_000  # of the network for one projection, or steps of a view
MAX_PIXELS = 2**26  # of a picture
MAX_ALL_PIXELS = 2**28  # of all pictures of a request together, and of the inputs made of them
MAX_STREAM_BYTES = 2**34  # of the attributions of one ExplainUnits
IMAGES, NAMES, SIDE = 4096, 4096, 16_384

# The greatest values of numbers; of a repeated field, of each.
VALUES: Mapping[str, float] = MappingProxyType(
    {
        "ConvolutionalizeRequest.height": SIDE,
        "ConvolutionalizeRequest.width": SIDE,
        "Drawing.columns": 1000,
        "Drawing.dpi": 2400,
        "Drawing.width": 200,
        "EvaluateRequest.randomize": 1000,
        "ListLayersRequest.size": SIDE,
        "ListModelsRequest.page_size": 10_000,
        "ListOperationsRequest.page_size": 10_000,
        "MethodOptions.blur": 100,
        "MethodOptions.iterations": 10_000,
        "MethodOptions.jitter": 1000,
        "MethodOptions.masks": MAX_RUNS,
        "MethodOptions.resolution": 256,
        "MethodOptions.samples": 10_000,
        "MethodOptions.steps": 1000,
        "MethodOptions.stride": SIDE,
        "MethodOptions.window": SIDE,
        "OcclusionView.stride": SIDE,
        "OcclusionView.window": SIDE,
        "Preprocess.height": SIDE,
        "Preprocess.resize": SIDE,
        "Preprocess.width": SIDE,
        "SlideView.height": SIDE,
        "SlideView.width": SIDE,
        "TopView.count": 1000,
        "TopView.top": 1000,
    }
)
# The greatest numbers of elements of repeated fields.
COUNTS: Mapping[str, int] = MappingProxyType(
    {
        "Channels.channels": 100_000,
        "EvaluateRequest.images": IMAGES,
        "EvaluateRequest.masks": IMAGES,
        "EvaluateRequest.methods": 100,
        "ExplainRequest.images": IMAGES,
        "ExplainRequest.inputs": 100,
        "ExplainRequest.labels": 100_000,
        "InvarianceView.layers": 1000,
        "ListLayersRequest.size": 8,
        "MapsView.methods": 100,
        "MapsView.names": NAMES,
        "MethodOptions.high": 4096,
        "MethodOptions.low": 4096,
        "MethodOptions.stride": 8,
        "MethodOptions.window": 8,
        "NamedInput.images": 2**20,  # an array without a batch axis may come row by row
        "Preprocess.mean": 4096,
        "Preprocess.std": 4096,
        "RewriteRequest.channels": 100_000,
        "Tensor.shape": 32,
        "TopView.channels": 1000,
        "TopView.names": NAMES,
        "TrainingView.earlier": 100,
        "ViewRequest.images": IMAGES,
        "ViewRequest.labels": 100_000,
    }
)
INDEX = "an index, which must be one of the layer's"
SCALE = "scales or shifts values, at the same cost whatever it is"
# The numbers without a bound, each with the reason.
UNBOUNDED: Mapping[str, str] = MappingProxyType(
    {
        "Channels.channels": INDEX,
        "CheckRequest.channel_axis": INDEX,
        "Drawing.alpha": "0 to 1 for every caller",
        "EvaluateRequest.class_index": INDEX,
        "ExplainRequest.channel_axis": INDEX,
        "ExplainRequest.top": "at most the layer's channels",
        "InvarianceView.class_index": INDEX,
        "MethodOptions.decay": SCALE,
        "MethodOptions.high": SCALE,
        "MethodOptions.keep": "0 to 1 for every caller",
        "MethodOptions.low": SCALE,
        "MethodOptions.noise_level": SCALE,
        "MethodOptions.noise_seed": "any number is a seed",
        "MethodOptions.score_channel_axis": INDEX,
        "MethodOptions.step_size": SCALE,
        "OcclusionView.channel": INDEX,
        "OcclusionView.class_index": INDEX,
        "Preprocess.mean": SCALE,
        "Preprocess.scale": SCALE,
        "Preprocess.std": SCALE,
        "RewriteRequest.channel_axis": INDEX,
        "RewriteRequest.channels": INDEX,
        "SlideView.channel": INDEX,
        "Tensor.shape": "must be that of the bytes which came with it",
        "TopView.channels": INDEX,
        "Units.top": "at most the layer's channels",
        "UploadHeader.size_bytes": "bounded where uploads are received, by a setting",
        "WaitOperationRequest.timeout_seconds": "waiting costs nothing",
    }
)


def check_bounds(request: Message, field: str = "") -> None:
    """Check every number, text and list of a request, except those of images.

    Args:
        request: the request.
        field: where it is, if it is a part of a request.

    Raises:
        InputError: one exceeds its bound; the text has the field, the value and the bound.
    """
    _check(request, f"{field}." if field else "")


def _check(message: Message, path: str) -> None:
    if isinstance(message, pb.Image):  # there may be many: each is checked when it is read
        return
    for field, value in message.ListFields():
        name, here = f"{message.DESCRIPTOR.name}.{field.name}", f"{path}{field.name}"
        if not field.is_repeated:
            _check_one(name, here, value)
            continue
        most = COUNTS.get(name, IMAGES)
        if len(value) > most:
            raise InputError(f"{here}: {len(value):,} of them exceed {most:,}, the service's limit")
        for i, one in enumerate(value):
            _check_one(name, f"{here}[{i}]", one)


def _check_one(name: str, here: str, value: Any) -> None:
    if isinstance(value, Message):
        _check(value, f"{here}.")
    elif isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise InputError(
                f"{here}: {len(value):,} characters exceed {MAX_TEXT:,}, the service's limit"
            )
    elif name in VALUES and not value <= VALUES[name]:  # not a number fails too
        shown = f"{value:,}" if isinstance(value, int) else f"{value:g}"
        raise InputError(f"{here}: {shown} exceeds {VALUES[name]:,}, the service's limit")


def check_options(field: str, options: Mapping[str, Any]) -> None:
    """Check options of methods that did not come as a message of ours.

    Args:
        field: the field of the request that holds them.
        options: their values by name; others are left alone.

    Raises:
        InputError: one exceeds its bound.
    """
    for name, value in options.items():
        for one in value if isinstance(value, tuple | list) else [value]:
            _check_one(f"MethodOptions.{name}", f"{field}.{name}", one)


def check_runs(done: int, total: int) -> None:
    """Check the number of runs, such as those of occlusion, which its windows make.

    Args:
        done: the runs done.
        total: the number of all.

    Raises:
        InputError: it exceeds MAX_RUNS.
    """
    if total > MAX_RUNS:
        raise InputError(
            f"method_options, view: {total:,} runs of the network exceed {MAX_RUNS:,}, the "
            "service's limit: choose a larger stride, or ask for less"
        )


def check_preprocess(how: Preprocess, images: int) -> None:
    """Check the size of what pictures become.

    Args:
        how: the preprocessing.
        images: the number of pictures.

    Raises:
        InputError: it exceeds MAX_ALL_PIXELS.
    """
    if how.size is not None and images * how.size[0] * how.size[1] > MAX_ALL_PIXELS:
        raise InputError(
            f"preprocess: {images:,} images of {how.size[0]:,}x{how.size[1]:,} pixels exceed "
            f"{MAX_ALL_PIXELS:,} pixels, the service's limit: choose a smaller size"
        )


def check_pictures(field: str, images: Sequence[pb.Image]) -> None:
    """Check the sizes of pictures, before any of them is decoded.

    Args:
        field: the field of the request that holds them.
        images: the pictures; network inputs have the size of their bytes.

    Raises:
        InputError: one exceeds MAX_PIXELS, or all together exceed MAX_ALL_PIXELS.
    """
    total = 0
    for i, image in enumerate(images):
        pixels = _pixels(image)
        total += pixels
        if pixels > MAX_PIXELS:
            raise InputError(
                f"{field}[{i}]: {pixels:,} pixels exceed {MAX_PIXELS:,}, the service's limit: send "
                "a smaller picture"
            )
    if total > MAX_ALL_PIXELS:
        raise InputError(
            f"{field}: {total:,} pixels together exceed {MAX_ALL_PIXELS:,}, the service's limit: "
            "send fewer or smaller pictures"
        )


def _pixels(image: pb.Image) -> int:
    """Return the pixels of a picture as its header tells; 0 for what has none."""
    if image.WhichOneof("source") == "pixels":
        return math.prod(image.pixels.shape[:2])
    try:
        with Image.open(io.BytesIO(image.encoded), formats=FORMATS) as opened:
            return opened.height * opened.width
    except Image.DecompressionBombError:  # it keeps the number to itself
        return 2 * (Image.MAX_IMAGE_PIXELS or MAX_PIXELS) + 1
    except Exception:  # the engine says what is wrong with it
        return 0
