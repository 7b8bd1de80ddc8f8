"""Requests of the Open Inference Protocol that wait run together, each as if alone."""

import numpy as np
import onnx
import pytest
from server.inference_requests import request
from server.running import CLASSIFIER, model

from onnxplain.engine import Engine
from onnxplain.graphops.errors import InputError
from onnxplain.server.worker.inference_batches import images_of, infer_each, infer_key

# Its second output mixes the images of a batch.
MIXED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 4, 4] image) => (float[N, 3, 4, 4] y, float[N, 3, 4, 4] z)
{
    y = Relu (image)
    m = ReduceMean <axes = [0], keepdims = 1> (y)
    z = Sub (y, m)
}
"""


def pictures(seed, count=1, size=16):
    values = np.random.default_rng(seed).standard_normal((count, 3, size, size))
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture(scope="module")
def opened(engine, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "classifier.onnx"
    onnx.save(model(CLASSIFIER), path)
    return engine.open(str(path))


@pytest.fixture
def runs(monkeypatch):
    """The number of images of each run of the engine."""
    found = []
    infer, explain = Engine.infer, Engine.explain_units

    def infer_noted(self, model, inputs, *rest):
        found.append(len(next(iter(inputs.values()))))
        return infer(self, model, inputs, *rest)

    def explain_noted(self, model, images, *rest, **choices):
        found.append(len(getattr(images, "rows", images)))
        return explain(self, model, images, *rest, **choices)

    monkeypatch.setattr(Engine, "infer", infer_noted)
    monkeypatch.setattr(Engine, "explain_units", explain_noted)
    return found


def assert_same(one, other):
    (outputs, texts), (expected, told) = one, other
    assert texts == told
    assert list(outputs) == list(expected)
    for name, values in outputs.items():
        assert (values.dtype, values.shape) == (expected[name].dtype, expected[name].shape)
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"method": "gradient"},
        {"method": "grad_cam", "outputs": ("attribution", "probabilities")},
        {"method": "deconvnet", "layer": "c", "channel": "4,1", "position": "2,3"},
    ],
    ids=str,
)
def test_each_gets_what_it_alone_gets(engine, opened, runs, fields):
    counts = (1, 2, 1)
    several = [
        request("classifier", {"image": pictures(i, n)}, **fields) for i, n in enumerate(counts)
    ]
    assert len({infer_key(one) for one in several} - {None}) == 1
    assert [images_of(one) for one in several] == [1, 2, 1]
    together = infer_each(engine, opened, several)
    assert runs[0] == 4
    for one, result in zip(several, together, strict=True):
        assert_same(result, infer_each(engine, opened, [one])[0])


def test_a_member_that_does_not_fit_is_alone_with_its_error(engine, opened):
    several = [request("classifier", {"image": pictures(i)}) for i in range(2)]
    several[1].inputs[0].shape[:] = [1, 3, 16, 15]
    good, bad = infer_each(engine, opened, several)
    assert good[0]["probabilities"].shape == (1, 5)
    assert isinstance(bad, InputError)


def test_images_that_influence_each_other_run_alone(engine, tmp_path):
    onnx.save(onnx.parser.parse_model(MIXED), tmp_path / "mixed.onnx")
    opened = engine.open(str(tmp_path / "mixed.onnx"))
    several = [request("mixed", {"image": pictures(i, size=4)}) for i in range(2)]
    with pytest.raises(InputError, match="influence each other"):
        infer_each(engine, opened, several)


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "smoothgrad"},
        {"method": "gradient", "channel": "all"},
        {"method": "gradient", "channel": "top:9"},
        {"method": "gradient", "channel": "1,2,3,4,0,1,2,3,4"},
        {"method": "no method"},
        {"method": "gradient", "layer": "x" * 5000},
        {"outputs": tuple(map(str, range(100)))},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_what_runs_alone(fields):
    assert infer_key(request("classifier", {"image": pictures(0)}, **fields)) is None


def test_what_differs_does_not_run_together():
    several = [
        request("classifier", {"image": pictures(0)}),
        request("classifier", {"image": pictures(0, size=8)}),
        request("classifier", {"image": pictures(0).astype(np.float64)}),
        request("classifier", {"image": pictures(0)}, outputs=("probabilities",)),
        request("other", {"image": pictures(0)}),
        request("classifier", {"image": pictures(0)}, method="gradient"),
        request("classifier", {"image": pictures(0)}, method="gradient", layer="c"),
        request("classifier", {"image": pictures(0)}, method="gradient", channel=1),
    ]
    keys = {infer_key(one) for one in several}
    assert len(keys - {None}) == len(several)
