"""Models above 2 GiB: read, rewritten, written with external data beside, explained.

The limit is lowered, so that small networks are above it. With ONNXPLAIN_LARGE=1, one network is
really that large: it takes 5 GB of disk and 16 GB of memory.
"""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from artefacts import SMALL, images, network

from onnxplain.engine import Engine, verify
from onnxplain.graphops import Network, check, load, rewrite, save
from onnxplain.graphops.errors import CorruptModel, OutputError
from onnxplain.graphops.ir import large


@pytest.fixture
def low_limit(monkeypatch):
    monkeypatch.setattr(large, "LIMIT", 1000)
    monkeypatch.setattr(large, "LARGE", 100)


def explained(path):
    return Engine("cpu", threads=1).explain(path, images(1), "scores", "gradient", [0, 2])


def test_a_model_above_the_limit_is_written_and_read(tmp_path, low_limit):
    model, path = network(SMALL), tmp_path / "net.onnx"
    save(model, path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"]
    onnx.checker.check_model(path, full_check=True)
    session = ort.InferenceSession(path)
    x = images(2)
    whole = ort.InferenceSession(model.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], whole.run(None, {"x": x})[0])
    again = load(path)
    assert [t.raw_data for t in again.graph.initializer] == [
        t.raw_data for t in model.graph.initializer
    ]


def test_it_is_rewritten_and_explained_as_a_smaller_one(tmp_path, monkeypatch):
    model, path = network(SMALL), tmp_path / "net.onnx"
    onnx.save(model, path)
    expected, artefact = explained(path), rewrite(path, "scores")
    smaller = Network(path)
    monkeypatch.setattr(large, "LIMIT", 1000)
    monkeypatch.setattr(large, "LARGE", 100)
    save(model, path)
    opened = Network(path)
    assert check(opened, "scores").ok
    assert opened.size_bytes == pytest.approx(smaller.size_bytes, rel=0.05)
    assert opened.sha256 == Network(model).sha256
    made = rewrite(opened, "scores")
    assert made.graph == artefact.graph
    assert verify(made, model) == ""
    save(made, tmp_path / "made.onnx")
    onnx.checker.check_model(tmp_path / "made.onnx", full_check=True)
    ort.InferenceSession(tmp_path / "made.onnx")
    for source in (path, model):
        found = explained(source)
        np.testing.assert_array_equal(found.attribution, expected.attribution)
        np.testing.assert_array_equal(found.score, expected.score)


def test_a_damaged_one_is_said_to_be(tmp_path, low_limit):
    model, path = network(SMALL), tmp_path / "net.onnx"
    model.graph.node[1].input[0] = "nowhere"
    save(model, path)
    with pytest.raises(CorruptModel, match="not valid ONNX"):
        load(path)


def test_nothing_is_left_where_it_cannot_be_written(tmp_path, low_limit):
    with pytest.raises(OutputError, match="cannot write"):
        save(network(SMALL), tmp_path / "none" / "net.onnx")
    (tmp_path / "taken.onnx.data").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        save(network(SMALL), tmp_path / "taken.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.onnx.data"]


@pytest.mark.skipif(os.environ.get("ONNXPLAIN_LARGE") != "1", reason="takes 5 GB of disk")
def test_one_that_is_really_so_large(tmp_path):
    """A dense layer of 2.1 GiB behind a small convolution; the maps are the formula's."""
    model = network("""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w, float[4, 16384] a, float[16384, 1] big)
            => (float[N, K] y)
        {
            c = Conv (x, w)
            m = GlobalAveragePool (c)
            f = Flatten (m)
            h = MatMul (f, a)
            y = MatMul (h, big)
        }
    """)
    rng, size = np.random.default_rng(0), (16384, 34816)
    weight = np.repeat(rng.standard_normal((size[0], 64), np.float32), size[1] // 64, axis=1)
    at = next(i for i, t in enumerate(model.graph.initializer) if t.name == "big")
    model.graph.initializer[at].CopyFrom(onnx.numpy_helper.from_array(weight, "big"))
    path = Path(tmp_path / "net.onnx")
    save(model, path)
    assert path.with_name("net.onnx.data").stat().st_size > 2**31
    first, second = (
        onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name in ("w", "a")
    )
    del model
    x = images(1, (8, 8))
    found = Engine("cpu", threads=1).explain(path, x, "y", "gradient", [640])
    onto = (second @ weight[:, 640])[:, None, None, None] * first / 36
    expected = np.zeros((3, 8, 8))
    for i in range(6):
        for j in range(6):
            expected[:, i : i + 3, j : j + 3] += onto.sum(0)
    np.testing.assert_allclose(found.attribution[0, 0], expected, rtol=1e-3, atol=1e-4)
    save(rewrite(path, "y", "gradient"), tmp_path / "made.onnx")
    session = ort.InferenceSession(tmp_path / "made.onnx")
    again = session.run(["attribution"], {"x": x, "channel": np.array([640])})[0]
    np.testing.assert_allclose(again[0], expected, rtol=1e-3, atol=1e-4)
