"""Loading a graph into ONNX Runtime: its weights as arrays, its providers, clear errors."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import onnx

from onnxplain.engine.runtime.installation import (
    installed_wheels,
    onnx_runtime,
    two_wheels,
    warn_of_two_wheels,
)
from onnxplain.graphops.errors import DeviceError, OnnxplainError, OutOfMemory, UnsupportedModel
from onnxplain.graphops.ir import bytes_of, fits, size_of, split

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["CUDA", "FATAL", "Loadable", "cuda_advice", "load_session", "open_session", "translated"]

CUDA = "CUDAExecutionProvider"
BUILD_PATH = re.compile(r"/onnxruntime_src/\S+ ?")  # where its own code lay when it was compiled
NEWEST_IR = 13  # that ONNX Runtime 1.31 takes; it reads newer models if they do not say so
FATAL = 4  # a log level of ONNX Runtime, which also raises the errors that it logs
# The types of tensors that ONNX Runtime takes as arrays: NumPy's own.
OF_NUMPY = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


class Loadable:
    """A model as a session takes it: its large weights are arrays, beside the rest.

    Serialised, they would be copied twice more, and above 2 GiB they could not be. Who makes one
    and then drops the model loads the session without a further copy of the weights in memory.
    """

    @staticmethod
    def of(model: onnx.ModelProto | Loadable) -> Loadable:
        """Return the model as one."""
        return model if isinstance(model, Loadable) else Loadable(model)

    def __init__(self, model: onnx.ModelProto) -> None:
        self.bytes = size_of(model)
        self.mostly_classifier = _is_mostly_classifier(model)
        self.light, large = split(model)
        self.weights: dict[str, npt.NDArray[Any]] = {}
        if fits(model) and not all(tensor.data_type in OF_NUMPY for tensor in large):
            self.light = model
            return
        read = _read_by(self.light.graph)
        for header in [t for t in self.light.graph.initializer if t.name not in read]:
            self.light.graph.initializer.remove(header)  # would be refused
        headers = {tensor.name: tensor for tensor in self.light.graph.initializer}
        for tensor in large:
            if tensor.name in read:
                self.weights[tensor.name] = onnx.numpy_helper.to_array(tensor)
                headers[tensor.name].data_location = onnx.TensorProto.EXTERNAL
                headers[tensor.name].external_data.add(key="location", value="in memory")


def load_session(
    model: onnx.ModelProto | Loadable | str, device: str, threads: int = 0
) -> tuple[onnxruntime.InferenceSession, list[npt.NDArray[Any]]]:
    """Load a model or a file, and return the session with what must live as long as it does.

    Raises UnsupportedModel where ONNX Runtime cannot load the graph, DeviceError where the device
    cannot run.
    """
    warn_of_two_wheels()
    options = onnx_runtime().SessionOptions()
    if isinstance(model, str):
        return open_session(model, device, threads, options), []
    model = Loadable.of(model)
    if device == "cpu" and model.mostly_classifier:
        # VGG-16 loads in 0.6 of the time and holds 472 MiB less; one image takes as long.
        options.add_session_config_entry("session.disable_prepacking", "1")
    names, arrays = list(model.weights), list(model.weights.values())
    values = [onnx_runtime().OrtValue.ortvalue_from_numpy(array) for array in arrays]
    options.add_external_initializers(names, values)
    if device == "cpu":  # otherwise the session would hold a copy of them
        for name, value in zip(names, values, strict=True):
            options.add_initializer(name, value)
    data = model.light.SerializeToString()
    if model.light.ir_version > NEWEST_IR:
        data += onnx.ModelProto(ir_version=NEWEST_IR).SerializeToString()  # the last one counts
    return open_session(data, device, threads, options), arrays


def open_session(
    data: bytes | str,
    device: str,
    threads: int = 0,
    options: onnxruntime.SessionOptions | None = None,
) -> onnxruntime.InferenceSession:
    """Open serialised bytes or a file on a device. Raises as `load_session` does."""
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
        raise translated(e, "ONNX Runtime cannot load the graph") from e
    if device != "cpu" and CUDA not in session.get_providers():
        raise DeviceError(f"device '{device}' cannot run: {cuda_advice()}")
    return session


def translated(error: Exception, what: str) -> OnnxplainError:
    """Return ONNX Runtime's error as one of ours. what: what could not be done."""
    text = " ".join(BUILD_PATH.sub("", str(error)).split())
    # A thread of ONNX Runtime cannot start where there is no memory for its stack.
    memory = ("bad_alloc", "Failed to allocate memory", "out of memory", "PosixThread")
    if isinstance(error, MemoryError) or any(word in text for word in memory):
        return OutOfMemory(f"out of memory: {text}; explain fewer or smaller pictures at once")
    if "CUDA" in text or "CUDNN" in text:
        return DeviceError(f"{what} on CUDA: {text}")
    return UnsupportedModel(f"{what}: {text}")


def cuda_advice() -> str:
    """Return why CUDA cannot run here, and what to do."""
    if len(installed_wheels()) > 1:
        return two_wheels()
    if CUDA not in onnx_runtime().get_available_providers():
        return "this ONNX Runtime is built without CUDA: install onnxruntime-gpu in its place"
    return (
        "ONNX Runtime could not start CUDA, since its libraries or a GPU are missing: install "
        "onnxplain[cuda], and check that nvidia-smi lists the GPU"
    )


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


@functools.cache
def _share_arena() -> None:
    """Share one arena between all sessions: otherwise each cached one would keep its own peak."""
    ort = onnx_runtime()
    info = ort.capi.onnxruntime_pybind11_state.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    ort.create_and_register_allocator(info, None)
