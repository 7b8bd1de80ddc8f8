"""What padding changes when the example network slides.

Holds the numbers in docs/sliding-window.md; without padding there is no difference.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnxplain.engine import Preprocess
from onnxplain.graphops import convolutionalize, load, read_metadata

EXAMPLES = Path(__file__).parents[3] / "examples"
WINDOW, STRIDE, SHEETS = 64, 8, 4


@pytest.fixture(scope="module")
def shapes_data():
    spec = importlib.util.spec_from_file_location("shapes_data", EXAMPLES / "shapes_data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def probabilities(model, x):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    scores = session.run(None, {"image": x})[0].astype(np.float64)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_what_padding_changes(shapes_data):
    model = load(EXAMPLES / "shapes.onnx")
    twin = convolutionalize(model)
    about = json.loads(read_metadata(twin)["onnxplain.sliding"])
    assert about["window"] == [WINDOW, WINDOW]
    assert about["stride"] == [STRIDE, STRIDE]
    assert len(about["padded"]) == 8
    how = Preprocess.from_json(read_metadata(twin)["onnxplain.preprocess"])
    slid, single = [], []
    for seed in range(SHEETS):
        drawn, _, _ = shapes_data.draw_set(6, seed)
        sheet = np.concatenate([np.concatenate(drawn[:3], 1), np.concatenate(drawn[3:], 1)])
        x = how.values(sheet)[None]
        slid.append(probabilities(twin, x)[0])
        places = [
            (i * STRIDE, j * STRIDE) for i in range(slid[-1].shape[1]) for j in range(17)
        ]  # the sheet is 128 pixels high and 192 wide
        windows = np.stack([x[0, :, i : i + WINDOW, j : j + WINDOW] for i, j in places])
        single.append(probabilities(model, windows).T.reshape(slid[-1].shape))
    slid, single = np.stack(slid), np.stack(single)
    assert slid.shape == (SHEETS, 8, 9, 17)
    agree = slid.argmax(1) == single.argmax(1)
    whole = agree[:, ::8, ::8]  # the windows that hold one drawing
    largest = np.abs(slid - single).max(axis=1)
    found = {
        "agree": agree.mean(),
        "agree on whole drawings": whole.mean(),
        "largest difference": np.median(largest),
        "largest difference on whole drawings": np.median(largest[:, ::8, ::8]),
    }
    assert found == pytest.approx(
        {
            "agree": 0.62,
            "agree on whole drawings": 22 / 24,
            "largest difference": 0.23,
            "largest difference on whole drawings": 0.0,
        },
        abs=0.01,
    )
