"""Inferences that wait run together, and each answer is the one that its call gets alone."""

import asyncio
import dataclasses
import threading

import numpy as np
import onnx
import pytest
from server.inference_requests import arrays, request, write_inference_models

from onnxplain.engine import Engine
from onnxplain.graphops.errors import InputError
from onnxplain.registry import FolderSource
from onnxplain.server.settings import Settings
from onnxplain.server.worker import Models, Scheduler
from onnxplain.server.worker.calls import Call
from onnxplain.server.worker.inference_runs import InferenceRuns, WantedInference

# Each image's scores depend on the others of its batch.
MIXING = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 16, 16] image) => (float[N, 3] y)
{ m = ReduceMean <axes = [2, 3], keepdims = 0> (image) y = Softmax <axis = 0> (m) }
"""
RNG = np.random.default_rng(0)
BATCHES = [RNG.normal(size=(n, 3, 16, 16)).astype(np.float32) for n in (1, 2, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = write_inference_models(tmp_path_factory.mktemp("batches"))
    onnx.save(onnx.parser.parse_model(MIXING), folder / "mixing.onnx")
    return folder


@pytest.fixture
def engine():
    return Engine("cpu")


@pytest.fixture
def runs(folder, engine):
    return InferenceRuns(Models([FolderSource(folder)]), engine)


def wanted(model, images, **parameters):
    return WantedInference.of(request(model, {"image": images}, **parameters))


@pytest.mark.parametrize(
    "model, parameters",
    [
        ("classifier", {}),
        ("classifier", {"outputs": ("probabilities",), "typed": True}),
        ("mixing", {}),
        ("classifier", {"method": "gradient"}),
        ("classifier", {"method": "deconvnet", "layer": "r", "channel": "4,1"}),
        ("classifier", {"method": "grad_cam", "layer": "r", "channel": 2}),
        ("classifier", {"method": "gradient", "outputs": ("score", "probabilities")}),
    ],
    ids=str,
)
def test_answers_of_calls_together(runs, model, parameters):
    every = [wanted(model, images, **parameters) for images in BATCHES]
    assert len({one.key for one in every}) == 1 and every[0].key is not None
    alone = [runs.infer([one], Call())[0] for one in every]
    together = runs.infer(every, Call())
    for one, expected in zip(together, alone, strict=True):
        assert list(arrays(one)) == list(arrays(expected))
        for name, values in arrays(expected).items():
            np.testing.assert_allclose(arrays(one)[name], values, rtol=1e-5, atol=1e-6)
        assert one.parameters == expected.parameters


def runs_of(monkeypatch):
    """Return a list that gets the number of images of each plain run of the network."""
    seen, infer = [], Engine.infer

    def counting(self, model, inputs, outputs=()):
        seen.append(len(inputs["image"]))
        return infer(self, model, inputs, outputs)

    monkeypatch.setattr(Engine, "infer", counting)
    return seen


@pytest.mark.parametrize("model, sizes", [("classifier", [4]), ("mixing", [1, 2, 1])])
def test_images_share_a_run_unless_they_depend_on_each_other(runs, monkeypatch, model, sizes):
    seen = runs_of(monkeypatch)
    runs.infer([wanted(model, images) for images in BATCHES], Call())
    assert seen == sizes


SOME = wanted("classifier", BATCHES[0])


@pytest.mark.parametrize(
    "other",
    [
        wanted("pets", BATCHES[0]),
        wanted("classifier", BATCHES[0][:, :, :8]),
        wanted("classifier", BATCHES[0].astype(np.float64)),
        wanted("classifier", BATCHES[0], outputs=("probabilities",)),
        wanted("classifier", BATCHES[0], method="gradient"),
        wanted("classifier", BATCHES[0], version="1"),
    ],
)
def test_what_differs_does_not_run_together(other):
    assert other.key is not None and other.key != SOME.key


@pytest.mark.parametrize(
    "one",
    [
        wanted("classifier", BATCHES[0], method="occlusion"),
        wanted("classifier", BATCHES[0], method="smoothgrad"),
        wanted("classifier", BATCHES[0], method="gradient", channel="all"),
        wanted("classifier", BATCHES[0], method="gradient", channel=",".join(map(str, range(9)))),
        wanted("classifier", BATCHES[0], method="gradient", position="1,2"),
        wanted("classifier", BATCHES[0][:0]),
        WantedInference.of(request("x", {"a": np.zeros((2, 3)), "b": np.zeros((1, 3))})),
        WantedInference.of(request("x", {"a": np.zeros(())})),
    ],
    ids=range(8),
)
def test_what_runs_alone(one):
    assert one.key is None


def while_one_slot_is_taken(runs, every):
    """Return the results of calls that wait for the same slot, and how many images ran with each.

    A result is an answer or the error.
    """

    async def all_of_them():
        scheduler = Scheduler(dataclasses.replace(Settings(), concurrency=1))
        taken = threading.Event()
        first = asyncio.ensure_future(scheduler.run(Call(), taken.wait, 10))
        calls = [Call() for _ in every]
        waiting = [
            asyncio.ensure_future(scheduler.together(call, one.key, one.images, one, runs.infer))
            for call, one in zip(calls, every, strict=True)
        ]
        await asyncio.sleep(0)
        taken.set()
        await first
        found = await asyncio.gather(*waiting, return_exceptions=True)
        scheduler.close()
        return found, [call.batch for call in calls]

    return asyncio.run(all_of_them())


def test_calls_that_wait_run_together(runs):
    every = [wanted("classifier", images) for images in BATCHES]
    found, sizes = while_one_slot_is_taken(runs, every)
    assert sizes == [4, 4, 4]
    assert found == runs.infer(every, Call())


def test_a_wrong_call_fails_alone(runs):
    every = [wanted("classifier", images) for images in BATCHES]
    every[1].request.raw_input_contents[0] = b"short"
    found, sizes = while_one_slot_is_taken(runs, every)
    assert isinstance(found[1], InputError)
    assert [found[0], found[2]] == [runs.infer([every[i]], Call())[0] for i in (0, 2)]
    assert sizes == [1, 2, 1]
