"""Measure artefacts on a GPU: their time, memory, placement and errors.

    python bench/gpu.py FOLDER [--seconds 480] [--page docs/gpu.md] [--search EXHAUSTIVE]

FOLDER has the models of `gpu_artefacts.py`. Needs onnx, onnxruntime-gpu and numpy, and for the
comparison PyTorch with CUDA and Captum, but not onnxplain. The table of times comes first; after
--seconds the rest is left out. TF32 is off: float32 means float32. `--provider cpu` tries the
script out on a machine without a GPU: all of it runs, and its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from gpu_nets import INPUT, NETS
from gpu_placement import HEADER, heading, placements, written
from gpu_sessions import (
    CPU,
    CUDA,
    Runner,
    cuda_works,
    filled,
    open_session,
    ort,
    random_inputs,
    used_mib,
)

METHODS = ("gradient", "guided_backprop", "deconvnet")
DTYPES = ("float32", "float16")
BATCHES, ROUNDS, PAUSE = (1, 32), 15, 0.02
TIMES = (
    "network", "type", "batch", "method", "forward", "÷ forward", "CUDA graph: forward",
    "÷ forward", "Captum ÷ artefact", "MiB", "Captum MiB", "against Captum",
)  # fmt: skip
ERRORS = ("network", "type", "method", "CUDA against the CPU")
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"


class OutOfTimeError(Exception):
    """The seconds given are over."""


@dataclass
class Setting:
    """How to measure. captum: why Captum cannot be measured, "" if it can."""

    folder: Path
    provider: str
    search: str
    rounds: int
    nets: tuple[str, ...]
    batches: tuple[int, ...]
    end: float
    captum: str = ""
    lines: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        self.lines.append(line)
        print(line, flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Iterator[str]) -> None:
        """Print a table as its rows are measured. Raises OutOfTimeError between two of them."""
        self.tell(f"\n{title}\n")
        for line in heading(columns):
            self.tell(line)
        for row in rows:
            self.tell(row)
            if time.monotonic() > self.end:
                raise OutOfTimeError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--provider", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--search", choices=["HEURISTIC", "EXHAUSTIVE"], default="HEURISTIC")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    trial = given.provider == "cpu"
    if not trial and (why := cuda_works()):
        print(f"no GPU: {why}; nothing was measured")
        return 0
    ort.set_default_logger_severity(4)
    setting = Setting(
        given.folder,
        CPU if trial else CUDA,
        given.search,
        2 if trial else ROUNDS,
        ("SqueezeNet",) if trial else tuple(NETS),
        (1, 2) if trial else BATCHES,
        time.monotonic() + given.seconds,
        _captum("cpu" if trial else "cuda", given.search),
    )
    setting.tell(_versions(setting))
    try:
        setting.table("Time and memory:", TIMES, _times(setting))
        setting.table("Placement:", HEADER, placements(setting.folder, setting.provider))
        setting.table("Relative errors:", ERRORS, _errors(setting))
    except OutOfTimeError:
        setting.tell(f"\nStopped after {given.seconds:.0f} seconds: the rest was not measured.")
    if given.page is not None and not trial:
        written(given.page, BEGIN, END, setting.lines)
    return 0


def _captum(device: str, search: str) -> str:
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    from gpu_torch import prepare

    return prepare(device, search)


def _versions(setting: Setting) -> str:
    parts = [f"ONNX Runtime {ort.__version__} on {setting.provider}", f"onnx {onnx.__version__}"]
    if setting.captum:
        parts.append(f"no comparison: {setting.captum}")
    else:
        import captum
        import torch

        parts.append(f"PyTorch {torch.__version__}, Captum {captum.__version__}")
        if torch.cuda.is_available():
            parts.append(torch.cuda.get_device_name(0))
    told = f"{'; '.join(parts)}; TF32 off, cuDNN's algorithms by {setting.search.lower()}."
    return f"{told} Medians of {setting.rounds} interleaved runs, inputs and outputs on the device."


def _times(setting: Setting) -> Iterator[str]:
    """Yield a row for each type, network, batch size and method."""
    for dtype in DTYPES:
        for name in setting.nets:
            network = filled(setting.folder / f"{name}-forward-{dtype}.onnx")
            paths = {m: setting.folder / f"{name}-{m}-{dtype}.onnx" for m in METHODS}
            artefacts = {method: filled(path, network) for method, path in paths.items()}
            peer = None if setting.captum else _module(name, dtype, setting)
            for batch in setting.batches:
                forward = _Measured(setting, network, batch)
                for method, artefact in artefacts.items():
                    cells = _compared(setting, forward, artefact, batch, method, peer)
                    yield f"| {name} | {dtype} | {batch} | {method} | {' | '.join(cells)} |"


def _module(name: str, dtype: str, setting: Setting) -> object:
    from gpu_torch import module

    net = module(NETS[name]).to("cuda" if setting.provider == CUDA else "cpu")
    return net.half() if dtype == "float16" else net


class _Measured:
    """A model with a free batch, and with a fixed one recorded as a CUDA graph."""

    def __init__(self, setting: Setting, model: onnx.ModelProto, batch: int) -> None:
        gc.collect()
        before = used_mib()
        session = open_session(model, setting.provider, search=setting.search)
        self.feed = random_inputs(session, batch)
        outputs = [value.name for value in session.get_outputs()]
        values = session.run(outputs, self.feed)
        shapes = {name: list(value.shape) for name, value in zip(outputs, values, strict=True)}
        self.attribution = dict(zip(outputs, values, strict=True)).get("attribution")
        self.runner = Runner(session, self.feed, shapes)
        self.mib = used_mib() - before
        self.recorded: Runner | str
        try:
            recorded = open_session(
                model, setting.provider, batch, setting.provider == CUDA, setting.search
            )
            self.recorded = Runner(recorded, self.feed, shapes)
        except Exception as e:  # ONNX Runtime's exceptions share no other base
            self.recorded = f"no: {' '.join(str(e).split())[:60]}"


def _compared(
    setting: Setting,
    forward: _Measured,
    model: onnx.ModelProto,
    batch: int,
    method: str,
    peer: object,
) -> list[str]:
    """Return the cells of a row after the method's name."""
    artefact = _Measured(setting, model, batch)
    runners = {"forward": forward.runner, "artefact": artefact.runner}
    if isinstance(forward.recorded, Runner) and isinstance(artefact.recorded, Runner):
        runners |= {"forward graph": forward.recorded, "graph": artefact.recorded}
    captum = None
    if peer is not None:
        from gpu_torch import CaptumRunner

        device = "cuda" if setting.provider == CUDA else "cpu"
        image, channel = (artefact.feed[name] for name in (INPUT, "channel"))
        captum = CaptumRunner(peer, method, image, channel, device)
        runners["captum"] = captum
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(setting.rounds):
        for name, runner in runners.items():
            time.sleep(PAUSE)
            seconds[name].append(runner.seconds())
    median = {name: statistics.median(times) for name, times in seconds.items()}
    cells = [_ms(median["forward"]), f"{median['artefact'] / median['forward']:.2f}"]
    if "graph" in median:
        ratio = median["graph"] / median["forward graph"]
        cells += [_ms(median["forward graph"]), f"{ratio:.2f}"]
    else:
        told = [m.recorded for m in (forward, artefact) if isinstance(m.recorded, str)]
        cells += [told[0], ""]
    if captum is None:
        return [*cells, "", _mib(artefact.mib), "", ""]
    best = min(median["artefact"], median.get("graph", math.inf))
    error = _error(artefact.attribution, captum.attribution)
    told = [f"{median['captum'] / median['artefact']:.2f}, {median['captum'] / best:.2f}"]
    return [*cells, *told, _mib(artefact.mib), _mib(captum.peak_mib()), f"{error:.1e}"]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def _mib(memory: float) -> str:
    return "?" if math.isnan(memory) else f"{memory:.0f}"


def _error(got: np.ndarray | None, expected: np.ndarray) -> float:
    """Return the relative L2 error."""
    if got is None:
        return math.nan
    want = expected.astype(np.float64)
    return float(np.linalg.norm(got.astype(np.float64) - want) / np.linalg.norm(want))


def _errors(setting: Setting) -> Iterator[str]:
    """Yield a row for each method of each network, run on both."""
    for path in sorted(setting.folder.glob("*.onnx")):
        name, method, dtype = path.stem.rsplit("-", 2)
        if method == "forward":
            continue
        model, found = filled(path), []
        for provider in (setting.provider, CPU):
            session = open_session(model, provider)
            found.append(session.run(["attribution"], random_inputs(session, 2))[0])
        yield f"| {name} | {dtype} | {method} | {_error(*found):.1e} |"


if __name__ == "__main__":
    sys.exit(main())
