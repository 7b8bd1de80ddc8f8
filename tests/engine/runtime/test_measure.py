"""Time and memory of artefacts, each graph in a process of its own."""

import numpy as np
import pytest
from artefacts import DENSE, SMALL, network

from onnxplain.engine import Preprocess, bake_preprocess, measure
from onnxplain.engine.runtime import run_cost
from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.errors import DeviceError, OptionError, UnsupportedModel

MB = 10**6
FIXED = SMALL.replace("[N, 3, H, W] x", "[N, 3, 64, 48] x")


def made(text=FIXED, method="gradient", layer=None, **options):
    return rewrite(network(text), layer, method, Options(**options))


@pytest.fixture(scope="module")
def one():
    return measure(made(), threads=1)


def test_what_was_run(one):
    assert one.inputs == {"x": "float32[1, 3, 64, 48]", "channel": "int64[1]"}
    assert (one.device, one.threads, one.notes) == ("cpu", 1, ())
    assert one.forward.runs == one.explanation.runs == 11
    assert 0 < one.forward.milliseconds < one.explanation.milliseconds


def test_the_memory_is_that_of_the_graph_and_not_of_the_caller(one):
    ballast = np.ones(50 * MB)  # 400 MB
    again = measure(made(), threads=1)
    assert ballast.all()
    for found in (one, again):
        for memory in (found.forward.memory, found.explanation.memory):
            assert 0 < memory < 100 * MB


def test_the_memory_grows_with_the_samples(one):
    """The 200 copies have 7.4 MB, and the first layer twice as much, forward and backward."""
    for noise in ("input", "drawn"):
        found = measure(made(method="smoothgrad", samples=200, noise=noise), threads=1)
        assert found.explanation.memory > one.explanation.memory + 20 * MB
        assert abs(found.forward.memory - one.forward.memory) < 10 * MB
        assert list(found.inputs) == ["x", "channel"]


@pytest.mark.parametrize(
    ("select", "inputs"),
    [
        ("pairs", {"image_index": "int64[1]", "channel": "int64[1]"}),
        ("predicted", {}),
        ("seed", {"seed": "float32[1, 4]"}),
    ],
)
def test_every_select_is_run(select, inputs):
    found = measure(made(select=select), threads=1)
    assert found.inputs == {"x": "float32[1, 3, 64, 48]", **inputs}


def test_a_region_of_the_layer_s_size():
    found = measure(made(layer="r2", position="region", seed_value="one"), threads=1)
    assert found.inputs["region"] == "float32[1, 30, 22]"


def test_a_free_size_is_assumed_and_said():
    found = measure(made(SMALL), threads=1)
    assert found.inputs["x"] == "float32[1, 3, 224, 224]"
    (note,) = found.notes
    assert note.startswith("224x224 is assumed, since the model leaves the picture's size free")


def test_a_free_size_can_be_given():
    found = measure(made(SMALL), (40, 32), threads=1)
    assert (found.inputs["x"], found.notes) == ("float32[1, 3, 40, 32]", ())


def test_the_size_of_the_preprocessing_is_taken():
    baked = bake_preprocess(made(SMALL), Preprocess(size=(20, 30), scale=1 / 255))
    found = measure(baked, threads=1)
    assert (found.inputs["pixels"], found.notes) == ("uint8[1, 20, 30, 3]", ())


def test_noise_that_the_file_cannot_hold_is_fed():
    found = measure(made(SMALL, "smoothgrad", samples=7), (40, 32), threads=1)
    assert found.inputs["noise"] == "float32[7, 3, 40, 32]"


def test_an_artefact_for_another_runtime():
    found = measure(made(target="openvino"), threads=1)
    assert found.notes == ("the artefact is for openvino, and was measured on ONNX Runtime",)


def test_a_network_without_pictures():
    assert measure(made(DENSE), threads=1).inputs["x"] == "float32[1, 9]"


def test_another_size_than_the_fixed_one_is_refused():
    with pytest.raises(OptionError, match="has a fixed size, not 32x32"):
        measure(made(), (32, 32))
    with pytest.raises(OptionError, match="takes no pictures: leave the size out"):
        measure(made(DENSE), (32, 32))


def test_a_free_axis_of_no_picture_is_refused():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, L, 4] x, float[4, 3] w) => (float[N, L, 3] y) { y = MatMul (x, w) }
    """
    with pytest.raises(UnsupportedModel, match="leaves the size of its axis 1 free"):
        measure(made(text))


def test_only_artefacts_are_measured():
    with pytest.raises(OptionError, match="rewrite the network first"):
        measure(network(FIXED))


def test_what_onnx_runtime_cannot_run_is_said():
    with pytest.raises(UnsupportedModel, match="ONNX Runtime could not run the graph"):
        measure(made(SMALL), (1, 1), threads=1)  # too small for the second convolution


def test_a_process_that_is_killed(monkeypatch):
    monkeypatch.setattr(
        run_cost, "PROCESS", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    )
    with pytest.raises(DeviceError, match="ended by signal 9, as when memory is short"):
        measure(made(), threads=1)
