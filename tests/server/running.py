"""What the tests of the service and its client share: small models, and a service that runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from onnxplain.server import start

# A classifier of 16x16 pictures; `score` is its class score.
CLASSIFIER = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 16, 16] image, float[6, 3, 3, 3] w, float[6] b, float[384, 5] v)
    => (float[N, 5] probabilities)
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w, b)
    r = Relu (c)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    f = Flatten (p)
    score = MatMul (f, v)
    probabilities = Softmax (score)
}
"""

# Takes pictures of any size, so that its answers can have any.
ANY_SIZE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] image, float[4, 3, 3, 3] w) => (float[N, 4, H, W] y)
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w)
    y = Relu (c)
}
"""

# 1.5 MB of weights: more than one piece of a streamed model.
HEAVY = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image, float[2, 3, 3, 3] w, float[72, 5000] v) => (float[N, 5000] score)
{
    c = Conv (image, w)
    f = Flatten (c)
    score = MatMul (f, v)
}
"""

# Without a layer that has positions, over which a class activation map could lie.
FLAT = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 16, 16] image, float[4, 3, 16, 16] w) => (float[N, 4] y)
{ c = Conv (image, w) r = Relu (c) y = Flatten (r) }
"""

MODELS = {"classifier": CLASSIFIER, "any_size": ANY_SIZE, "heavy": HEAVY}


def model(text: str, seed: int = 0) -> onnx.ModelProto:
    """Parse a model; inputs after the first become weights of random values."""
    parsed = onnx.parser.parse_model(text)
    random = np.random.default_rng(seed)
    for value in list(parsed.graph.input)[1:]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        weights = random.normal(size=shape).astype(np.float32)
        parsed.graph.initializer.append(numpy_helper.from_array(weights, value.name))
        parsed.graph.input.remove(value)
    return parsed


def write_models(folder: Path) -> Path:
    """Write all models and one that is none into a folder."""
    for name, text in MODELS.items():
        onnx.save(model(text), folder / f"{name}.onnx")
    (folder / "broken.onnx").write_bytes(b"this is no model")
    return folder


def pixels(height: int = 16, width: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def running(folder: Path, in_process: bool = False) -> Iterator[str]:
    """Serve a folder on a free port, and give the address.

    in_process: whether without workers, so that a test can replace parts of the engine.
    """
    with event_loop() as loop:

        def wait(coroutine):
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

        service = wait(start(folder, "127.0.0.1:0", "cpu", in_process=in_process))
        try:
            yield service.address
        finally:
            wait(service.stop(0))
