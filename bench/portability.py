"""Run the same artefacts on several runtimes, and compare each with PyTorch in float64.

Usage: `make portability`, or `python bench/portability.py` with torch, onnxruntime, openvino,
pillow and node, after `npm install` in `bench/web`. Writes docs/portability.md.
"""

from __future__ import annotations

import sys
import textwrap
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from parity_oracle import METHODS
from portability_nets import Net, build
from portability_oracle import Answer, Asked, activation, answer
from portability_page import Row, write_page
from portability_runtimes import RUNTIMES, Arrays, Runtime, Unsupported, versions

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.operators.max_pooling import LACKING

PAGE = Path(__file__).parents[1] / "docs" / "portability.md"
INPUTS = 5
TARGETS = {"ONNX Runtime": "cpu", "OpenVINO": "openvino", "onnxruntime-web": "web"}
MADE_FOR = {name: RUNTIMES[name] for name in TARGETS}
FORMS = ("maxunpool", "scatter", "portable", "window")
WAYS = (  # select, position, method
    ("channel", "all", "gradient"),
    ("channel", "max", "deconvnet"),
    ("channel", "given", "guided_backprop"),
    ("pairs", "all", "gradient"),
    ("pairs", "max", "deconvnet"),
    ("pairs", "given", "guided_backprop"),
    ("fixed", "all", "gradient"),
    ("fixed", "max", "deconvnet"),
    ("predicted", None, "gradient"),
    ("seed", None, "gradient"),
)


def main() -> int:
    torch.set_num_threads(1)
    nets = build()
    branches = next(net for net in nets if net.name == "branches")
    forms = [
        measure((net.name, form), net, method, Options(unpool=form, target="openvino"))
        for net in nets
        for form in FORMS
        if not (form == "maxunpool" and net.overlaps)  # loses signals that meet
        for method in METHODS
    ]
    ways = [
        measure((select, position or ""), branches, method, _way(select, position))
        for select, position, method in WAYS
    ]
    targets = [
        measure((net.name, target), net, "gradient", Options(target=target), MADE_FOR)
        for net in nets
        for target in LACKING
    ]
    write_page(PAGE, versions(), forms, ways, targets)
    broken = [row for row in [*forms, *ways, *targets] if not row.keeps_promise]
    for row in broken:
        print("BROKEN:", *row.label)
    return 1 if broken else 0


def measure(
    label: tuple[str, str],
    net: Net,
    method: str,
    options: Options,
    runtimes: dict[str, Runtime] = RUNTIMES,
) -> Row:
    """Return each runtime's error, the median over the inputs, or why it failed."""
    start = time.perf_counter()
    layer = "" if options.select == "predicted" else net.layer
    artefact = rewrite(net.model, layer or None, method, options)
    runs = [_ask(net, layer, method, options, np.random.default_rng(i)) for i in range(INPUTS)]
    windows = options.unpool == "window"

    def expected(dtype: torch.dtype) -> list[Answer]:
        return [answer(net.module, layer, method, asked, dtype, windows) for asked, _ in runs]

    exact = expected(torch.float64)
    row = Row((*label, method), _error(expected(torch.float32), exact), _promised(options))
    for name, run in runtimes.items():
        try:
            row.errors[name] = _error(run(artefact, [feed for _, feed in runs]), exact)
        except Unsupported as e:
            row.reasons[name] = textwrap.shorten(str(e), 200)
    errors = ", ".join(f"{name} {error:.0e}" for name, error in row.errors.items())
    print(f"{' '.join(row.label)}: {errors} ({time.perf_counter() - start:.0f} s)", flush=True)
    return row


def _promised(options: Options) -> set[str]:
    """Return the runtimes that have to run such an artefact, by the operators that they lack."""
    names = {name for name, target in TARGETS.items() if options.unpool not in LACKING[target]}
    return names if options.target == "openvino" else names - {"OpenVINO"}


def _way(select: str, position: str | None) -> Options:
    channels = (3, 1) if select == "fixed" else ()
    return Options(
        select=select, channels=channels, position=position, unpool="scatter", target="openvino"
    )


def _ask(
    net: Net, layer: str, method: str, options: Options, rng: np.random.Generator
) -> tuple[Asked, Arrays]:
    """Return the units to explain on two random images, and the artefact's inputs for these."""
    images = rng.standard_normal((2, 3, *net.size), np.float32)
    feed: Arrays = {"image": images}
    picks = np.array({"pairs": [1, 0, 1], "fixed": [0, 0, 1, 1]}.get(options.select, [0, 1]))
    values = activation(net.module, layer, images[picks])
    channels, places, seed = _strong_channels(values, rng), None, None
    if options.select == "fixed":  # all channels of the first image, then of the second
        channels = np.tile(options.channels, 2)
    elif options.select == "predicted":
        channels = values.argmax(1)
    elif options.select == "seed":
        seed = feed["seed"] = rng.standard_normal(values.shape, np.float32)
    else:
        feed["channel"] = channels
    if options.select == "pairs":
        feed["image_index"] = picks
    if options.position == "given":
        alive = [np.argwhere(row[c] > 0) for row, c in zip(values, channels, strict=True)]
        places = feed["position"] = np.array([rng.choice(places) for places in alive])
    deconvnet = method == "deconvnet"
    position = options.position or ("max" if deconvnet else "all")
    seed_value = "activation" if deconvnet else "one"
    return Asked(images[picks], channels, position, seed_value, places, seed), feed


def _strong_channels(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return, for each image, a channel that is well above zero somewhere."""
    strongest = values.reshape(*values.shape[:2], -1).max(2)
    alive = strongest > 0.3 * strongest.max(1, keepdims=True)
    return np.array([rng.choice(np.flatnonzero(row)) for row in alive])


def _error(found: list[Answer], exact: list[Answer]) -> float:
    return median(map(_distance, found, exact))


def _distance(found: Answer, exact: Answer) -> float:
    """Return the larger error of attribution and score; infinite if a position differs."""
    if not np.array_equal(found.get("position", ()), exact.get("position", ())):
        return float("inf")
    errors = []
    for name in ("attribution", "score"):
        if found[name].shape != exact[name].shape:
            return float("inf")
        size = np.linalg.norm(exact[name])
        if size == 0:
            raise ValueError(f"an oracle whose {name} is zero shows nothing")
        errors.append(np.linalg.norm(found[name].astype(np.float64) - exact[name]) / size)
    return float(max(errors))


if __name__ == "__main__":
    sys.exit(main())
