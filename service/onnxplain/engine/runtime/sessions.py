"""Sessions of ONNX Runtime with a device that is really used, deadlines, no log, clear errors."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnxplain.engine.runtime.installation import onnx_runtime
from onnxplain.engine.runtime.loading import (
    CUDA,
    FATAL,
    Loadable,
    cuda_advice,
    load_session,
    open_session,
    translated,
)
from onnxplain.engine.runtime.run_cost import available_cores
from onnxplain.graphops.errors import Cancelled, DeviceError, OptionError

__all__ = ["Session", "Stop", "resolve_device"]

WARNING = 2  # a log level of ONNX Runtime
POLL_SECONDS = 0.02
# A session of seven nodes took 0.5 MiB. Its threads take 8 MiB of addresses each, which a service
# limits: a cache of small sessions must not grow to thousands of threads.
BASE_BYTES, THREAD_BYTES = 2**21, 2**19


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
        _WATCHER.add(self)
        try:
            yield self
        finally:
            _WATCHER.remove(self)

    def terminate_if_over(self) -> None:
        """End ONNX Runtime's current run if the call must end."""
        try:
            self.check()
        except Cancelled:
            self.run_options.terminate = True


class _Watcher:
    """One thread that watches all calls that run; one for each call would cost it 0.3 ms.

    The thread ends by itself once no call runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: list[Stop] = []
        self._thread: threading.Thread | None = None

    def add(self, stop: Stop) -> None:
        with self._lock:
            self._stops.append(stop)
            if self._thread is None or not self._thread.is_alive():  # as in a forked process
                self._thread = threading.Thread(
                    target=self._watch, name="onnxplain-deadline", daemon=True
                )
                self._thread.start()

    def remove(self, stop: Stop) -> None:
        with self._lock:
            self._stops.remove(stop)

    def _watch(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                if not self._stops:
                    self._thread = None
                    return
                stops = list(self._stops)
            for stop in stops:
                stop.terminate_if_over()


_WATCHER = _Watcher()


class Session:
    """One graph, loaded on one device.

    Raises UnsupportedModel where ONNX Runtime cannot load the graph, DeviceError where the device
    cannot run.
    """

    def __init__(self, model: onnx.ModelProto | Loadable, device: str, threads: int = 0) -> None:
        graph = Loadable.of(model)
        # The session holds its weights once more, arranged for its kernels.
        self.bytes = 2 * graph.bytes + BASE_BYTES + (threads or available_cores()) * THREAD_BYTES
        self._session, self._weights = load_session(graph, device, threads)
        self.outputs = tuple(value.name for value in self._session.get_outputs())
        types = {v.name: v.type.tensor_type.elem_type for v in graph.light.graph.input}
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
            raise translated(e, "ONNX Runtime could not run the graph") from e
        return results


def _probe_cuda(device: str) -> None:
    """Run a graph of one node on a CUDA device. Raises DeviceError."""
    ort = onnx_runtime()
    if CUDA not in ort.get_available_providers():
        raise DeviceError(f"device '{device}' cannot run: {cuda_advice()}")
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> probe (float[1] x) => (float[1] y) { y = Relu(x) }'
    )
    # A missing library is reported on stdout or in the process's log only.
    ort.set_default_logger_severity(FATAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
        session = open_session(graph.SerializeToString(), device)
        session.run(None, {"x": np.ones(1, np.float32)})
    except DeviceError:
        raise
    except Exception as e:  # a device number that does not exist, a driver that does not answer
        raise DeviceError(f"device '{device}' cannot run: {' '.join(str(e).split())}") from e
    finally:
        ort.set_default_logger_severity(WARNING)
