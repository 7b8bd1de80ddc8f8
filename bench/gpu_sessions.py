"""Sessions of ONNX Runtime for `gpu.py`: the weights filled in, and everything kept on the device.

Imports neither onnxplain nor anything else that a machine with a GPU may lack.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from gpu_nets import weight

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read on import

import onnxruntime as ort

__all__ = ["CUDA", "Runner", "cuda_works", "filled", "open_session", "random_inputs", "used_mib"]

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
SETTINGS = {"use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"}
BATCH = "N"  # the name of the free batch dimension
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}

Feed = dict[str, npt.NDArray]


def filled(path: Path, like: onnx.ModelProto | None = None) -> onnx.ModelProto:
    """Read a model of `gpu_artefacts.py`, with the values that its file lacks.

    like: a filled model that has some of them, which saves their computation.
    """
    model = onnx.load(path)
    known = {} if like is None else {t.name: t.raw_data for t in like.graph.initializer}
    for tensor in model.graph.initializer:
        data = (tensor.raw_data, tensor.float_data, tensor.int32_data, tensor.int64_data)
        if not any(data) and np.prod(tensor.dims) > 0:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            tensor.raw_data = (
                known.get(tensor.name) or weight(tensor.name, tensor.dims).astype(dtype).tobytes()
            )
    return model


def cuda_works() -> str:
    """Run a model on CUDA, and return why that fails, else "".

    A build that lists the provider may still silently use the CPU.
    """
    ort.set_default_logger_severity(4)
    if CUDA not in ort.get_available_providers():
        return "this ONNX Runtime is built without CUDA"
    if importlib.util.find_spec("torch") is not None:
        import torch  # noqa: F401  brings CUDA's libraries into the process
    with contextlib.redirect_stdout(io.StringIO()):  # the reason is told below
        ort.preload_dlls()
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> probe (float[1] x) => (float[1] y) { y = Neg(x) }'
    )
    try:
        session = open_session(model, CUDA)
        session.run(None, {"x": np.ones(1, np.float32)})
    except Exception as e:  # whatever the reason, CUDA cannot be measured
        return f"CUDA does not start: {' '.join(str(e).split())[:200]}"
    return "" if CUDA in session.get_providers() else "CUDA's libraries or the GPU are missing"


def open_session(
    model: onnx.ModelProto,
    provider: str,
    batch: int | None = None,
    graph: bool = False,
    search: str = "HEURISTIC",
    verbose: bool = False,
) -> ort.InferenceSession:
    """Load a model. batch: fixes the free one; graph: record a CUDA graph, which needs that."""
    options = ort.SessionOptions()
    options.log_severity_level = 0 if verbose else 4
    if batch is not None:
        options.add_free_dimension_override_by_name(BATCH, batch)
    settings = {**SETTINGS, "cudnn_conv_algo_search": search}
    if graph:
        settings["enable_cuda_graph"] = "1"
    providers = [(CUDA, settings), CPU] if provider == CUDA else [CPU]
    # With fallback, a failure on CUDA would be followed by a silent run on the CPU.
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=providers, enable_fallback=0
    )


def random_inputs(session: ort.InferenceSession, batch: int) -> Feed:
    """Return a value for each input."""
    rng, feed = np.random.default_rng(0), {}
    for value in session.get_inputs():
        shape = [d if isinstance(d, int) else batch for d in value.shape]
        dtype = TYPES[value.type]
        numbers = rng.integers(0, 8, shape) if dtype is np.int64 else rng.normal(size=shape)
        feed[value.name] = numbers.astype(dtype)
    return feed


class Runner:
    """A session whose inputs and outputs lie on the device, so that no copies are timed."""

    def __init__(self, session: ort.InferenceSession, feed: Feed, outputs: dict[str, list[int]]):
        self.session, self.binding = session, session.io_binding()
        device = "cuda" if CUDA in session.get_providers() else "cpu"
        types = {value.name: TYPES[value.type] for value in session.get_outputs()}
        for name in (value.name for value in session.get_inputs()):
            on_device = ort.OrtValue.ortvalue_from_numpy(feed[name], device, 0)
            self.binding.bind_ortvalue_input(name, on_device)
        # A CUDA graph writes to the same addresses each time: the outputs are allocated here.
        self.outputs = {
            name: ort.OrtValue.ortvalue_from_shape_and_type(shape, types[name], device, 0)
            for name, shape in outputs.items()
        }
        for name, value in self.outputs.items():
            self.binding.bind_ortvalue_output(name, value)
        self.seconds()
        self.seconds()  # a CUDA graph is recorded by the second run

    def seconds(self) -> float:
        """Run once, and return how long that took."""
        start = time.perf_counter()
        self.binding.synchronize_inputs()
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return time.perf_counter() - start


def used_mib() -> float:
    """Return the memory of the first GPU in use, of all processes; NaN where it is not known."""
    query = ["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20)
        return float(found.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return float("nan")
