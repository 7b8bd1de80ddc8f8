"""Compare artefacts on the GPU with the CPU, and their time with that of the network by itself.

Usage: `python bench/gpu.py FOLDER`, with the models that `gpu_artefacts.py` wrote to that folder.
Needs onnx, onnxruntime-gpu and numpy, but not onnxplain. TF32 is off: float32 means float32.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read on import

import onnxruntime as ort

BATCH, ROUNDS = 8, 30
CUDA = [("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


def main() -> int:
    if not cuda_works():
        print("no GPU: ONNX Runtime cannot use CUDA here; nothing was measured")
        return 0
    ort.set_default_logger_severity(3)
    print(f"ONNX Runtime {ort.__version__}, onnx {onnx.__version__}, batch {BATCH}, TF32 off")
    print("| network | type | method | error, CUDA against CPU | time / forward | not on the GPU |")
    print("|---|---|---|---|---|---|")
    folder = Path(sys.argv[1])
    for forward in sorted(folder.glob("*-forward-*.onnx")):
        net, _, dtype = forward.stem.split("-")
        for path in sorted(folder.glob(f"{net}-*-{dtype}.onnx")):
            if path != forward:
                method = path.stem.split("-")[1]
                row = measure(path, forward)
                print(f"| {net} | {dtype} | {method} | {' | '.join(row)} |", flush=True)
    return 0


def cuda_works() -> bool:
    """Run a model on CUDA: a build that lists the provider may still silently use the CPU."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return False
    ort.set_default_logger_severity(4)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        "probe",
        [value("x", 1, [1])],
        [value("y", 1, [1])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    try:
        session = ort.InferenceSession(model.SerializeToString(), providers=CUDA)
    except Exception as e:  # whatever the reason, CUDA cannot be measured
        print(f"CUDA does not start: {' '.join(str(e).split())[:200]}")
        return False
    return "CUDAExecutionProvider" in session.get_providers()


def measure(path: Path, forward: Path) -> list[str]:
    """Return the error, the time as a multiple of the forward pass, and the nodes off the GPU."""
    cpu = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = os.path.join(tempfile.mkdtemp(), "profile")
    cuda = ort.InferenceSession(str(path), options, providers=CUDA)
    feed = random_inputs(cpu)
    expected = cpu.run(["attribution"], feed)[0].astype(np.float64)
    got = cuda.run(["attribution"], feed)[0].astype(np.float64)
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    off = nodes_off_gpu(cuda.end_profiling())
    alone = Runner(forward, feed)
    whole = Runner(path, feed)
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for runner, seconds in zip((alone, whole), times, strict=True):
            time.sleep(0.05)
            seconds.append(runner.seconds())
    ratio = statistics.median(times[1]) / statistics.median(times[0])
    return [f"{error:.1e}", f"{ratio:.2f}", off or "none"]


def random_inputs(session: ort.InferenceSession) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        shape = [BATCH if not isinstance(d, int) else d for d in value.shape]
        dtype = TYPES[value.type]
        numbers = rng.integers(0, 8, shape) if dtype is np.int64 else rng.normal(size=shape)
        feed[value.name] = numbers.astype(dtype)
    return feed


def nodes_off_gpu(profile: str) -> str:
    """Count the nodes that ran on the CPU, by operator; shape arithmetic belongs there."""
    counts: dict[str, int] = {}
    for event in json.loads(Path(profile).read_text()):
        args = event.get("args", {})
        if event.get("cat") == "Node" and args.get("provider", "CUDA").startswith("CPU"):
            counts[args["op_name"]] = counts.get(args["op_name"], 0) + 1
    return ", ".join(f"{op} {n}" for op, n in sorted(counts.items()))


class Runner:
    """A session with inputs and outputs on the GPU, so that copies are not timed."""

    def __init__(self, path: Path, feed: dict[str, np.ndarray]) -> None:
        self.session = ort.InferenceSession(str(path), providers=CUDA)
        self.binding = self.session.io_binding()
        for value in self.session.get_inputs():
            on_gpu = ort.OrtValue.ortvalue_from_numpy(feed[value.name], "cuda", 0)
            self.binding.bind_ortvalue_input(value.name, on_gpu)
        for value in self.session.get_outputs():
            self.binding.bind_output(value.name, "cuda")
        self.seconds()

    def seconds(self) -> float:
        start = time.perf_counter()
        self.session.run_with_iobinding(self.binding)
        self.binding.synchronize_outputs()
        return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
