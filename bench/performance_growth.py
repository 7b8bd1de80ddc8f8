"""How the cost of explanations grows with the batch, the picture, the units and the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from performance_nets import CLASS, artefact, explained, file_of
from performance_table import Table
from performance_timing import THREADS, fitted_exponent, opened, picture, seconds_of_each

from onnxplain.engine import Engine

__all__ = ["growth"]

NET, LAYER = "resnet50", "layer2"
METHOD = "gradient"
BATCHES = (1, 2, 4, 8, 16)
SIDES = (64, 112, 160, 224, 320, 448)
UNITS = (1, 4, 16, 64, 256)
DEPTHS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ROUNDS = 5
LINEAR, STEEP = 1.05, 1.15  # exponents that count as linear: from end to end, and of one step
COLUMNS = ("time", "time / size, relative to the first", "exponent of the step")


def growth(table: Table, nets: Sequence[str]) -> None:
    """Time series of sizes, each in turn, and fit their exponents."""
    with TemporaryDirectory() as folder:
        session = opened(artefact(NET, METHOD, folder, free=(0, 2, 3)))
    image = session.get_inputs()[0].name

    def run(feeds: dict[str, np.ndarray]) -> Callable[[], object]:
        return lambda: session.run(None, feeds | {"channel": np.full(len(feeds[image]), CLASS)})

    batches = {f"{n}": run({image: picture(batch=n)}) for n in BATCHES}
    _series(table, "batch", BATCHES, seconds_of_each(batches, ROUNDS))
    sides = {f"{side} × {side}": run({image: picture(side)}) for side in SIDES}
    _series(table, "pixels", [s * s for s in SIDES], seconds_of_each(sides, ROUNDS))
    engine, file = Engine("cpu", threads=THREADS), file_of(NET)

    def explain(units: range) -> Callable[[], object]:
        return lambda: engine.explain(file, picture(), LAYER, METHOD, units, position="all")

    several = {f"{n}": explain(range(n)) for n in UNITS}
    _series(table, "units", UNITS, seconds_of_each(several, ROUNDS))
    _depths(table)


def _series(table: Table, what: str, sizes: Sequence[int], seconds: Mapping[str, float]) -> None:
    """Add a table of one series, and judge its exponent."""
    table.head(what, *COLUMNS)
    times = list(seconds.values())
    for i, (label, time) in enumerate(seconds.items()):
        relative = time / times[0] * sizes[0] / sizes[i]
        step = f"{_step(sizes, times, i):.2f}" if i else ""
        table.row(label, f"{1000 * time:.1f} ms", f"{relative:.2f}", step)
    labels = list(seconds)
    steep = [
        f"from {labels[i - 1]} to {labels[i]}"
        for i in range(1, len(times))
        if _step(sizes, times, i) > STEEP
    ]
    table.say("", f"Steeper than linear: {', '.join(steep) or 'no step'}.")
    table.at_most(LINEAR, fitted_exponent(sizes, times), f"exponent of the time by {what}")


def _depths(table: Table) -> None:
    """Add the table of networks of one family, and judge what grows with their size."""
    with TemporaryDirectory() as folder:
        ways: dict[str, Callable[[], object]] = {}
        models = {net: onnx.load(file_of(net)) for net in DEPTHS}
        files = {net: artefact(net, METHOD, folder) for net in DEPTHS}
        for net in DEPTHS:
            ways[f"rewrite {net}"] = _rewriting(models[net])
            ways[f"open {net}"] = _opening(files[net])
            ways[f"open network {net}"] = _opening(file_of(net))
            ways[f"run {net}"] = _running(files[net])
            ways[f"forward {net}"] = _running(file_of(net))
        seconds = seconds_of_each(ways, ROUNDS)

    def times(way: str) -> list[float]:
        return [seconds[f"{way} {net}"] for net in DEPTHS]

    table.head(
        "network", "nodes", "weights", "rewriting", "opening", "/ network's", "running", "/ forward"
    )
    nodes = [len(models[net].graph.node) for net in DEPTHS]
    megabytes = [file_of(net).stat().st_size / 2**20 for net in DEPTHS]
    rows = zip(DEPTHS, nodes, megabytes, strict=True)
    for net, count, weights in rows:
        rewriting, ours, networks, running, forward = (
            seconds[f"{way} {net}"] for way in ("rewrite", "open", "open network", "run", "forward")
        )
        table.row(
            net,
            str(count),
            f"{weights:.0f} MiB",
            f"{1000 * rewriting:.0f} ms",
            f"{1000 * ours:.0f} ms",
            f"{ours / networks:.2f}",
            f"{1000 * running:.1f} ms",
            f"{running / forward:.2f}",
        )
    for what, sizes, way in (
        ("of rewriting by the number of nodes", nodes, "rewrite"),
        ("of opening by the file's size", megabytes, "open"),
        ("of running by the forward pass's time", times("forward"), "run"),
    ):
        table.at_most(LINEAR, fitted_exponent(sizes, times(way)), f"exponent {what}")


def _step(sizes: Sequence[float], times: Sequence[float], i: int) -> float:
    """Return the exponent between a size and the one before it."""
    return fitted_exponent(sizes[i - 1 : i + 1], times[i - 1 : i + 1])


def _rewriting(model: onnx.ModelProto) -> Callable[[], object]:
    return lambda: explained(model, METHOD)


def _opening(file: Path) -> Callable[[], object]:
    return lambda: opened(file)


def _running(file: Path) -> Callable[[], object]:
    session = opened(file)
    feeds = {"channel": np.array([CLASS])}
    return lambda: session.run(
        None,
        {v.name: feeds.get(v.name, picture()) for v in session.get_inputs()},
    )
