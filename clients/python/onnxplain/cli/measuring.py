"""`check --measure`: time and memory of the artefact that a rewrite with the same flags writes."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_size, chosen_method_options
from onnxplain.cli.failures import UsageError, in_flags
from onnxplain.cli.output import print_json, printable, size, table
from onnxplain.cli.progress import working
from onnxplain.engine.methods import find_method
from onnxplain.graphops.options import HIGH, LOW, TARGET

if TYPE_CHECKING:
    import onnx

    from onnxplain.engine import Measurement, RunCost

__all__ = ["add_measure", "measured", "measurement_lines", "print_measured_artefact"]

PATH = ("to", "unpool", "target", "lowering", "channel_axis")


def add_measure(parser: argparse.ArgumentParser) -> None:
    """Add --measure and the picture's size."""
    parser.add_argument(
        "--measure",
        action="store_true",
        help="also run the artefact that `rewrite` would write, or MODEL if it is one, on ONNX "
        "Runtime, and print milliseconds and memory of the forward pass and the explanation",
    )
    add_size(parser, "the picture's height and width for --measure, if the model leaves them free")


def measured(arguments: argparse.Namespace) -> Measurement:
    """Rewrite the network as the flags say, and measure the artefact."""
    from onnxplain import graphops

    method, options = find_method(arguments.method), chosen_method_options(arguments)
    if LOW in method.takes:  # any bounds: they change no cost
        options = {LOW.name: (0.0,), HIGH.name: (1.0,)} | options
    chosen: dict[str, Any] = {name: getattr(arguments, name) for name in PATH} | options
    with working("measuring"):
        artefact = graphops.rewrite(
            arguments.model, arguments.layer, method, graphops.Options(**chosen)
        )
        return _measurement(arguments, artefact)


def print_measured_artefact(arguments: argparse.Namespace) -> bool:
    """Measure MODEL as it is and print the result, if it is an artefact; tell whether it is."""
    from onnxplain import graphops

    artefact = graphops.load(arguments.model)
    metadata = graphops.read_metadata(artefact)
    if "onnxplain.contract" not in metadata:
        return False
    with working("measuring"):
        measurement = _measurement(arguments, artefact)
    about = {name: metadata.get(f"onnxplain.{name}", "") for name in ("layer", "method", "to")}
    if arguments.json:
        print_json({**about, "measurement": measurement})
        return True
    lines = [printable(f"{name:7} {value}") for name, value in about.items()]
    print("\n".join([*lines, "", *measurement_lines(measurement)]))
    return True


def measurement_lines(measurement: Measurement) -> list[str]:
    """Return what was measured as lines."""
    fed = ", ".join(f"{name} {shape}" for name, shape in measurement.inputs.items())
    threads = f"{measurement.threads} thread{'s' * (measurement.threads != 1)}"
    rows = [
        _row("forward pass", measurement.forward),
        _row("explanation, with the forward pass", measurement.explanation),
    ]
    return [
        table(("measured", "time", "peak memory", "runs"), rows),
        printable(f"on {measurement.device}, {threads}, ONNX Runtime {measurement.runtime}: {fed}"),
        *(in_flags(f"warning: {note}") for note in measurement.notes),
    ]


def _row(name: str, cost: RunCost) -> tuple[str, str, str, str]:
    memory = "" if cost.memory is None else size(cost.memory)
    return name, f"{cost.milliseconds:.3g} ms", memory, str(cost.runs)


def _measurement(arguments: argparse.Namespace, artefact: onnx.ModelProto) -> Measurement:
    from onnxplain.engine import measure
    from onnxplain.engine.runtime import resolve_device
    from onnxplain.graphops import read_metadata

    if arguments.size is not None and len(arguments.size) != 2:
        raise UsageError("--size: a picture has a height and a width, such as 224x224")
    target = json.loads(read_metadata(artefact)["onnxplain.options"])[TARGET.name]
    return measure(artefact, arguments.size, resolve_device("cuda" if target == "cuda" else "cpu"))
