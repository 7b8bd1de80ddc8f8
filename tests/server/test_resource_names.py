"""How the Open Inference Protocol's names of models map onto resource names, also at the edge."""

import pytest

from onnxplain.graphops.errors import InputError
from onnxplain.inference import open_inference_pb2 as pb
from onnxplain.server.edge.request_models import (
    VIEW,
    named_model,
    other_models,
    with_model,
    with_others,
)
from onnxplain.server.resource_names import model_resource
from onnxplain.v1 import explain_pb2

EXPLAIN = "/onnxplain.v1.ExplainService/Explain"
INFER = "/inference.GRPCInferenceService/ModelInfer"


@pytest.mark.parametrize(
    "name, version, resource",
    [
        ("pets", "", "models/pets"),
        ("pets", "3", "models/pets/versions/3"),
        ("models/pets", "3", "models/pets/versions/3"),
        ("models/pets/versions/3", "", "models/pets/versions/3"),
        ("models/pets/versions/3", "3", "models/pets/versions/3"),
        ("models", "", "models/models"),
        ("..", "", "models/.."),  # which no source has
    ],
)
def test_names(name, version, resource):
    assert model_resource(name, version) == resource


@pytest.mark.parametrize(
    "name, version",
    [
        ("", ""), ("a/b", ""), ("/pets", ""), ("models/", ""), ("models/pets/versions/", ""),
        ("pets", "1/2"), ("models/pets/versions/3", "2"), ("pets\n/x", ""),
        ("x" * 1000, ""), ("x", "1" * 1000),
    ],
)  # fmt: skip
def test_wrong_names(name, version):
    with pytest.raises(InputError):
        model_resource(name, version)


@pytest.mark.parametrize(
    "method, request_of",
    [
        (EXPLAIN, lambda: explain_pb2.ExplainRequest(model="models/pets", layer="x")),
        (INFER, lambda: pb.ModelInferRequest(model_name="pets", model_version="3", id="x")),
        (INFER, lambda: pb.ModelInferRequest(model_name="models/pets", id="x")),
    ],
    ids=["typed", "inference", "inference without version"],
)
def test_the_edge_replaces_the_name(method, request_of):
    """A name that is there twice counts once, the last one."""
    request = request_of()
    data = request.SerializeToString()
    assert named_model(method, data).startswith("models/pets")
    full = "models/pets/versions/3"
    changed = type(request).FromString(with_model(method, data, full))
    if method == EXPLAIN:
        assert (changed.model, changed.layer) == (full, "x")
    else:
        assert model_resource(changed.model_name, changed.model_version) == full
        assert changed.id == "x"


def test_the_edge_replaces_the_names_of_further_models():
    view = explain_pb2.TrainingView(earlier=["models/a", "models/b"], layer="x")
    data = explain_pb2.ViewRequest(model="models/c", training=view).SerializeToString()
    assert other_models(VIEW, data) == ["models/a", "models/b"]
    full = [f"models/{name}/versions/1" for name in "ab"]
    changed = explain_pb2.ViewRequest.FromString(with_others(data, full))
    assert (changed.model, changed.training.layer) == ("models/c", "x")
    assert list(changed.training.earlier) == full
    other = explain_pb2.ViewRequest(occlusion=explain_pb2.OcclusionView())
    assert other_models(VIEW, other.SerializeToString()) == []
    assert other_models(EXPLAIN, data) == []


def test_requests_without_a_model():
    assert named_model(EXPLAIN, b"") == named_model(INFER, b"") == ""
