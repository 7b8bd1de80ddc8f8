"""What an artefact costs: time and memory of its forward pass and of the explanation."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from onnxplain.engine.runtime.example_inputs import example_inputs
from onnxplain.engine.runtime.run_cost import RunCost, available_cores, cost_of
from onnxplain.graphops import Network, read_metadata, save, without_explanation
from onnxplain.graphops.errors import OptionError

__all__ = ["Measurement", "measure"]


@dataclass(frozen=True)
class Measurement:
    """The cost of an artefact, run on one image of random values.

    forward: that of the network alone.
    explanation: that of the whole artefact, its forward pass included.
    inputs: those that were fed, by name, such as "float32[1, 3, 224, 224]".
    device: where it ran, "cpu" or "cuda:N".
    threads: ONNX Runtime's within an operator.
    runtime: ONNX Runtime's version.
    notes: what was assumed.
    """

    forward: RunCost
    explanation: RunCost
    inputs: Mapping[str, str]
    device: str
    threads: int
    runtime: str
    notes: tuple[str, ...] = ()


def measure(
    artefact: onnx.ModelProto,
    size: tuple[int, int] | None = None,
    device: str = "cpu",
    threads: int = 0,
) -> Measurement:
    """Run an artefact on ONNX Runtime, and its network without the explanation.

    Args:
        artefact: a rewritten model.
        size: the picture's height and width, where the artefact leaves them free; None for those
            of its preprocessing, or else 224x224.
        device: "cpu" or "cuda:N".
        threads: ONNX Runtime's threads within an operator; 0 for one per core.

    Returns:
        The median time of several runs and the peak memory, each in a fresh process.

    Raises:
        OptionError: the model fixes another size, or is no artefact.
        UnsupportedModel: ONNX Runtime cannot run it, or the size of an input is not known.
        DeviceError: the device cannot run, or the process ran out of memory.
    """
    metadata = read_metadata(artefact)
    if "onnxplain.contract" not in metadata:
        raise OptionError("only an artefact is measured: rewrite the network first")
    threads = threads or available_cores()
    network = Network(artefact)
    inputs, notes = example_inputs(network, size)
    costs = []
    with tempfile.TemporaryDirectory(prefix="onnxplain-") as folder:
        for name, graph in (("forward", without_explanation(network)), ("explanation", artefact)):
            file = Path(folder) / f"{name}.onnx"
            save(graph, file)
            read = {value.name for value in graph.graph.input}
            fed = {one: shape for one, shape in inputs.items() if one in read}
            costs.append(cost_of(file, fed, device, threads))
    (forward, runtime), (explanation, _) = costs
    return Measurement(
        forward=forward,
        explanation=explanation,
        inputs={name: f"{dtype}{list(shape)}" for name, (dtype, shape) in inputs.items()},
        device=device,
        threads=threads,
        runtime=runtime,
        notes=(*notes, *_notes(device, json.loads(metadata["onnxplain.options"])["target"])),
    )


def _notes(device: str, target: str) -> list[str]:
    """Return what the measurement leaves out."""
    notes = []
    if device != "cpu":
        notes.append("the memory is that of the process, without that of the GPU")
    if target not in ("cpu", "cuda"):
        notes.append(f"the artefact is for {target}, and was measured on ONNX Runtime")
    return notes
