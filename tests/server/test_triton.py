"""Stock tritonclient, in a process of its own: two copies of one proto clash in one."""

import json
import subprocess
import sys

import numpy as np
import pytest
from server.inference_requests import write_inference_models
from server.running import running

from onnxplain.engine import Engine
from onnxplain.server.worker.inference_parameters import PARAMETERS, RESERVED

PROGRAM = """
import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import TRITON_RESERVED_REQUEST_PARAMS as RESERVED

address, picture, folder = sys.argv[1:]
client = triton.InferenceServerClient(address)
pictures = np.load(picture)
image = triton.InferInput("image", pictures.shape, "FP32")
image.set_data_from_numpy(pictures)

plain = client.infer("classifier", [image], request_id="42", priority=1, timeout=10_000_000)
explained = client.infer(
    "classifier",
    [image],
    parameters={"method": "smoothgrad", "channel": "3,1", "samples": 2, "noise_level": 0.1},
    outputs=[triton.InferRequestedOutput(name) for name in ("attribution", "score", "channels")],
    client_timeout=30,
)
np.savez(
    folder + "/found.npz",
    probabilities=plain.as_numpy("probabilities"),
    **{name: explained.as_numpy(name) for name in ("attribution", "score", "channels")},
)
errors = {}
def failing(name, call):
    try:
        call()
    except triton.InferenceServerException as e:
        errors[name] = [e.status(), e.message()]

failing("method", lambda: client.infer("classifier", [image], parameters={"method": "gradiant"}))
failing("model", lambda: client.infer("classifer", [image]))
failing("extension", lambda: client.get_model_repository_index())
metadata = client.get_model_metadata("pets", "2", as_json=True)
print(json.dumps({
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model": client.is_model_ready("pets", "2"),
    "broken": client.is_model_ready("broken"),
    "server": client.get_server_metadata(as_json=True)["name"],
    "versions": metadata["versions"],
    "input": metadata["inputs"][0],
    "id": plain.get_response().id,
    "layer": explained.get_response().parameters["layer"].string_param,
    "reserved": sorted(RESERVED),
    "errors": errors,
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_inference_models(tmp_path_factory.mktemp("triton"))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def told(folder, pictures):
    np.save(folder / "pictures.npy", pictures)
    with running(folder) as address:
        command = [sys.executable, "-c", PROGRAM, address, folder / "pictures.npy", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_tritonclient_asks_for_the_state(told):
    assert told["live"] and told["ready"] and told["model"] and not told["broken"]
    assert told["server"] == "onnxplain"
    assert told["versions"] == ["2", "3"]
    assert told["input"] == {
        "name": "image", "datatype": "FP32", "shape": ["-1", "3", "16", "16"]
    }  # fmt: skip


def test_tritonclient_infers_and_explains(told, folder, pictures):
    engine = Engine("cpu")
    path = folder / "classifier.onnx"
    found = np.load(folder / "found.npz")
    own = engine.infer(path, {"image": pictures})
    np.testing.assert_array_equal(found["probabilities"], own["probabilities"])
    expected = engine.explain(
        path, pictures, None, "smoothgrad", [3, 1], samples=2, noise_level=0.1
    )
    for name in ("attribution", "score", "channels"):
        np.testing.assert_array_equal(found[name], getattr(expected, name))
    assert (told["id"], told["layer"]) == ("42", "score")


def test_tritonclient_gets_errors(told):
    status, text = told["errors"]["method"]
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert "no method 'gradiant' (nearest: 'gradient'" in text
    assert told["errors"]["model"][0] == "StatusCode.NOT_FOUND"
    assert told["errors"]["extension"][0] == "StatusCode.UNIMPLEMENTED"


def test_no_parameter_is_one_that_tritonclient_reserves(told):
    assert told["reserved"]
    assert not set(told["reserved"]) & set(PARAMETERS)
    assert all(RESERVED.fullmatch(name) for name in told["reserved"])
    assert not any(RESERVED.fullmatch(name) for name in PARAMETERS)
