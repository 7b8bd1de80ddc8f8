"""Where the time of a fast artefact goes: ONNX Runtime's profile, in groups of operators."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime as ort
from performance_nets import CLASS, artefact, file_of
from performance_table import Table
from performance_timing import THREADS, picture, seconds_of

__all__ = ["profile"]

METHOD, ROUNDS = "gradient", 9
GROUPS = ("own products", "own rest", "backward products", "element-wise", "layout copies", "rest")
PRODUCTS = {"Conv", "ConvTranspose", "FusedGemm", "Gemm", "MatMul"}
ELEMENTWISE = {
    "Add", "Div", "Erf", "Exp", "HardSigmoid", "Mul", "Relu", "Sigmoid", "Sub", "Sum", "Where",
}  # fmt: skip
COPIES = {"Concat", "Pad", "ReorderInput", "ReorderOutput", "Slice", "Split", "Transpose"}


def profile(table: Table, nets: Sequence[str]) -> None:
    """Print the share of each group in the time of an artefact of the class score's gradient."""
    table.head("network", "all nodes", *GROUPS)
    for net in nets:
        shares, total = _shares(net)
        table.row(net, f"{total:.1f} ms", *(f"{100 * shares[group]:.0f} %" for group in GROUPS))


def _shares(net: str) -> tuple[dict[str, float], float]:
    """Return each group's share, and the sum of the nodes' median times in milliseconds."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    options.enable_profiling = True
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        file = artefact(net, METHOD, folder)
        session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        name = ort.InferenceSession(file_of(net), providers=["CPUExecutionProvider"])
        feeds = {name.get_inputs()[0].name: picture(), "channel": np.array([CLASS])}
        for _ in range(ROUNDS):
            seconds_of(lambda: session.run(None, feeds))
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    times = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["name"], event["args"]["op_name"]].append(event["dur"] / 1000)
    sums: Counter[str] = Counter()
    for (node, operator), values in times.items():
        sums[_group(node, operator)] += statistics.median(values)
    total = sum(sums.values())
    return {group: sums[group] / total for group in GROUPS}, total


def _group(node: str, operator: str) -> str:
    if operator.startswith("Reorder"):
        return "layout copies"
    if "onnxplain/" not in node:
        return "own products" if operator in PRODUCTS else "own rest"
    if operator in PRODUCTS:
        return "backward products"
    if operator in ELEMENTWISE:
        return "element-wise"
    return "layout copies" if operator in COPIES else "rest"
