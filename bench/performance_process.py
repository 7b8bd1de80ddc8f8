"""A process that explains one picture, and prints the most memory that it held, in MiB.

Usage: `python bench/performance_process.py session|engine|captum FILE CLASS`, with an artefact, a
network's ONNX file or a PyTorch module. Prints what it held before the file was read, then at the
end. Each kind imports only what it needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from performance_timing import THREADS, opened, peak_memory, picture

__all__: list[str] = []


def main() -> None:
    kind, file, channel = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    imported, attribution = {"session": session, "engine": engine, "captum": captum}[kind](
        file, channel
    )
    if not np.isfinite(attribution).all() or not attribution.any():
        sys.exit("the attribution is zero or not finite: this run explains nothing")
    print(f"{imported:.0f} {peak_memory():.0f}")


def session(file: Path, channel: int) -> tuple[float, np.ndarray]:
    """Run an artefact."""
    import onnxruntime  # noqa: F401

    imported = peak_memory()
    artefact = opened(file)
    name = artefact.get_inputs()[0].name
    (found,) = artefact.run(["attribution"], {name: picture(), "channel": np.array([channel])})
    return imported, found


def engine(file: Path, channel: int) -> tuple[float, np.ndarray]:
    """Let the engine rewrite the network and run it."""
    from onnxplain.engine import Engine

    started = Engine("cpu", threads=THREADS)
    imported = peak_memory()
    return imported, started.explain(
        file, picture(), method="gradient", units=[channel]
    ).attribution


def captum(file: Path, channel: int) -> tuple[float, np.ndarray]:
    """Let Captum run a module of torchvision."""
    import torch
    import torchvision  # noqa: F401
    from captum.attr import Saliency

    torch.set_num_threads(THREADS)
    imported = peak_memory()
    module = torch.load(file, weights_only=False)
    x = torch.from_numpy(picture())
    found = Saliency(module).attribute(x, target=channel, abs=False)
    return imported, found.numpy()


if __name__ == "__main__":
    main()
