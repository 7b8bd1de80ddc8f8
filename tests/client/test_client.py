"""The client against a service that runs, and against what a local run gives."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc import StatusCode
from PIL import Image
from server.running import pixels, running

from onnxplain.client import Client, ClientError
from onnxplain.engine import Engine, Preprocess
from onnxplain.graphops import Network, Options, layers, load, rewrite
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

ARRAYS = (
    "attribution", "score", "channels", "position", "box", "completeness_error", "probability",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def assert_same(result, expected):
    for name in ARRAYS:
        got, wanted = getattr(result, name), getattr(expected, name)
        assert (got is None) == (wanted is None), name
        if wanted is not None:
            np.testing.assert_array_equal(got, wanted)
            assert got.dtype == wanted.dtype, name
    for name in ("layer", "to", "method", "labels", "notes"):
        assert getattr(result, name) == getattr(expected, name)


def test_models(client):
    assert [(m.name, bool(m.problem)) for m in client.list_models()] == [
        ("models/any_size/versions/1", False),
        ("models/broken/versions/1", True),
        ("models/classifier/versions/1", False),
        ("models/heavy/versions/1", False),
    ]


@pytest.mark.parametrize(
    "name",
    ["classifier", "models/classifier", "classifier/versions/1", "models/classifier/versions/1"],
)
def test_a_name_with_or_without_its_prefix(client, name):
    assert client.model(name).name == "models/classifier/versions/1"


def test_layers(client, folder):
    expected = [layer.tensor for layer in layers(load(folder / "classifier.onnx"))]
    assert [layer.tensor for layer in client.layers("classifier")] == expected


def test_check(client):
    report = client.check("classifier", "p", "gradient", to="c", unpool="portable")
    assert report.ok
    assert (report.layer, report.method, report.to) == ("p", "gradient", "c")
    assert [node.unpool for node in report.nodes if node.operator == "MaxPool"] == ["portable"]
    assert not any(node.lowering for node in report.nodes)
    report = client.check("classifier", None, "gradient", lowering="fast")
    assert "row of the unit" in report.nodes[-1].lowering


def test_rewrite(client, folder):
    chosen = {"select": "fixed", "position": "max", "keep_outputs": False, "lowering": "fast"}
    data = client.rewrite("heavy", "c", "gradient", channels=[1], **chosen)
    options = Options(channels=(1,), **chosen)
    expected = rewrite(load(folder / "heavy.onnx"), "c", "gradient", options)
    assert data == expected.SerializeToString()


def test_the_class_score(client, folder):
    """What its numbers are, the output that it belongs to, and the evidence against a class."""
    report = client.check("classifier")
    (layer,) = [one for one in client.layers("classifier") if "class score" in one.marks]
    known = Network(folder / "classifier.onnx").class_score
    assert (report.quantity, list(report.other_outputs)) == (known.quantity, [])
    assert (layer.tensor, layer.output) == (known.tensor, known.output)
    assert not layer.HasField("output_offset")
    data = client.rewrite("classifier", method="gradient", negate=True)
    expected = rewrite(
        load(folder / "classifier.onnx"), method="gradient", options=Options(negate=True)
    )
    assert data == expected.SerializeToString()


def test_rewrite_with_a_methods_own_options(client, folder):
    data = client.rewrite("classifier", "p", "smoothgrad", samples=3, noise_seed=5, target="cuda")
    options = Options(samples=3, noise_seed=5, target="cuda")
    expected = rewrite(load(folder / "classifier.onnx"), "p", "smoothgrad", options)
    assert data == expected.SerializeToString()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("smoothgrad", {"samples": 4, "noise_level": 0.3, "noise_seed": 2}),
        ("integrated_gradients", {"steps": 6}),
        ("grad_cam", {"layer": "p", "upsample": False}),
        ("lrp_epsilon_plus", {}),
        ("inverse", {"layer": "c"}),
        ("occlusion", {"window": [4], "stride": [2, 3]}),
        ("rise", {"masks": 20, "resolution": 3, "keep": 0.4}),
        ("activation_maximisation", {"iterations": 3, "start": "picture", "jitter": 0}),
        ("gradient", {"layer": "c", "units": "whole"}),
    ],
)
def test_a_method_with_its_options_is_that_of_a_local_run(client, folder, engine, method, options):
    images = [pixels(), pixels(seed=1)]
    found = client.explain("classifier", images, method=method, **options)
    expected = engine.explain(folder / "classifier.onnx", images, method=method, **options)
    assert_same(found, expected)


def test_a_baseline(client, folder, engine):
    image, baseline = np.random.default_rng(0).standard_normal((2, 1, 3, 12, 12), np.float32)
    options = {"method": "integrated_gradients", "steps": 3, "baseline": baseline[0]}
    found = client.explain("any_size", image, **options)
    expected = engine.explain(folder / "any_size.onnx", image, **options)
    assert_same(found, expected)
    plain = client.explain("any_size", image, method="integrated_gradients", steps=3)
    assert not np.allclose(found.attribution, plain.attribution)


def test_an_option_that_no_method_takes(client):
    with pytest.raises(TypeError, match="sampels"):
        client.explain("classifier", pixels(), method="smoothgrad", sampels=3)


def test_the_shortest_explanation_is_that_of_a_local_run(client, folder, engine, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(pixels(20, 30)).save(path)
    result = client.explain("classifier", path)
    assert_same(result, engine.explain(folder / "classifier.onnx", path))
    assert result.model == "models/classifier/versions/1"
    assert result.pictures == ()


def test_every_option_is_that_of_a_local_run(client, folder, engine):
    images = [pixels(20, 30), pixels(16, 16, seed=1)]
    used = Preprocess((16, 16), "center", "BGR", (1.0, 2.0, 3.0), (4.0,), 1 / 255, 20, "bicubic")
    choices = {
        "position": np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
        "seed_value": "one",
        "to": "c",
        "unpool": "scatter",
        "channel_axis": 1,
        "labels": ("a", "b"),
    }
    expected = engine.explain(
        folder / "classifier.onnx", images, "r", "gradient", [5, 2], preprocess=used, **choices
    )
    fields = {name: getattr(used, name) for name in used.__dataclass_fields__}
    result = client.explain(
        "classifier", images, "r", "gradient", [5, 2], preprocess=fields, pictures=True, **choices
    )
    assert_same(result, expected)
    assert Preprocess(**result.preprocess) == expected.preprocess
    assert len(result.pictures) == 2
    for got, wanted in zip(result.pictures, expected.pictures, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_one_number_for_every_side_or_channel(client, folder, engine):
    """As the engine takes them: numbers, lists and arrays."""
    path = folder / "classifier.onnx"
    for method, options in (
        ("occlusion", {"window": 5, "stride": 3}),
        ("occlusion", {"window": (5, 4), "stride": np.array([3, 2])}),
        ("lrp_epsilon_gamma_box", {"low": -1, "high": 2.5}),
        ("lrp_epsilon_gamma_box", {"low": np.full(3, -1.0), "high": [2, 3, 4]}),
    ):
        result = client.explain("classifier", pixels(16, 16), None, method, **options)
        assert_same(result, engine.explain(path, pixels(16, 16), None, method, **options))
    with pytest.raises(ClientError, match="does not fit into a request"):
        client.explain("classifier", pixels(16, 16), None, "occlusion", window="wide")


def test_probabilities(client, folder, engine):
    result = client.explain("classifier", pixels(16, 16), method="gradient", units="all")
    assert result.probability.shape == (1, 5)
    np.testing.assert_allclose(result.probability.sum(), 1, rtol=1e-5)
    assert client.explain("classifier", pixels(16, 16), "r").probability is None


@pytest.mark.parametrize("units", [None, "top:3", "all", 4, [4, 0], np.array([1, 2])])
def test_units(client, folder, engine, units):
    result = client.explain("classifier", pixels(), "r", units=units)
    assert_same(result, engine.explain(folder / "classifier.onnx", pixels(), "r", units=units))


def test_every_source_of_pictures(client, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(pixels()).save(path)
    expected = client.explain("classifier", pixels()).attribution
    for source in (path, str(path), path.read_bytes(), [path], pixels()[None], [pixels()]):
        np.testing.assert_array_equal(client.explain("classifier", source).attribution, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_network_inputs(client, folder, engine, dtype):
    batch = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(dtype)
    result = client.explain("classifier", batch, method="gradient", pictures=True)
    assert_same(result, engine.explain(folder / "classifier.onnx", batch, method="gradient"))
    assert result.preprocess is None
    assert result.pictures == ()


def test_an_answer_larger_than_a_message(client, folder, engine):
    image = pixels(600, 640)
    calls = []
    result = client.explain(
        "any_size", image, units="all", progress=lambda *state: calls.append(state)
    )
    assert result.attribution.nbytes > 4 * 4 * 2**20
    assert_same(result, engine.explain(folder / "any_size.onnx", image, units="all"))
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_runs_of_one_unit_are_told(client):
    calls, steps = [], []
    found = client.explain(
        "classifier", pixels(), method="activation_maximisation", iterations=3,
        passes=lambda *state: calls.append(state), progress=lambda *state: steps.append(state),
    )  # fmt: skip
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert steps == [(0, 1), (1, 1)]
    calls.clear()
    drawn = client.view(
        "classifier", pixels(), "maps", methods=["activation_maximisation"], iterations=3,
        passes=lambda *state: calls.append(state),
    )  # fmt: skip
    assert calls == [(1, 3), (2, 3), (3, 3)]
    np.testing.assert_array_equal(drawn.arrays["attribution"], found.attribution)


def test_pictures_whose_sizes_differ_fit_no_array(client):
    with pytest.raises(ClientError, match="the pictures differ in size") as caught:
        client.explain("any_size", [pixels(8, 8), pixels(8, 9)])
    assert caught.value.kind == "PictureError"
    result = client.explain("any_size", [pixels(8, 8), pixels(8, 9)], preprocess={"size": (8, 8)})
    assert result.attribution.shape == (2, 1, 3, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("nowhere", pixels()), StatusCode.NOT_FOUND, "MissingModel"),
        (("broken", pixels()), StatusCode.FAILED_PRECONDITION, "CorruptModel"),
        (("classifier", "nowhere.png"), StatusCode.NOT_FOUND, "MissingFile"),
        (("classifier", b"no picture"), StatusCode.INVALID_ARGUMENT, "PictureError"),
        (("classifier", []), StatusCode.INVALID_ARGUMENT, "InputError"),
        (("classifier", np.zeros((1, 3, 4, 4))), StatusCode.INVALID_ARGUMENT, "PictureError"),
        (("classifier", np.zeros((1, 2), complex)), StatusCode.INVALID_ARGUMENT, "PictureError"),
        (("classifier", pixels(), "nowhere"), StatusCode.NOT_FOUND, "UnknownLayer"),
        (("classifier", pixels(), "r", "magic"), StatusCode.INVALID_ARGUMENT, "UnknownMethod"),
        (("classifier", pixels(), "r", "gradient", 6), StatusCode.OUT_OF_RANGE, "ChannelError"),
        (
            ("classifier", pixels(), "r", "gradient", "best"),
            StatusCode.INVALID_ARGUMENT,
            "OptionError",
        ),
        (
            ("classifier", pixels(), "r", "gradient", "top:0"),
            StatusCode.INVALID_ARGUMENT,
            "OptionError",
        ),
    ],
)
def test_what_a_caller_gets_wrong(client, arguments, code, kind):
    with pytest.raises(ClientError) as caught:
        client.explain(*arguments)
    assert (caught.value.code, caught.value.kind) == (code, kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{"units": [2**70]}, {"units": f"top:{2**70}"}, {"channel_axis": 2**40}, {"layer": "\ud800"}],
)
def test_what_no_message_can_hold(client, arguments):
    with pytest.raises(ClientError) as error:
        client.explain("classifier", pixels(), **arguments)
    assert error.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("option", ["unpool", "position", "seed_value", "preprocess"])
def test_a_word_that_an_option_does_not_have(client, option):
    with pytest.raises(ClientError, match="magic") as caught:
        client.explain("classifier", pixels(), **{option: "magic"})
    assert (caught.value.code, caught.value.kind) == (StatusCode.INVALID_ARGUMENT, "OptionError")


def test_preprocessing_of_unknown_keys(client):
    with pytest.raises(ClientError, match="preprocess: .*gamma"):
        client.explain("classifier", pixels(), preprocess={"gamma": 2})


def test_a_service_that_is_not_there():
    with (
        Client("127.0.0.1:1") as client,
        pytest.raises(ClientError, match=r"^no service can be reached at 127\.0\.0\.1:1") as caught,
    ):
        client.list_models()
    assert (caught.value.code, caught.value.kind) == (StatusCode.UNAVAILABLE, "ServiceError")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", "127.0.0.1"])
def test_an_address_without_a_port(address):
    with pytest.raises(ClientError, match="write HOST:PORT") as caught:
        Client(address)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


def test_a_service_that_goes_away(folder):
    with running(folder) as address:
        client = Client(address)
        client.list_models()
    with client, pytest.raises(ClientError, match=f"no service can be reached at {address}"):
        client.list_models()


def test_a_proxy_is_not_for_this_machine(address, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with Client(address) as client:
        assert client.list_models()


def test_a_request_over_64_mib(client):
    with pytest.raises(ClientError, match="send fewer or smaller images") as caught:
        client.explain("classifier", [bytes(2**20)] * 64)
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


class Damaged(explain_pb2_grpc.ExplainServiceServicer):
    """A service whose answers are damaged on the way, or never come."""

    def Rewrite(self, request, context):
        yield pb.RewriteResponse(data=b"a model", size=7, sha256="0" * 64)

    def ExplainUnits(self, request, context):
        part = next(tensors.split(np.zeros((3, 600, 600), np.float32)))
        yield pb.ExplainUnitsResponse(header=pb.ExplainHeader(total=1))
        yield pb.ExplainUnitsResponse(unit=pb.UnitPart(attribution=part))

    def Check(self, request, context):
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(10)
        return pb.CheckResponse()


@pytest.fixture
def damaged():
    server = grpc.server(ThreadPoolExecutor(2))
    explain_pb2_grpc.add_ExplainServiceServicer_to_server(Damaged(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_damage_is_noticed(damaged):
    with Client(damaged) as client:
        with pytest.raises(ClientError, match="arrived damaged"):
            client.rewrite("classifier")
        with pytest.raises(ClientError, match="the response is damaged") as caught:
            client.explain("classifier", pixels())
    assert caught.value.code is StatusCode.DATA_LOSS


def test_a_call_that_takes_too_long(damaged):
    with (
        Client(damaged, timeout=0.2) as client,
        pytest.raises(ClientError, match=r"no answer within 0\.2 seconds") as caught,
    ):
        client.check("classifier")
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED


def test_a_call_that_the_service_does_not_know(damaged):
    with Client(damaged) as client, pytest.raises(ClientError, match="or an older version"):
        client.list_models()


def test_the_client_needs_no_runtime():
    program = (
        "import sys, onnxplain.client;"
        "print({'onnx', 'onnxruntime', 'PIL', 'onnxplain.graphops'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
