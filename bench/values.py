"""The time to compute a layer's values for many pictures, as the views do for every class.

Usage: `python bench/values.py`, or `make bench-values`. Prints the time of `Engine.values`, and of
method `activation` for all classes, as multiples of ONNX Runtime's own time for the same pictures:
medians of interleaved rounds, on a ResNet-50 with random weights.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from rewriting import resnet50

from onnxplain.engine import Engine, Preprocess

FRAMES, SIDE, ROUNDS = 8, 224, 5


def main() -> None:
    """Measure, and print one line per variant."""
    frames = list(np.random.default_rng(0).integers(0, 256, (FRAMES, SIDE, SIDE, 3), np.uint8))
    how = Preprocess(scale=1 / 255)
    batch = np.stack([how.values(frame) for frame in frames])
    engine = Engine("cpu")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resnet50.onnx"
        model = resnet50()
        model.ir_version = 10  # which every ONNX Runtime reads
        onnx.save(model, file)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        feeds = {session.get_inputs()[0].name: batch}
        ways: dict[str, Callable[[], object]] = {
            "ONNX Runtime": lambda: session.run(None, feeds),
            "Engine.values": lambda: list(engine.values(file, frames, preprocess=how)),
            "activation of all": lambda: engine.explain(
                file, frames, method="activation", units="all", preprocess=how
            ),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(ROUNDS + 1):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if run:  # the first run loads and rewrites the model
                    times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name}: {median / medians['ONNX Runtime']:.2f}")


if __name__ == "__main__":
    main()
