"""ONNX Runtime behind its wrapper: devices, deadlines, errors, silence."""

import contextlib
import importlib.metadata
import threading
import time

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxplain.engine.runtime.loading import load_session, translated
from onnxplain.engine.runtime.sessions import Session, Stop, resolve_device
from onnxplain.graphops.errors import (
    Cancelled,
    DeviceError,
    OptionError,
    OutOfMemory,
    UnsupportedModel,
)
from onnxplain.graphops.ir import large

RELU = '<ir_version: 8, opset_import: ["": 17]> net (float[N, 3] x) => (float[N, 3] y) {{ {0} }}'


def session(body="y = Relu (x)"):
    return Session(onnx.parser.parse_model(RELU.format(body)), "cpu")


def without_cuda(monkeypatch, wheels=("onnxruntime-gpu",), providers=("CPUExecutionProvider",)):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(providers))
    real = importlib.metadata.distribution

    def distribution(name):
        if name.startswith("onnxruntime") and name not in wheels:
            raise importlib.metadata.PackageNotFoundError(name)
        return None if name in wheels else real(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


def test_a_session_runs_and_names_its_outputs():
    net = session()
    assert net.outputs == ("y",)
    (y,) = net.run({"x": np.array([[-1, 0, 2]], np.float32)}, ["y"], Stop())
    assert y.tolist() == [[0, 0, 2]]
    assert net.bytes > 0


def test_a_thread_that_cannot_start_is_a_lack_of_memory():
    said = "/onnxruntime_src/onnxruntime/core/platform/posix/env.cc:178 onnxruntime::{anonymous}::"
    error = translated(RuntimeError(said + "PosixThread::PosixThread(): failed"), "it cannot load")
    assert type(error) is OutOfMemory
    assert type(translated(RuntimeError("another"), "it cannot load")) is UnsupportedModel


def test_idle_threads_do_not_spin():
    net = Session(onnx.parser.parse_model(RELU.format("y = Relu (x)")), "cpu", threads=2)
    x = np.ones((100_000, 3), np.float32)  # enough for two threads
    spent = []
    for _ in range(3):
        net.run({"x": x}, ["y"], Stop())
        before = time.process_time()
        time.sleep(0.05)
        spent.append(time.process_time() - before)
    assert min(spent) < 0.01


@pytest.mark.parametrize(("body", "packs"), [("Gemm", False), ("MatMul", True)])
def test_classifiers_weights_are_not_copied(body, packs):
    model = onnx.parser.parse_model(RELU.format(f"y = {body} (x, w)"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32), "w"))
    loaded, _ = load_session(model, "cpu")
    found = {}
    for key in ("session.disable_prepacking", "session.intra_op.allow_spinning"):
        with contextlib.suppress(RuntimeError):  # not set
            found[key] = loaded.get_session_options().get_session_config_entry(key)
    assert (found.get("session.disable_prepacking") != "1") == packs
    assert found["session.intra_op.allow_spinning"] == "0"
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(loaded.run(None, {"x": x})[0], x)


@pytest.mark.parametrize("dtype", ["float16", "int64", "bfloat16"])
def test_large_tensors_keep_their_values(dtype, monkeypatch):
    monkeypatch.setattr(large, "LARGE", 100)
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    model = onnx.parser.parse_model(RELU.format("w = Cast <to = 1> (v)  y = Add (x, w)"))
    values = np.arange(-60, 60).reshape(40, 3)
    model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(dtype), "v"))
    assert model.graph.initializer[0].data_type == kind
    (y,) = Session(model, "cpu").run({"x": np.ones((40, 3), np.float32)}, ["y"], Stop())
    np.testing.assert_array_equal(y, values + 1)


@pytest.mark.parametrize("device", ["gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", ""])
def test_another_word_is_no_device(device):
    with pytest.raises(OptionError, match="auto, cpu, cuda, cuda:N"):
        resolve_device(device)


def test_cuda_that_is_not_built_in_is_an_error_and_auto_takes_the_cpu(monkeypatch):
    without_cuda(monkeypatch)
    with pytest.raises(DeviceError, match="'cuda:0' cannot run.*onnxruntime-gpu"):
        resolve_device("cuda")
    assert resolve_device("auto") == "cpu"


def test_both_wheels_installed_is_said(monkeypatch):
    without_cuda(monkeypatch, wheels=("onnxruntime", "onnxruntime-gpu"))
    with pytest.raises(DeviceError, match="both installed"):
        resolve_device("cuda:1")


def test_a_silent_fall_back_to_the_cpu_is_an_error(monkeypatch):
    # The wheel claims CUDA, and runs on the CPU: what a machine without a GPU does.
    without_cuda(monkeypatch, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    real = onnxruntime.InferenceSession

    def fall_back(data, options, providers, enable_fallback):
        assert "CUDAExecutionProvider" in str(providers)
        return real(data, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fall_back)
    with pytest.raises(DeviceError, match="could not start CUDA"):
        resolve_device("cuda")
    assert resolve_device("auto") == "cpu"


def test_this_machine_s_answer_is_the_same_for_auto_and_cuda(capfd):
    automatic = resolve_device("auto")
    try:
        assert resolve_device("cuda") == automatic == "cuda:0"
    except DeviceError:
        assert automatic == "cpu"
    assert capfd.readouterr() == ("", "")


def test_no_time_left_is_cancelled_before_a_run():
    with pytest.raises(Cancelled, match="0 seconds"):
        session().run({"x": np.zeros((1, 3), np.float32)}, ["y"], Stop(timeout=0))


def test_a_cancelled_run_does_not_begin():
    cancel = threading.Event()
    stop = Stop(cancel=cancel)
    stop.check()
    cancel.set()
    with pytest.raises(Cancelled, match="cancelled"):
        session().run({"x": np.zeros((1, 3), np.float32)}, ["y"], stop)


def test_a_run_that_goes_on_is_ended(capfd):
    # Many seconds of matrix products, unless something ends them.
    body = "a = MatMul (x, x) " + "".join(f"{b} = MatMul ({a}, x) " for a, b in chain(300))
    text = RELU.format(body).replace("[N, 3]", "[K, K]")
    net = Session(onnx.parser.parse_model(text), "cpu")
    feeds = {"x": np.eye(2000, dtype=np.float32)}
    with Stop(timeout=0.2).watching() as stop, pytest.raises(Cancelled, match=r"0\.2 seconds"):
        net.run(feeds, ["y"], stop)
    assert capfd.readouterr() == ("", "")
    while "onnxplain-deadline" in {thread.name for thread in threading.enumerate()}:
        time.sleep(0.001)  # the thread ends by itself


def chain(length):
    names = ["a", *(f"t{i}" for i in range(length)), "y"]
    return zip(names, names[1:], strict=False)


def test_errors_of_onnx_runtime_are_translated_and_silent(capfd):
    net = session()
    with pytest.raises(UnsupportedModel, match="could not run the graph.*Expected: 3"):
        net.run({"x": np.zeros((1, 4), np.float32)}, ["y"], Stop())
    unknown = '<ir_version: 8, opset_import: ["": 17, "odd": 1]> '
    text = RELU.format("y = odd.Thing (x)").partition("> ")[2]
    with pytest.raises(UnsupportedModel, match="cannot load the graph.*Thing"):
        Session(onnx.parser.parse_model(unknown + text), "cpu")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Failed to allocate memory: 9")])
def test_want_of_memory_is_said(monkeypatch, error):
    net = session()

    def run(*_):
        raise error

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", run)
    with pytest.raises(DeviceError, match="out of memory"):
        net.run({}, ["y"], Stop())


def test_weights_that_nothing_reads_are_left_out():
    """Large ones are handed over as arrays, which ONNX Runtime refuses for what it drops."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> net (float[N, 300] x) => (float[N, 300] y)'
        " { y = MatMul (x, w) }"
    )
    weights = np.random.default_rng(0).normal(size=(300, 300)).astype(np.float32)
    for name in ("w", "unread"):
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights, name))
    x = np.ones((2, 300), np.float32)
    (got,) = Session(model, "cpu").run({"x": x}, ["y"], Stop())
    np.testing.assert_allclose(got, x @ weights, rtol=1e-4, atol=1e-4)
