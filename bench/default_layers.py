"""Compare the default layers of well-known networks with PyTorch's modules: docs/default-layers.md.

Usage: `make default-layers`, or `python bench/default_layers.py [NET ...]`. Needs torch,
torchvision, timm, onnxscript and this package. Each network ends in a softmax. Its default class
score must have the values of the classifier's output, and the default layer of class activation
maps those of the module that the library calls the last stage. Files are kept in
`.parity/default-layers`.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from default_layers_nets import NETS, Net, build, stage_values
from default_layers_page import write_page

from onnxplain.graphops import forward, layers, rewrite

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".parity" / "default-layers"
THREADS = 2
BOUND = 1e-3  # of the relative L2 error in float32, through up to a hundred layers
LRP = "lrp"


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(THREADS)
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operator cannot be exported
    CACHE.mkdir(parents=True, exist_ok=True)
    asked, rows = sys.argv[1:], []
    for net in NETS:
        if asked and net.name not in asked:
            continue
        rows.append(measure(net))
        print(json.dumps(rows[-1]), flush=True)
    if not asked:
        write_page(ROOT / "docs" / "default-layers.md", rows)
    return 0 if all(right(row) for row in rows) else 1


def right(row: dict[str, Any]) -> bool:
    """Return whether both exporters' files have the right defaults."""
    return all(row[e].get("score") == row[e].get("map") == "right" for e in EXPORTERS)


def measure(net: Net) -> dict[str, Any]:
    """Return a network's row: what the defaults of each exporter's file are."""
    start = time.perf_counter()
    row: dict[str, Any] = {"family": net.family, "net": net.name, "stage": net.stage or "none"}
    paths = {exporter: CACHE / f"{net.name}-{exporter}.onnx" for exporter in EXPORTERS}
    oracle = CACHE / f"{net.name}.npz"
    if not oracle.exists() or not all(path.exists() for path in paths.values()):
        export(net, paths, oracle)
    with np.load(oracle) as saved:
        expected = dict(saved)
    for exporter, path in paths.items():
        try:
            row[exporter] = defaults(path, net, expected)
        except Exception as e:  # whatever it is, the table reports it
            row[exporter] = {"failure": f"{type(e).__name__}: {' '.join(str(e).split())[:200]}"}
    row["seconds"] = round(time.perf_counter() - start)
    return row


def export(net: Net, paths: dict[str, Path], oracle: Path) -> None:
    """Write both exporters' files, and the values of the classifier and of the last stage."""
    module = build(net)
    torch.manual_seed(1)
    x = torch.randn(1, 3, net.side, net.side)
    np.savez(oracle, x=x.numpy(), **stage_values(module, net, x))
    for exporter, path in paths.items():
        EXPORTERS[exporter](module, x, path)


def defaults(path: Path, net: Net, expected: dict[str, np.ndarray]) -> dict[str, Any]:
    """Compare one file's default layers with PyTorch's, and return LRP's completeness error."""
    x = expected["x"]
    marked = {mark: layer for layer in layers(path) for mark in layer.marks}
    found: dict[str, Any] = {"score": same(run(path, None, x), expected["score"])}
    found["score layer"] = marked["class score"].tensor
    block = marked.get("map layer")
    found["map layer"] = block.tensor if block else "none"
    if net.stage is None or block is None:
        found["map"] = "right" if net.stage is None and block is None else "wrong: none"
    else:
        found["map"] = same(run(path, block.tensor, x), expected["stage"])
    if net.stage is not None:
        found["lrp"] = lrp_error(path, x, expected["score"])
    return found


def run(path: Path, layer: str | None, x: np.ndarray) -> np.ndarray:
    """Return a layer's values; None for the default class score."""
    session = open_session(forward(path, layer))
    (values,) = session.run(None, {session.get_inputs()[0].name: x})
    return np.asarray(values)


def lrp_error(path: Path, x: np.ndarray, score: np.ndarray) -> float:
    """Return the completeness error of the top class, relative to its score."""
    session = open_session(rewrite(path, None, LRP))
    feed = {session.get_inputs()[0].name: x, "channel": score.argmax(1)}
    error, value = session.run(["completeness_error", "score"], feed)
    return float(abs(error[0]) / np.sqrt(abs(value[0])))


def same(found: np.ndarray, exact: np.ndarray) -> str:
    """Return "right" if two tensors have about the same values, in any shape."""
    if found.size != exact.size:
        return f"wrong: {list(found.shape)}, not {list(exact.shape)}"
    apart = float(np.linalg.norm(found.ravel() - exact.ravel()) / np.linalg.norm(exact))
    return "right" if apart <= BOUND else f"wrong: {apart:.0e} apart"


def open_session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    return ort.InferenceSession(model.SerializeToString(), options, providers=providers)


def by_torchscript(module: torch.nn.Module, x: torch.Tensor, path: Path) -> None:
    torch.onnx.export(module, (x,), path, dynamo=False, opset_version=17)


def by_dynamo(module: torch.nn.Module, x: torch.Tensor, path: Path) -> None:
    torch.onnx.export(module, (x,), path, dynamo=True, verbose=False, external_data=False)


EXPORTERS = {"TorchScript": by_torchscript, "dynamo": by_dynamo}

if __name__ == "__main__":
    sys.exit(main())
