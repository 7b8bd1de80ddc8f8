"""Running a network as it is, against ONNX Runtime by itself."""

import threading

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxplain.engine import Engine
from onnxplain.graphops.errors import Cancelled, CorruptModel, InputError

TWO = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] image, int64[N] shift, float[2] gains = {1.0, 2.0})
    => (float[N, 3] pooled, int64[N] same)
{
    m = ReduceMean <axes = [2, 3], keepdims = 0> (image)
    f = Cast <to = 1> (shift)
    o = Constant <value_ints = [1]> ()
    u = Unsqueeze (f, o)
    g = ReduceSum <keepdims = 0> (gains)
    s = Add (m, u)
    pooled = Mul (s, g)
    same = Identity (shift)
}
"""
MODEL = onnx.parser.parse_model(TWO)
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
INPUTS = {"image": IMAGES, "shift": np.array([3, -4])}


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def test_every_output_is_onnx_runtimes(engine):
    names = ["pooled", "same"]
    session = onnxruntime.InferenceSession(MODEL.SerializeToString())
    found = engine.infer(MODEL, INPUTS)
    assert list(found) == names
    for name, values in zip(names, session.run(names, INPUTS), strict=True):
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_named_outputs_return_in_their_order(engine):
    assert list(engine.infer(MODEL, INPUTS, ["same"])) == ["same"]
    assert list(engine.infer(MODEL, INPUTS, ("same", "pooled"))) == ["same", "pooled"]


def test_the_session_is_made_once(engine, monkeypatch):
    engine.infer(MODEL, INPUTS)
    monkeypatch.setattr("onnxplain.engine.inference.Session", None)
    engine.infer(MODEL, INPUTS)


@pytest.mark.parametrize(
    "change, text",
    [
        ({"shift": None}, r"the input 'shift' \(int64 \[N\]\) is missing"),
        ({"imag": IMAGES}, "no input 'imag' .*'image'"),
        ({"gains": np.ones(2, np.float32)}, "no input 'gains'"),
        ({"image": IMAGES.astype(np.float64)}, r"are float64 \[2, 3, 5, 4\]"),
        ({"image": IMAGES[:, :2]}, r"float32 \[2, 2, 5, 4\]"),
        ({"image": IMAGES[0]}, r"float32 \[3, 5, 4\]"),
        ({"image": IMAGES[:, :, :0]}, r"float32 \[2, 3, 0, 4\]"),
        ({"shift": np.array([1, 2, 3])}, "cannot run on these inputs"),
    ],
)
def test_inputs_that_do_not_fit(engine, change, text):
    inputs = {name: values for name, values in {**INPUTS, **change}.items() if values is not None}
    with pytest.raises(InputError, match=text):
        engine.infer(MODEL, inputs)


def test_a_model_of_onnx_newest_form(engine):
    """ONNX Runtime refuses its IR version, and nothing else of it."""
    newest = onnx.ModelProto()
    newest.CopyFrom(MODEL)
    newest.ir_version = onnx.IR_VERSION
    found, expected = engine.infer(newest, INPUTS), engine.infer(MODEL, INPUTS)
    np.testing.assert_array_equal(found["pooled"], expected["pooled"])
    assert newest.ir_version == onnx.IR_VERSION


def test_an_output_that_there_is_not(engine):
    with pytest.raises(InputError, match="no output 'pool' .*'pooled'"):
        engine.infer(MODEL, INPUTS, ["pool"])


def test_a_model_that_cannot_be_read(engine):
    with pytest.raises(CorruptModel):
        engine.infer(b"no model", INPUTS)


def test_a_cancelled_call_does_not_run(engine):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        engine.limited(None, cancelled).infer(MODEL, INPUTS)
