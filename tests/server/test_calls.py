"""Every call of the service, over the wire, against the functions that it stands for."""

import hashlib
import io
import threading
import time

import grpc
import numpy as np
import onnx
import pytest
from grpc import StatusCode
from PIL import Image
from server.running import CLASSIFIER, model, pixels, running

from onnxplain.engine import Engine, Preprocess, bake_preprocess
from onnxplain.graphops import Options, check, layers, load, network, rewrite
from onnxplain.graphops.errors import Cancelled
from onnxplain.graphops.options import (
    BACKWARDS,
    LOWERINGS,
    POSITIONS,
    SEED_VALUES,
    SELECTS,
    TARGETS,
    UNPOOLS,
)
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc, tensors

MIB = 2**20
NO_PROXY = [("grpc.enable_http_proxy", 0)]


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def picture(*size, seed=0):
    return pb.Image(pixels=tensors.from_array(pixels(*size, seed=seed)))


def sizes(shape):
    return tuple(d.size if d.HasField("size") else d.name or None for d in shape)


def assert_same(response, expected):
    """Compare an ExplainResponse with an Explanation, exactly."""
    for name in ("attribution", "score", "channels", "position", "box", "probability"):
        values = getattr(expected, name)
        assert response.HasField(name) == (values is not None)
        if values is not None:
            np.testing.assert_array_equal(tensors.to_array(getattr(response, name)), values)
    assert (response.layer, response.to) == (expected.layer, expected.to)
    assert response.method == expected.method
    assert tuple(response.notes) == expected.notes
    assert tuple(response.labels) == expected.labels


def test_list_models(stub):
    found = {model.name: model for model in stub.ListModels(pb.ListModelsRequest()).models}
    assert list(found) == [
        f"models/{name}/versions/1" for name in ("any_size", "broken", "classifier", "heavy")
    ]
    assert "not an ONNX model" in found["models/broken/versions/1"].problem
    assert found["models/classifier/versions/1"].problem == ""


def test_get_model(stub, folder):
    model = stub.GetModel(pb.GetModelRequest(name="models/any_size"))
    assert model.name == "models/any_size/versions/1"
    assert model.size_bytes == (folder / "any_size.onnx").stat().st_size
    assert model.opset == 17
    assert [value.name for value in model.inputs] == ["image"]
    assert sizes(model.inputs[0].shape) == ("N", 3, "H", "W")
    assert model.outputs[0].data_type == "float32"


def test_list_layers(stub, folder):
    response = stub.ListLayers(pb.ListLayersRequest(model="models/classifier"))
    expected = layers(load(folder / "classifier.onnx"))
    assert [layer.tensor for layer in response.layers] == [layer.tensor for layer in expected]
    for got, layer in zip(response.layers, expected, strict=True):
        assert (got.node, got.operator, got.module) == (layer.node, layer.operator, layer.module)
        assert sizes(got.shape) == layer.shape
        assert got.data_type == layer.dtype
        assert (got.channel_axis if got.HasField("channel_axis") else None) == layer.channel_axis
        assert (got.channels if got.HasField("channels") else None) == layer.channels
        assert got.channel_axis_assumed == layer.channel_axis_assumed
        assert tuple(got.spatial_axes) == layer.spatial_axes
        assert tuple(got.marks) == layer.marks
        for name, numbers in (
            ("size", layer.receptive_field), ("stride", layer.stride), ("offset", layer.offset)
        ):  # fmt: skip
            said = [getattr(f, name) if f.HasField(name) else None for f in got.receptive_field]
            assert tuple(said) == (numbers or ())
    assert any(layer.receptive_field for layer in response.layers)


def test_list_layers_of_a_size(stub, folder):
    request = pb.ListLayersRequest(model="models/any_size", size=[20, 12])
    expected = layers(load(folder / "any_size.onnx"), (20, 12))
    found = stub.ListLayers(request).layers
    assert [sizes(got.shape) for got in found] == [layer.shape for layer in expected]
    products = [got.multiply_adds if got.HasField("multiply_adds") else None for got in found]
    assert products == [layer.arithmetic.multiply_adds for layer in expected]
    assert sum(products) > 0
    for size in ([20, 0], [20], [2**31, 2**31]):
        told = "picture of 20x0|2,147,483,648 exceeds 16,384|2 spatial axes"
        with pytest.raises(grpc.RpcError, match=told):
            stub.ListLayers(pb.ListLayersRequest(model="models/any_size", size=size))


def test_check(stub, folder):
    response = stub.Check(
        pb.CheckRequest(model="models/classifier", layer="r", unpool=pb.UNPOOL_SCATTER)
    )
    expected = check(load(folder / "classifier.onnx"), "r", unpool="scatter")
    assert response.ok
    assert (response.layer, response.method, response.to) == ("r", "deconvnet", "image")
    assert (response.opset, response.batch) == (expected.opset, expected.batch)
    assert [(n.node, n.operator, n.rule) for n in response.nodes] == [
        (n.node, n.operator, n.rule) for n in expected.nodes
    ]
    assert [n.lowering for n in response.nodes] == [""] * len(expected.nodes)


def test_check_of_a_lowering(stub, folder):
    request = pb.CheckRequest(model="models/classifier", method="gradient")
    request.lowering = pb.LOWERING_FAST
    expected = check(load(folder / "classifier.onnx"), None, "gradient", lowering="fast")
    assert [n.lowering for n in stub.Check(request).nodes] == [n.lowering for n in expected.nodes]
    assert any(n.lowering for n in expected.nodes)
    request.target = pb.TARGET_CUDA
    assert "nothing was measured there" in stub.Check(request).warnings[-1]


def test_rewrite_streams_a_model_in_pieces(stub, folder):
    parts = list(stub.Rewrite(pb.RewriteRequest(model="models/heavy", method="gradient")))
    data = b"".join(part.data for part in parts)
    expected = rewrite(load(folder / "heavy.onnx"), None, "gradient").SerializeToString()
    assert data == expected
    assert [len(part.data) for part in parts] == [MIB, len(data) - MIB]
    assert (parts[0].size, parts[0].sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (parts[1].size, parts[1].sha256) == (0, "")
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)


def test_rewrite_bakes_a_preprocessing_in(stub, folder):
    request = pb.RewriteRequest(model="models/classifier", bake_preprocess="signed")
    data = b"".join(part.data for part in stub.Rewrite(request))
    artefact = rewrite(load(folder / "classifier.onnx"))
    assert data == bake_preprocess(artefact, "signed").SerializeToString()
    assert onnx.load_from_string(data).graph.input[0].name == "pixels"


def test_rewrite_passes_its_options_on(stub, folder):
    parts = stub.Rewrite(
        pb.RewriteRequest(
            model="models/classifier",
            layer="p",
            method="guided_backprop",
            select=pb.SELECT_FIXED,
            channels=[3],
            position=pb.POSITION_MAX,
            seed_value=pb.SEED_VALUE_ACTIVATION,
            to="c",
            unpool=pb.UNPOOL_PORTABLE,
            channel_axis=1,
            keep_outputs=False,
            keep_shape=True,
            lowering=pb.LOWERING_FAST,
        )
    )
    options = Options(
        select="fixed",
        channels=(3,),
        position="max",
        seed_value="activation",
        to="c",
        unpool="portable",
        channel_axis=1,
        keep_outputs=False,
        keep_shape=True,
        lowering="fast",
    )
    expected = rewrite(load(folder / "classifier.onnx"), "p", "guided_backprop", options)
    assert b"".join(part.data for part in parts) == expected.SerializeToString()


@pytest.mark.parametrize(
    ("enum", "words"),
    [
        (pb.Select, SELECTS),
        (pb.Position, POSITIONS),
        (pb.SeedValue, SEED_VALUES),
        (pb.Unpool, UNPOOLS),
        (pb.Target, TARGETS),
        (pb.Backward, BACKWARDS),
        (pb.Lowering, LOWERINGS),
    ],
)
def test_the_enums_have_every_word_of_the_options(enum, words):
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    assert [name.removeprefix(prefix).lower() for name in enum.keys()[1:]] == list(words)


def test_explain_with_nothing_but_a_picture(stub, folder, engine):
    response = stub.Explain(pb.ExplainRequest(model="models/classifier", images=[picture()]))
    assert_same(response, engine.explain(folder / "classifier.onnx", [pixels()]))
    assert response.model == "models/classifier/versions/1"
    assert list(response.pictures) == []


def test_explain_with_everything(stub, folder, engine):
    request = pb.ExplainRequest(
        model="models/classifier/versions/1",
        images=[picture(), picture(20, 30, seed=1)],
        layer="r",
        method="guided_backprop",
        channels=pb.Channels(channels=[4, 0]),
        position=pb.POSITION_GIVEN,
        positions=tensors.from_array(np.array([5, 7])),
        seed_value=pb.SEED_VALUE_ACTIVATION,
        to="c",
        unpool=pb.UNPOOL_PORTABLE,
        channel_axis=1,
        preprocess=pb.Preprocess(height=16, width=16, mean=[1, 2, 3], std=[4], color="BGR"),
        labels=["a", "b"],
        return_pictures=True,
    )
    used = Preprocess(size=(16, 16), mean=(1, 2, 3), std=(4,), color="BGR")
    expected = engine.explain(
        folder / "classifier.onnx",
        [pixels(), pixels(20, 30, seed=1)],
        "r",
        "guided_backprop",
        [4, 0],
        position=(5, 7),
        seed_value="activation",
        to="c",
        unpool="portable",
        channel_axis=1,
        preprocess=used,
        labels=("a", "b"),
    )
    response = stub.Explain(request)
    assert_same(response, expected)
    for got, seen in zip(response.pictures, expected.pictures, strict=True):
        np.testing.assert_array_equal(tensors.to_array(got), seen)
    back = response.preprocess
    assert (back.height, back.width, back.crop, back.color) == (16, 16, "none", "BGR")
    assert (list(back.mean), list(back.std), back.scale) == ([1, 2, 3], [4], 1)


@pytest.mark.parametrize("axis", [1, 3, -1])
def test_explain_a_map_along_an_axis(stub, folder, engine, axis):
    own = {"score_layer": "r", "score_channel_axis": 2, "upsample": False}
    request = pb.ExplainRequest(
        model="models/classifier", images=[picture()], layer="c", method="grad_cam",
        channel_axis=axis, method_options=pb.MethodOptions(**own),
    )  # fmt: skip
    expected = engine.explain(
        folder / "classifier.onnx", [pixels()], "c", "grad_cam", channel_axis=axis, **own
    )
    assert_same(stub.Explain(request), expected)


def test_explain_an_encoded_picture_with_a_preset(stub, folder, engine):
    file = io.BytesIO()
    Image.fromarray(pixels(20, 30)).save(file, "PNG")
    request = pb.ExplainRequest(
        model="models/classifier",
        images=[pb.Image(encoded=file.getvalue())],
        preset="signed",
        top=3,
        labels=list("abcde"),
    )
    expected = engine.explain(
        folder / "classifier.onnx",
        file.getvalue(),
        units="top:3",
        preprocess="signed",
        labels=tuple("abcde"),
    )
    assert_same(stub.Explain(request), expected)


def test_explain_network_inputs(stub, folder, engine):
    batch = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    request = pb.ExplainRequest(
        model="models/classifier",
        images=[pb.Image(input=tensors.from_array(row)) for row in batch],
        method="gradient",
        all=True,
        return_pictures=True,
    )
    response = stub.Explain(request)
    expected = engine.explain(folder / "classifier.onnx", batch, method="gradient", units="all")
    assert_same(response, expected)
    assert not response.HasField("preprocess")
    assert list(response.pictures) == []


def test_explain_units_in_pieces_of_any_size(stub, folder, engine):
    # The first picture takes 1.1 MiB, and its projections 4.4 MiB each.
    request = pb.ExplainRequest(
        model="models/any_size",
        images=[picture(600, 640), picture(300, 320, seed=1)],
        channels=pb.Channels(channels=[2, 0]),
        return_pictures=True,
    )
    messages = list(stub.ExplainUnits(request))
    assert max(message.ByteSize() for message in messages) < MIB + 1024
    header = messages[0].header
    assert (header.model, header.layer, header.to) == ("models/any_size/versions/1", "y", "image")
    assert header.total == 4
    assert [m.note for m in messages if m.WhichOneof("part") == "note"] == list(
        engine.explain(folder / "any_size.onnx", pixels(600, 640)).notes
    )
    for image, size in enumerate([(600, 640), (300, 320)]):
        expected = engine.explain(folder / "any_size.onnx", pixels(*size, seed=image), units=[2, 0])
        seen = [
            m.picture.pixels
            for m in messages
            if m.WhichOneof("part") == "picture" and m.picture.image == image
        ]
        np.testing.assert_array_equal(tensors.join(seen), expected.pictures[0])
        for unit, channel in enumerate([2, 0]):
            parts = [
                m.unit
                for m in messages
                if m.WhichOneof("part") == "unit" and (m.unit.image, m.unit.unit) == (image, unit)
            ]
            assert len(parts) == (5, 2)[image]
            attribution = tensors.join(part.attribution for part in parts)
            np.testing.assert_array_equal(attribution, expected.attribution[0, unit])
            for part in parts:
                assert part.channel == channel
                assert part.score == expected.score[0, unit]
                assert list(part.position) == expected.position[0, unit].tolist()


def test_explain_refuses_what_one_message_cannot_hold(stub):
    request = pb.ExplainRequest(model="models/any_size", images=[picture(600, 640)])
    with pytest.raises(grpc.RpcError, match="call (explain_units|ExplainUnits)") as caught:
        stub.Explain(request)
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED


def test_pictures_count_towards_what_one_message_can_hold(stub):
    request = pb.ExplainRequest(
        model="models/any_size",
        images=[picture(540, 600)],
        return_pictures=True,  # 3.9 MB of projection and 1 MB of picture
    )
    with pytest.raises(grpc.RpcError, match="call (explain_units|ExplainUnits)"):
        stub.Explain(request)
    request.return_pictures = False
    assert stub.Explain(request).attribution.shape == [1, 1, 3, 540, 600]


def test_a_request_may_have_64_mib(stub):
    def images(count):
        return [pb.Image(encoded=bytes(MIB)) for _ in range(count)]

    with pytest.raises(grpc.RpcError) as caught:
        stub.Explain(pb.ExplainRequest(model="models/classifier", images=images(63)))
    assert "not a picture" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        stub.Explain(pb.ExplainRequest(model="models/classifier", images=images(64)))
    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED


ROW = tensors.from_array(np.zeros((3, 16, 16), np.float32))
SHORT = pb.Tensor(data_type=pb.DATA_TYPE_FLOAT, shape=[3, 16, 16], data=b"1234")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"images": []}, "images: empty"),
        ({"images": [picture(), pb.Image()]}, r"images\[1\]: set one of"),
        ({"images": [pb.Image(pixels=SHORT)]}, r"images\[0\]\.pixels: .* has 3072 bytes, not 4"),
        ({"images": [pb.Image(input=SHORT)]}, r"images\[0\]\.input: .* has 3072 bytes, not 4"),
        ({"images": [picture(), pb.Image(input=ROW)]}, "images: send either pictures or network"),
        (
            {"images": [pb.Image(input=tensors.from_array(pixels()))]},
            r"images of shape \[N, 16, 16, 3\] do not fit",
        ),
        (
            {
                "images": [
                    pb.Image(input=ROW),
                    pb.Image(input=tensors.from_array(np.zeros(3, np.float32))),
                ]
            },
            r"images\[1\]\.input: float32\[3\] differs",
        ),
        ({"unpool": 77}, "unpool: 77"),
        ({"position": 77}, "position: 77"),
        ({"seed_value": 77}, "seed_value: 77"),
        ({"position": pb.POSITION_GIVEN}, "positions: set them together"),
        ({"positions": tensors.from_array(np.array([1]))}, "positions: set them together"),
        ({"position": pb.POSITION_GIVEN, "positions": SHORT}, "positions: .* not 4"),
        ({"preset": "nonsense"}, "nonsense"),
        ({"preprocess": pb.Preprocess(color="CMYK")}, "CMYK"),
        ({"preprocess": pb.Preprocess(height=5)}, "size"),
        ({"method": "magic"}, "magic"),
        ({"top": -1}, "top:-1"),
        ({"channels": pb.Channels()}, "no units"),
        (
            {"layer": "r", "method": "grad_cam", "channel_axis": 4},
            "channel axis 4 is not an axis of 'r'",
        ),
        (
            {
                "layer": "r",
                "method": "grad_cam",
                "method_options": pb.MethodOptions(score_channel_axis=7),
            },
            "score channel axis 7 is not an axis",
        ),
    ],
)
def test_what_a_request_gets_wrong(stub, fields, told):
    fields = {"model": "models/classifier", "images": [picture()], **fields}
    with pytest.raises(grpc.RpcError, match=told) as caught:
        list(stub.ExplainUnits(pb.ExplainRequest(**fields)))
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "models/nowhere"}, StatusCode.NOT_FOUND),
        ({"model": "models/classifier/versions/7"}, StatusCode.NOT_FOUND),
        ({"model": "classifier"}, StatusCode.INVALID_ARGUMENT),
        ({"model": "models/broken"}, StatusCode.FAILED_PRECONDITION),
        ({"layer": "nowhere"}, StatusCode.NOT_FOUND),
        ({"channels": pb.Channels(channels=[5])}, StatusCode.OUT_OF_RANGE),
        ({"top": 6}, StatusCode.OUT_OF_RANGE),
    ],
)
def test_what_is_not_there(stub, fields, code):
    fields = {"model": "models/classifier", "images": [picture()], **fields}
    with pytest.raises(grpc.RpcError) as caught:
        stub.Explain(pb.ExplainRequest(**fields))
    assert caught.value.code() is code


TWO_INPUTS = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image, float[N, 3, 8, 8] other) => (float[N, 3, 8, 8] y)
{
    s = Add (image, other)
    y = Relu (s)
}
"""


def test_a_model_is_prepared_once_while_its_file_does_not_change(tmp_path, monkeypatch):
    prepared = []
    canonicalize = network.canonicalize
    monkeypatch.setattr(network, "canonicalize", lambda *a: prepared.append(a) or canonicalize(*a))
    path, name = tmp_path / "net.onnx", "models/net"

    def call_all():
        stub.ListLayers(pb.ListLayersRequest(model=name))
        stub.Check(pb.CheckRequest(model=name))
        list(stub.Rewrite(pb.RewriteRequest(model=name)))
        list(stub.Convolutionalize(pb.ConvolutionalizeRequest(model=name)))
        stub.Explain(pb.ExplainRequest(model=name, images=[picture()]))

    onnx.save(model(CLASSIFIER), path)
    with (
        running(tmp_path, in_process=True) as address,
        grpc.insecure_channel(address, NO_PROXY) as channel,
    ):
        stub = explain_pb2_grpc.ExplainServiceStub(channel)
        call_all()
        call_all()
        assert len(prepared) == 1
        onnx.save(model(CLASSIFIER, seed=1), path)
        call_all()
        assert len(prepared) == 2


def test_a_model_of_two_inputs_names_the_one_that_is_missing(tmp_path):
    onnx.save(onnx.parser.parse_model(TWO_INPUTS), tmp_path / "net.onnx")
    with running(tmp_path) as address, grpc.insecure_channel(address, NO_PROXY) as channel:
        stub = explain_pb2_grpc.ExplainServiceStub(channel)
        found = stub.ListLayers(pb.ListLayersRequest(model="models/net")).layers
        assert [layer.tensor for layer in found] == ["image", "other", "s", "y"]
        named = {"model": "models/net", "layer": "y", "to": "image", "method": "gradient"}
        assert stub.Check(pb.CheckRequest(**named)).ok
        data = b"".join(part.data for part in stub.Rewrite(pb.RewriteRequest(**named)))
        artefact = onnx.load_from_string(data)
        assert [v.name for v in artefact.graph.input] == ["image", "other", "channel"]
        with pytest.raises(grpc.RpcError, match=r"depends on 'other' .*`inputs`") as caught:
            stub.Explain(pb.ExplainRequest(**named, images=[picture(8, 8)]))
        assert caught.value.code() is StatusCode.INVALID_ARGUMENT


def test_the_place_of_a_file_is_not_told(stub, folder):
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListLayers(pb.ListLayersRequest(model="models/broken"))
    assert "'models/broken/versions/1' is not an ONNX model" in caught.value.details()
    assert str(folder) not in caught.value.details()


class Work:
    """Stands for an engine that is at work until it is told to stop."""

    def __init__(self):
        self.begun, self.stopped = threading.Event(), threading.Event()
        self.timeout = self.cancel = None

    def explain_units(self):
        self.begun.set()
        if self.cancel.wait(10):
            self.stopped.set()
        raise Cancelled("told to stop")
        yield


@pytest.fixture
def work(monkeypatch):
    work = Work()
    limited = Engine.limited

    def noted(self, timeout, cancel, *size):
        work.timeout, work.cancel = timeout, cancel
        return limited(self, timeout, cancel, *size)

    monkeypatch.setattr(Engine, "limited", noted)
    monkeypatch.setattr(Engine, "explain_units", lambda *a, **k: work.explain_units())
    return work


@pytest.mark.parametrize("name", ["Explain", "ExplainUnits"])
def test_a_client_that_goes_stops_the_work(stub_here, work, name):
    request = pb.ExplainRequest(model="models/classifier", images=[picture()])
    call = (
        stub_here.Explain.future(request) if name == "Explain" else stub_here.ExplainUnits(request)
    )
    assert work.begun.wait(5)
    assert work.timeout is None
    call.cancel()
    assert work.stopped.wait(5)


@pytest.mark.parametrize("name", ["Explain", "ExplainUnits"])
def test_the_deadline_reaches_the_work(stub_here, work, name):
    request = pb.ExplainRequest(model="models/classifier", images=[picture()])
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        answer = getattr(stub_here, name)(request, timeout=0.4)
        list(answer)
    assert time.monotonic() - begun < 5
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    assert 0 < work.timeout < 0.5
    assert work.stopped.wait(5)


def test_other_calls_go_on_while_the_engine_works(stub_here, work):
    request = pb.ExplainRequest(model="models/classifier", images=[picture()])
    call = stub_here.Explain.future(request)
    assert work.begun.wait(5)
    assert stub_here.GetModel(pb.GetModelRequest(name="models/classifier"), timeout=5).opset == 17
    call.cancel()
