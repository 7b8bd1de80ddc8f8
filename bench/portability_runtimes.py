"""The runtimes of `portability.py`: each runs a model on several feeds, or raises an error."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx.reference import ReferenceEvaluator

__all__ = ["RUNTIMES", "Arrays", "Runtime", "Unsupported", "versions"]

Arrays = dict[str, np.ndarray]
Runtime = Callable[[onnx.ModelProto, list[Arrays]], list[Arrays]]
WEB = Path(__file__).parent / "web"


class Unsupported(Exception):
    """The runtime cannot run the model; the text is the runtime's own."""


def onnxruntime_cpu(model: onnx.ModelProto, feeds: list[Arrays]) -> list[Arrays]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [o.name for o in session.get_outputs()]
        return [dict(zip(names, session.run(None, feed), strict=True)) for feed in feeds]
    except Exception as e:  # its exceptions have no common class
        raise Unsupported(str(e)) from e


def openvino_cpu(model: onnx.ModelProto, feeds: list[Arrays]) -> list[Arrays]:
    """Run in float32: on recent CPUs, OpenVINO's default is bfloat16."""
    core = openvino.Core()
    try:
        read = core.read_model(model.SerializeToString())
        request = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        names = [o.name for o in model.graph.output]
        results = []
        for feed in feeds:
            found = request(feed)
            results.append({name: np.array(found[name]) for name in names})
        return results
    except RuntimeError as e:
        lacking = re.search(r"No conversion rule found for operations: [-\w, ]*\w", str(e))
        raise Unsupported(lacking.group() if lacking else str(e)) from e


def onnxruntime_web(model: onnx.ModelProto, feeds: list[Arrays]) -> list[Arrays]:
    """Run under node, see `web/run.mjs`."""
    asked = [[_packed(name, array) for name, array in feed.items()] for feed in feeds]
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        answer = subprocess.run(
            ["node", WEB / "run.mjs", file.name],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=True,
        )
    answered = json.loads(answer.stdout.splitlines()[-1])
    if "error" in answered:
        raise Unsupported(answered["error"])
    return [{tensor["name"]: _unpacked(tensor) for tensor in run} for run in answered["runs"]]


def reference(model: onnx.ModelProto, feeds: list[Arrays]) -> list[Arrays]:
    try:
        evaluator = ReferenceEvaluator(model)
        names = [o.name for o in model.graph.output]
        return [dict(zip(names, evaluator.run(None, feed), strict=True)) for feed in feeds]
    except Exception as e:  # whatever NumPy says
        raise Unsupported(f"{type(e).__name__}: {e}") from e


RUNTIMES: dict[str, Runtime] = {
    "ONNX Runtime": onnxruntime_cpu,
    "OpenVINO": openvino_cpu,
    "onnxruntime-web": onnxruntime_web,
    "onnx reference": reference,
}


def versions() -> dict[str, str]:
    """Return the name and version of each runtime."""
    package = json.loads((WEB / "node_modules/onnxruntime-web/package.json").read_text())
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return {
        "ONNX Runtime": f"{onnxruntime.__version__}, CPU",
        "OpenVINO": f"{version('openvino')}, CPU at float32",
        "onnxruntime-web": f"{package['version']}, wasm under node {node.stdout.strip()}",
        "onnx reference": onnx.__version__,
    }


def _packed(name: str, array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array)).decode()
    return {"name": name, "type": array.dtype.name, "dims": array.shape, "data": data}


def _unpacked(tensor: dict[str, Any]) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(tensor["data"]), tensor["type"])
    return data.reshape(tensor["dims"])
