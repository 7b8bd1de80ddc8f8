"""Compare artefacts of torchvision's CNNs with PyTorch in float64, and write docs/parity.md.

Usage: `make parity`, or `python bench/parity.py [NET ...]`. Needs torch, torchvision, onnxscript
and this package. Results are kept in `.parity/`. A network is measured again if it failed, or if
the rewriter's source or a package's version has changed.
"""

from __future__ import annotations

import gc
import hashlib
import io
import json
import logging
import sys
import time
import warnings
from itertools import chain, zip_longest
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from parity_nets import FAMILIES, Net, build, inputs
from parity_oracle import METHODS, Rectified, outputs, project
from parity_table import REWRITER, VERSIONS, is_current, is_done, key, write_table
from torch import nn

from onnxplain.graphops import Options, forward, rewrite

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".parity"
THREADS = 2
PLACES = ("score", "middle")


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(THREADS)
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operator cannot be exported
    CACHE.mkdir(exist_ok=True)
    asked, rows = sys.argv[1:], {}
    # The first size of every family, then the second: an interrupted run covers all families.
    for net in filter(None, chain(*zip_longest(*FAMILIES.values()))):
        path = CACHE / f"{key(net)}.json"
        row = json.loads(path.read_text()) if path.exists() else None
        if row is not None and not is_current(row, net):
            row = None
        if (not asked or net.name in asked) and not (row and is_done(row)):
            start = time.perf_counter()
            row = measure(net)
            path.write_text(json.dumps(row, indent=1))
            verdict = "within the bound" if is_done(row) else "FAILED"
            print(f"{net.label}: {verdict}, {time.perf_counter() - start:.0f} s", flush=True)
            gc.collect()
        if row:
            rows[key(net)] = row
    write_table(ROOT / "docs" / "parity.md", rows)
    return 0 if all(map(is_done, rows.values())) else 1


def measure(net: Net) -> dict[str, Any]:
    """Measure one network in both exporters' files, and return its row."""
    row: dict[str, Any] = {"net": repr(net), "versions": VERSIONS, "rewriter": REWRITER}
    module = build(net)
    exact = references(net, module)
    row["float32"] = {k: float(v) for k, v in exact.items() if k.startswith("float32/")}
    for exporter, export in EXPORTERS.items():
        try:
            model = export(module, torch.from_numpy(exact["x"][0]))
            row[exporter] = compare(model, net, exact)
        except Exception as e:  # whatever it is, the table reports it
            row[exporter] = {"failure": f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"}
            print(f"  {net.label}, {exporter}: {row[exporter]['failure']}", flush=True)
    return row


def references(net: Net, module: nn.Module) -> dict[str, Any]:
    """Return the inputs, cotangents and float64 results of one network, and float32's own errors.

    They are cached in a file, as long as the weights and the layer stay the same.
    """
    weights = hashlib.sha256(f"{net.middle} {net.side}".encode())
    for tensor in module.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    path = CACHE / f"{key(net)}-{weights.hexdigest()[:12]}.npz"
    if not path.exists():
        np.savez(path, **_references(net, module))
    with np.load(path) as saved:
        return dict(saved)


def _references(net: Net, module: nn.Module) -> dict[str, Any]:
    xs = inputs(net)
    with torch.no_grad(), Rectified():  # without in-place operators: `values` stay intact
        values = outputs(module, net.middle, xs[0])
    kept: dict[str, Any] = {"x": xs.numpy()}
    seeds = {p: torch.randn(len(xs), *values[p].shape) for p in PLACES}
    for place in PLACES:
        kept[f"value/{place}"], kept[f"seed/{place}"] = values[place].numpy(), seeds[place].numpy()
    cotangents = [{p: seeds[p][i] for p in PLACES} for i in range(len(xs))]
    single = [project(module, net.middle, x, c) for x, c in zip(xs, cotangents, strict=True)]
    module.double()
    double = [
        project(module, net.middle, x.double(), c) for x, c in zip(xs, cotangents, strict=True)
    ]
    module.float()  # exact: the weights were float32
    for place, method in double[0]:
        found = np.stack([r[place, method].numpy() for r in single])
        exact = np.stack([r[place, method].numpy() for r in double])
        kept[f"float64/{place}/{method}"] = exact
        kept[f"float32/{place}/{method}"] = error(found, exact)
    return kept


def compare(model: onnx.ModelProto, net: Net, exact: dict[str, Any]) -> dict[str, Any]:
    """Return the error of every method at both layers, the file's size and the rewriting time."""
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    errors, seconds = {}, []
    name = model.graph.input[0].name
    layers = {"score": None, "middle": net.middle}
    cut = run(session(forward(model, net.middle)), {name: exact["x"][0]})
    if (apart := error(cut["activation"][None], exact["value/middle"][None])) > 1e-3:
        raise ValueError(f"'{net.middle}' is another tensor than PyTorch's: {apart:.0e} apart")
    for place, layer in layers.items():
        for method in METHODS:
            start = time.perf_counter()
            made = rewrite(model, layer, method, Options(select="seed"))
            seconds.append(time.perf_counter() - start)
            runs = session(made)
            found = [
                run(runs, {name: x, "seed": seed}, ["attribution"])["attribution"]
                for x, seed in zip(exact["x"], exact[f"seed/{place}"], strict=True)
            ]
            errors[f"{place}/{method}"] = error(np.stack(found), exact[f"float64/{place}/{method}"])
            if (place, method) == ("score", "gradient"):
                onnx.checker.check_model(made, full_check=True)
                same = outputs_stay(model, made, exact)
    return {
        "opset": opset,
        "nodes": len(model.graph.node),
        "errors": errors,
        "rewrite_seconds": median(seconds),
        "outputs_identical": same,
    }


def outputs_stay(model: onnx.ModelProto, made: onnx.ModelProto, exact: dict[str, Any]) -> bool:
    """Return whether the network's own outputs are bit-identical, with optimisation off."""
    feed = {model.graph.input[0].name: exact["x"][0]}
    before = run(session(model, optimised=False), feed)
    after = run(session(made, optimised=False), feed | {"seed": exact["seed/score"][0]})
    return all(np.array_equal(value, after[name]) for name, value in before.items())


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the relative L2 error, the median over the first axis."""
    if found.shape != exact.shape:
        raise ValueError(f"the shape is {found.shape} and should be {exact.shape}")
    norms = [float(np.linalg.norm(e)) for e in exact]
    if not all(0 < norm < float("inf") for norm in norms):
        raise ValueError("an oracle of zero or beyond shows nothing")
    apart = found.astype(np.float64) - exact
    return median(float(np.linalg.norm(a)) / n for a, n in zip(apart, norms, strict=True))


def session(model: onnx.ModelProto, optimised: bool = True) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    providers = ["CPUExecutionProvider"]
    return ort.InferenceSession(model.SerializeToString(), options, providers=providers)


def run(
    opened: ort.InferenceSession, feed: dict[str, np.ndarray], names: list[str] | None = None
) -> dict[str, np.ndarray]:
    names = names or [o.name for o in opened.get_outputs()]
    return dict(zip(names, opened.run(names, feed), strict=True))


def by_torchscript(module: nn.Module, x: torch.Tensor) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(module, (x,), buffer, dynamo=False, opset_version=17)
    return onnx.load_from_string(buffer.getvalue())


def by_dynamo(module: nn.Module, x: torch.Tensor) -> onnx.ModelProto:
    program = torch.onnx.export(module, (x,), dynamo=True, verbose=False)
    model: onnx.ModelProto = program.model_proto
    return model


EXPORTERS = {"TorchScript": by_torchscript, "dynamo": by_dynamo}

if __name__ == "__main__":
    sys.exit(main())
