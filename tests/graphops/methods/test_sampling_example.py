"""Sampled methods on the example network, and their artefacts with nothing of this project."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from artefacts import artefact, run, session
from oracle import relative_error

from onnxplain.engine import Engine
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.graphops import load

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_completeness_on_the_example_network():
    """The error at each picture's top class is under one per cent of f(x) − f(baseline).

    So it is with 200 steps at each of the sixteen, and with 50 for them together. At single ones a
    kink between two of 50 steps can leave up to 2 %, which the engine then says.
    """
    model = load(EXAMPLES / "shapes.onnx")
    files = sorted((EXAMPLES / "pictures").glob("*.png"))
    x = np.stack(prepare(model, files).rows)
    assert len(x) == 16
    made = session(artefact(model, None, "integrated_gradients", select="predicted"))
    points, weights = np.polynomial.legendre.leggauss(200)
    more = {"alpha": np.float32((points + 1) / 2), "weight": np.float32(weights / 2)}

    def completeness(row, **feeds):
        found = run(made, image=row[None], **feeds)
        error = float(found["completeness_error"][0])
        return error, found["attribution"].sum(dtype=np.float64) - error

    errors, changes = np.transpose([completeness(row) for row in x])
    assert np.abs(errors).sum() < 0.01 * np.abs(changes).sum()
    for name, row in zip(files, x, strict=True):
        error, change = completeness(row, **more)
        assert abs(error) < 0.01 * abs(change), name
    incomplete = np.flatnonzero(np.abs(errors) >= 0.01 * np.abs(changes))
    assert incomplete.size  # else this page and docs/methods.md say too little
    explained = Engine("cpu")
    for number in (incomplete[0], np.abs(errors / changes).argmin()):
        notes = explained.explain(model, files[number], method="integrated_gradients").notes
        assert any("take more steps" in note for note in notes) == (number in incomplete)


ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("onnxplain", "onnx", "onnx_graphsurgeon"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
name, rng = session.get_inputs()[0].name, np.random.default_rng(7)
rows = rng.random((3, 3, 64, 64), np.float32)
feeds = {name: rows, "channel": np.array([0, 1, 2])}
together = session.run(["attribution"], feeds)[0]
assert not any(m.startswith("onnxplain") for m in sys.modules)
np.save(sys.argv[2], together)
"""


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("smoothgrad", {"samples": 8}),
        ("integrated_gradients", {"steps": 8}),
        ("grad_cam", {}),
        ("lrp", {}),
    ],
)
def test_an_artefact_runs_with_nothing_of_this_project(tmp_path, method, options):
    model = load(EXAMPLES / "shapes.onnx")
    file, result = tmp_path / "artefact.onnx", tmp_path / "result.npy"
    made = artefact(model, None, method, **options)
    onnx.save(made, file)
    command = [sys.executable, "-c", ALONE, str(file), str(result)]
    subprocess.run(command, check=True, timeout=60)
    found = np.load(result)
    rows = np.random.default_rng(7).random((3, 3, 64, 64), np.float32)
    for i in range(3):
        alone = run(made, **{model.graph.input[0].name: rows[i : i + 1]}, channel=np.array([i]))
        np.testing.assert_allclose(found[i], alone["attribution"][0], rtol=1e-3, atol=1e-6)
    best = run(model, **{model.graph.input[0].name: rows})["scores"][0].argmax()
    same_class = run(made, **{model.graph.input[0].name: rows}, channel=np.array([best] * 3))
    first, second, _ = same_class["attribution"]
    assert relative_error(first, second) > 0.01
