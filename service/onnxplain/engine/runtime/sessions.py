"""Sessions of ONNX Runtime with a device that is really used, deadlines, no log, clear errors."""

from __future__ import annotations

import contextlib
import functools
import io
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxplain.engine.runtime.installation import (
    installed_wheels,
    onnx_runtime,
    two_wheels,
    warn_of_two_wheels,
)
from onnxplain.graphops.errors import (
    Cancelled,
    DeviceError,
    OnnxplainError,
    OptionError,
    OutOfMemory,
    UnsupportedModel,
)
from onnxplain.graphops.ir import bytes_of, fits, size_of, split

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Session", "Stop", "load_session", "resolve_device"]

CUDA = "CUDAExecutionProvider"
FATAL, WARNING = 4, 2  # ONNX Runtime's log levels; it also raises the errors that it logs
POLL_SECONDS = 0.02
# The types of tensors that ONNX Runtime takes as arrays: NumPy's own.
OF_NUMPY = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


def resolve_device(device: str) -> str:
    """Return "cpu" or "cuda:N" for "auto", "cpu", "cuda" or "cuda:N".

    "auto" is the first CUDA device if ONNX Runtime runs a graph there, else the CPU.
    Raises MissingRuntime where there is no ONNX Runtime, DeviceError where CUDA is asked for and
    cannot run, OptionError for other text.
    """
    kind, _, index = device.partition(":")
    if device not in ("auto", "cpu", "cuda") and not (kind == "cuda" and index.isdecimal()):
        raise OptionError(f"no device '{device}': choose one of auto, cpu, cuda, cuda:N")
    onnx_runtime()
    if device == "cpu":
        return device
    resolved = f"cuda:{int(index or 0)}"
    try:
        _probe_cuda(resolved)
    except DeviceError:
        if device == "auto":
            return "cpu"
        raise
    return resolved


class Stop:
    """The end of a call: `timeout` seconds from now, or when `cancel` is set."""

    def __init__(self, timeout: float | None = None, cancel: threading.Event | None = None) -> None:
        self.run_options = onnx_runtime().RunOptions()
        self.run_options.log_severity_level = FATAL
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._cancel = cancel

    def check(self) -> None:
        """Raise Cancelled if the call must end."""
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("the explanation was cancelled")
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise Cancelled(
                f"the explanation took longer than {self._timeout:g} seconds: allow more, or "
                "ask for fewer units or images"
            )

    @contextlib.contextmanager
    def watching(self) -> Iterator[Stop]:
        """Terminate ONNX Runtime's current run when the call must end, from a thread."""
        if self._deadline is None and self._cancel is None:
            yield self
            return
        done = threading.Event()

        def watch() -> None:
            while not done.wait(POLL_SECONDS):
                try:
                    self.check()
                except Cancelled:
                    self.run_options.terminate = True
                    return

        thread = threading.Thread(target=watch, name="onnxplain-deadline", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()


class Session:
    """One graph, loaded on one device.

    Raises UnsupportedModel where ONNX Runtime cannot load the graph, DeviceError where the device
    cannot run.
    """

    def __init__(self, model: onnx.ModelProto, device: str, threads: int = 0) -> None:
        # The session holds a copy of the weights besides the serialized model.
        self.bytes = 2 * size_of(model)
        self._session, self._weights = load_session(model, device, threads)
        self.outputs = tuple(value.name for value in self._session.get_outputs())
        types = {v.name: v.type.tensor_type.elem_type for v in model.graph.input}
        self.types = {  # the inputs' dtypes
            value.name: onnx.helper.tensor_dtype_to_np_dtype(types[value.name])
            for value in [
                *self._session.get_inputs(),
                *self._session.get_overridable_initializers(),
            ]
        }

    def fitting(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return those of the values that the graph has inputs for, in their types."""
        types = self.types
        return {n: np.asarray(v, types[n]) for n, v in feeds.items() if n in types}

    def run(
        self, feeds: Mapping[str, npt.NDArray[Any]], outputs: list[str], stop: Stop
    ) -> list[npt.NDArray[Any]]:
        """Return the named outputs. Raises Cancelled, DeviceError or UnsupportedModel."""
        stop.check()
        try:
            results: list[npt.NDArray[Any]] = self._session.run(outputs, feeds, stop.run_options)
        except Exception as e:  # ONNX Runtime's exceptions share no other base
            stop.check()
            raise _translated(e, "ONNX Runtime could not run the graph") from e
        return results


def load_session(
    model: onnx.ModelProto | str, device: str, threads: int = 0
) -> tuple[onnxruntime.InferenceSession, list[npt.NDArray[Any]]]:
    """Load a model or a file, and return the session with what must live as long as it does.

    The large tensors of a model are handed over as arrays: serialised, they would be copied twice
    more, and above 2 GiB they could not be.

    Raises UnsupportedModel where ONNX Runtime cannot load the graph, DeviceError where the device
    cannot run.
    """
    warn_of_two_wheels()
    options = onnx_runtime().SessionOptions()
    if isinstance(model, str):
        return _open(model, device, threads, options), []
    if device == "cpu" and _is_mostly_classifier(model):
        # VGG-16 loads in 0.6 of the time and holds 472 MiB less; one image takes as long.
        options.add_session_config_entry("session.disable_prepacking", "1")
    light, large = split(model)
    if fits(model) and not all(tensor.data_type in OF_NUMPY for tensor in large):
        return _open(model.SerializeToString(), device, threads, options), []
    read = _read_by(light.graph)
    for header in [t for t in light.graph.initializer if t.name not in read]:
        light.graph.initializer.remove(header)  # ONNX Runtime takes no values of what is not read
    large = [tensor for tensor in large if tensor.name in read]
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in large]
    headers = {tensor.name: tensor for tensor in light.graph.initializer}
    for tensor in large:
        headers[tensor.name].data_location = onnx.TensorProto.EXTERNAL
        headers[tensor.name].external_data.add(key="location", value="in memory")
    options.add_external_initializers(
        [tensor.name for tensor in large],
        [onnx_runtime().OrtValue.ortvalue_from_numpy(array) for array in arrays],
    )
    return _open(light.SerializeToString(), device, threads, options), arrays


def _is_mostly_classifier(model: onnx.ModelProto) -> bool:
    """Tell whether most weights are those of Gemms, which read them once for a vector per image."""
    sizes = {tensor.name: bytes_of(tensor) for tensor in model.graph.initializer}
    read = {name for node in model.graph.node if node.op_type == "Gemm" for name in node.input}
    return 2 * sum(sizes.get(name, 0) for name in read) > sum(sizes.values())


def _read_by(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the tensors that a graph returns, or that its nodes read."""
    read = {value.name for value in graph.output}
    for node in graph.node:
        read.update(node.input)
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                read |= _read_by(body)
    return read


def _open(
    data: bytes | str,
    device: str,
    threads: int = 0,
    options: onnxruntime.SessionOptions | None = None,
) -> onnxruntime.InferenceSession:
    options = options or onnx_runtime().SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = threads
    # Idle threads that spin burn 34 ms of a core after each run: two sessions in turn took 1.75
    # times as long, two at once 1.5 times; a session by itself was no faster.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = ["CPUExecutionProvider"]
    if device == "cpu":
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
    else:
        # TF32 would round away the difference between one unit and another.
        settings = {"device_id": device.partition(":")[2], "use_tf32": "0"}
        providers.insert(0, (CUDA, settings))
    try:
        session = onnx_runtime().InferenceSession(
            data, options, providers=providers, enable_fallback=0
        )
    except Exception as e:  # ONNX Runtime's exceptions share no other base
        raise _translated(e, "ONNX Runtime cannot load the graph") from e
    if device != "cpu" and CUDA not in session.get_providers():
        raise DeviceError(f"device '{device}' cannot run: {_cuda_advice()}")
    return session


@functools.cache
def _share_arena() -> None:
    """Share one arena between all sessions: otherwise each cached one would keep its own peak."""
    ort = onnx_runtime()
    info = ort.capi.onnxruntime_pybind11_state.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(info, None)


def _translated(error: Exception, what: str) -> OnnxplainError:
    text = " ".join(str(error).split())
    memory = ("bad_alloc", "Failed to allocate memory", "out of memory")
    if isinstance(error, MemoryError) or any(word in text for word in memory):
        return OutOfMemory(f"out of memory: {text}; explain fewer or smaller pictures at once")
    if "CUDA" in text or "CUDNN" in text:
        return DeviceError(f"{what} on CUDA: {text}")
    return UnsupportedModel(f"{what}: {text}")


def _probe_cuda(device: str) -> None:
    """Run a graph of one node on a CUDA device. Raises DeviceError."""
    ort = onnx_runtime()
    if CUDA not in ort.get_available_providers():
        raise DeviceError(f"device '{device}' cannot run: {_cuda_advice()}")
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> probe (float[1] x) => (float[1] y) { y = Relu(x) }'
    )
    # A missing library is reported on stdout or in the process's log only.
    ort.set_default_logger_severity(FATAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
        session = _open(graph.SerializeToString(), device)
        session.run(None, {"x": np.ones(1, np.float32)})
    except DeviceError:
        raise
    except Exception as e:  # a device number that does not exist, a driver that does not answer
        raise DeviceError(f"device '{device}' cannot run: {' '.join(str(e).split())}") from e
    finally:
        ort.set_default_logger_severity(WARNING)


def _cuda_advice() -> str:
    if len(installed_wheels()) > 1:
        return two_wheels()
    if CUDA not in onnx_runtime().get_available_providers():
        return "this ONNX Runtime is built without CUDA: install onnxruntime-gpu in its place"
    return (
        "ONNX Runtime could not start CUDA, since its libraries or a GPU are missing: install "
        "onnxplain[cuda], and check that nvidia-smi lists the GPU"
    )
