"""View, Evaluate and Convolutionalize, over the wire, against the functions that they stand for."""

import dataclasses
import io
import time
from dataclasses import replace

import grpc
import numpy as np
import onnx
import pytest
from grpc import StatusCode
from PIL import Image
from server.running import FLAT, model, pixels, running

from onnxplain.client import Client, ClientError
from onnxplain.client.views import ViewParts
from onnxplain.engine import VIEWS, Engine, Preprocess
from onnxplain.engine.drawing import Style
from onnxplain.engine.views import Covered
from onnxplain.graphops import convolutionalize, load
from onnxplain.graphops.errors import Cancelled
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

PICTURES = [pixels(seed=seed) for seed in range(3)]
UNIT = {"mean": (0.5,), "scale": 1 / 255}
LABELS = list("abcde")


@pytest.fixture
def client(address):
    with Client(address) as client:
        yield client


@pytest.fixture
def client_here(address_here):
    with Client(address_here) as client:
        yield client


ASKED = {
    "maps": (
        PICTURES,
        {
            "methods": ["gradient", "smoothgrad"],
            "units": "top:2",
            "samples": 3,
            "names": ["x", "y", "z"],
        },
    ),
    "top": (PICTURES, {"layer": "r", "channels": [4, 1], "count": 2, "names": ["x", "y", "z"]}),
    "invariance": (PICTURES[:1], {"layers": ["r", "score"], "class_index": 3}),
    "occlusion": (PICTURES[:1], {"layer": "r", "channel": 2, "window": 6, "stride": 5}),
    "slide": ([pixels(40, 24)], {"channel": 2, "size": (16, 16)}),
    "training": (PICTURES[:1], {"layer": "r", "units": [3, 0], "method": "gradient"}),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_that_of_a_local_run(client, folder, view):
    shown, options = ASKED[view]
    steps = []
    there = {"earlier": ["classifier"]} if view == "training" else {}
    found = client.view(
        "classifier", shown, view, preprocess=UNIT, labels=LABELS,
        progress=lambda *step: steps.append(step), **options, **there,
    )  # fmt: skip
    model = str(folder / "classifier.onnx")
    if view == "training":
        model, options = (
            [model, model],
            {**options, "names": ["classifier/versions/1"] * 2},
        )
    expected = VIEWS[view](
        Engine("cpu"), model, shown if view in ("maps", "top") else shown[0],
        preprocess=Preprocess(**UNIT), labels=LABELS, **options,
    )  # fmt: skip
    arrays = expected.arrays()
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].shape == array.shape, name
    if view != "training":  # whose names in the drawing a local run takes from files
        assert found.png == expected.png()
    assert found.notes == expected.notes
    assert found._repr_png_() == found.png
    assert steps
    assert all(done <= total for done, total in steps)


@pytest.mark.parametrize(("channels", "shape"), [("top:3", 3), ("all", 6), ([5], 1), (None, 6)])
def test_images_that_cannot_be_read_are_skipped(client, folder, channels, shape):
    """As in a local run; by a name where they have one."""
    file = io.BytesIO()
    Image.fromarray(PICTURES[0]).save(file, "PNG")
    given = [b"no picture", file.getvalue()]
    options = {"layer": "r", "names": ["a/bad.tif", "b.png"]}
    found = client.view("classifier", given, "top", preprocess=UNIT, channels=channels, **options)
    expected = VIEWS["top"](
        Engine("cpu"), str(folder / "classifier.onnx"), given, preprocess=Preprocess(**UNIT),
        channels=channels, **options,
    )  # fmt: skip
    assert found.arrays["channels"].shape == (shape,)
    np.testing.assert_array_equal(found.arrays["channels"], expected.arrays()["channels"])
    assert found.arrays["skipped"].tolist() == ["a/bad.tif"]
    assert found.notes == expected.notes
    assert found.notes[-1].endswith("1 of 2 pictures could not be read and were skipped: a/bad.tif")


def test_a_view_is_saved(client, tmp_path):
    found = client.view("classifier", PICTURES[0], "maps", methods=["gradient"], preprocess=UNIT)
    found.save(tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes() == found.png
    found.save_npz(tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz", allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["attribution"], found.arrays["attribution"])


STARTS = {"png": b"\x89PNG\r\n", "pdf": b"%PDF-", "svg": b"<?xml", "jpg": b"\xff\xd8\xff"}
OCCLUSION = {"layer": "r", "channel": 2, "window": 6, "stride": 5}
STYLE = {"dpi": 90, "width": 4.0, "cmap": "viridis", "alpha": 0.5, "title": False, "at": "network"}


@pytest.mark.parametrize("form", STARTS)
def test_a_view_is_drawn_as_a_local_run_saves_it(client, folder, tmp_path, form):
    """In every format and style, byte for byte, and its panels too."""
    found = client.view(
        "classifier", PICTURES[0], "occlusion", preprocess=UNIT, labels=LABELS, format=form,
        panels=True, **OCCLUSION, **STYLE,
    )  # fmt: skip
    assert found.format == form
    assert found.drawing.startswith(STARTS[form])
    expected = VIEWS["occlusion"](
        Engine("cpu"), str(folder / "classifier.onnx"), PICTURES[0], preprocess=Preprocess(**UNIT),
        labels=LABELS, **OCCLUSION,
    )  # fmt: skip
    expected.save(tmp_path / f"here.{form}", **STYLE)
    found.save(tmp_path / f"there.{form}")
    there = (tmp_path / f"there.{form}").read_bytes()
    assert there == found.drawing == (tmp_path / f"here.{form}").read_bytes()
    plain = client.view("classifier", PICTURES[0], "occlusion", preprocess=UNIT, **OCCLUSION)
    assert plain.format == "png"
    assert plain.panels == {}
    assert plain.drawing != there

    here = expected.save_panels(tmp_path / "here", form, **STYLE)
    files = found.save_panels(tmp_path / "there")
    assert [path.name for path in files] == [path.name for path in here] == list(found.panels)
    assert len(files) == 3
    for path, other in zip(files, here, strict=True):
        assert path.parent == tmp_path / "there"
        assert path.read_bytes() == other.read_bytes()


def test_a_drawing_larger_than_a_message(client, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 600, 3), np.uint8)
    found = client.view(
        "any_size", noise, "occlusion", preprocess=UNIT, window=300, panels=True, width=30,
        dpi=100, title=True,
    )  # fmt: skip
    assert len(found.drawing) > 2**20
    assert found.save_panels(tmp_path)
    sizes = []
    for data in (found.drawing, *found.panels.values()):
        with Image.open(io.BytesIO(data)) as image:
            image.load()  # complete
            sizes.append(image.width)
    assert sizes[0] == 3000


def test_a_file_has_the_format_that_was_drawn(client, tmp_path):
    found = client.view(
        "classifier", PICTURES[0], "occlusion", preprocess=UNIT, format="svg", **OCCLUSION
    )
    with pytest.raises(ClientError, match="drew a svg file, and .* ask for .* format='pdf'"):
        found.save(tmp_path / "map.pdf")
    with pytest.raises(ClientError, match="does not end in .svg"):
        found.save(tmp_path / "map")
    with pytest.raises(ClientError, match="format='png'"):
        _ = found.png
    with pytest.raises(ClientError, match="panels=True"):
        found.save_panels(tmp_path)
    assert found._repr_png_() is None
    assert list(tmp_path.iterdir()) == []
    drawn = client.view(
        "classifier", PICTURES[0], "occlusion", preprocess=UNIT, format="jpg", **OCCLUSION
    )
    drawn.save(tmp_path / "map.JPEG")
    assert (tmp_path / "map.JPEG").read_bytes() == drawn.drawing


@pytest.mark.parametrize(
    ("drawing", "text"),
    [
        ({"format": "gif"}, "no format 'gif': choose png, pdf, svg or jpg"),
        ({"dpi": 10**6}, "dpi: 1,000,000 exceeds 2,400"),
        ({"dpi": -1}, "dpi is -1"),
        ({"width": -2.0}, "width is -2.0"),
        ({"width": float("nan")}, "width: nan exceeds 200"),
        ({"width": 1e300}, "width: 1e.300 exceeds 200"),
        ({"width": 100.0, "dpi": 300}, "million pixels"),
        ({"width": 60.0, "dpi": 250}, "the service draws up to 64 million"),
        ({"format": "pdf", "width": 60.0, "dpi": 250}, "the service draws up to 64 million"),
        ({"cmap": "no_map"}, "no colour map 'no_map'"),
        ({"alpha": 2.0}, "alpha is 2.0"),
        ({"columns": 0}, "columns is 0"),
        ({"at": "sea"}, "at is 'sea'"),
        ({"dpi": "many"}, "does not fit into a request"),
    ],
)
def test_a_drawing_that_the_service_refuses(client, drawing, text):
    with pytest.raises(ClientError, match=text) as caught:
        client.view("classifier", PICTURES[0], "occlusion", preprocess=UNIT, **OCCLUSION, **drawing)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


def test_the_drawing_s_fields_are_those_of_a_figure():
    """What is not set is left to the engine."""
    fields = pb.Drawing.DESCRIPTOR.fields_by_name
    assert set(fields) == {field.name for field in dataclasses.fields(Style)} | {"format", "panels"}
    assert all(fields[field.name].has_presence for field in dataclasses.fields(Style))


def test_names_of_panels_stay_in_the_folder(tmp_path):
    files = [("../outside.png", b"x"), ("/etc/inside.png", b"y"), ("/etc/inside.png", b"z")]
    stream = [pb.ViewResponse(panel=pb.NamedFile(name=name, data=data)) for name, data in files]
    parts = ViewParts(None, None)
    for message in stream:
        parts.add(message)
    view = parts.result()
    assert view.panels == {"outside.png": b"x", "inside.png": b"yz"}
    view.save_panels(tmp_path / "panels")
    assert {path.parent for path in tmp_path.rglob("*.png")} == {tmp_path / "panels"}


def test_a_drawing_of_several_pages(client_here, folder, tmp_path, monkeypatch):
    """A PDF file has them all; of other formats each page is a file, as of a local run."""

    def pages(self, style):
        page = self.page(style)
        return [replace(page, title=f"page {number}") for number in range(1, 4)]

    monkeypatch.setattr(Covered, "pages", pages)
    local = VIEWS["occlusion"](
        Engine("cpu"), str(folder / "classifier.onnx"), PICTURES[0], preprocess=Preprocess(**UNIT),
        **OCCLUSION,
    )  # fmt: skip
    for form, count in (("png", 3), ("svg", 3), ("pdf", 1)):
        found = client_here.view(
            "classifier", PICTURES[0], "occlusion", preprocess=UNIT, format=form, **OCCLUSION
        )
        assert len(found.further) == count - 1
        there = found.save(tmp_path / f"there.{form}")
        here = local.save(tmp_path / f"here.{form}")
        assert len(there) == count
        for one, other in zip(there, here, strict=True):
            assert one.name.replace("there", "here") == other.name
            assert one.read_bytes() == other.read_bytes()
    assert len({one.read_bytes() for one in tmp_path.glob("there-*.svg")}) == 3


def test_an_array_larger_than_a_message(client, folder):
    picture = pixels(700, 600)
    options = {"methods": ["gradient"], "layer": "y", "units": [0]}
    found = client.view("any_size", picture, "maps", preprocess=UNIT, **options)
    expected = VIEWS["maps"](
        Engine("cpu"), str(folder / "any_size.onnx"), picture, preprocess=Preprocess(**UNIT),
        **options,
    )  # fmt: skip
    assert expected.attribution.nbytes > 4 * 2**20
    np.testing.assert_array_equal(found.arrays["attribution"], expected.attribution)


@pytest.mark.parametrize(
    ("view", "images", "options", "code", "text"),
    [
        ("top", PICTURES, {"layer": "r", "count": 0}, StatusCode.INVALID_ARGUMENT, "count of 0"),
        ("top", PICTURES, {"layer": "r", "channels": []}, StatusCode.INVALID_ARGUMENT, "channels"),
        ("top", PICTURES, {"layer": "r", "channels": "top:7"}, StatusCode.OUT_OF_RANGE, "top:6"),
        ("top", PICTURES, {"channels": "whole"}, StatusCode.INVALID_ARGUMENT, "no channels 'wh"),
        ("top", [b"a", b"b"], {}, StatusCode.INVALID_ARGUMENT, "none of the 2 pictures can be"),
        (
            "top",
            PICTURES,
            {"channels": [1], "all": True},
            StatusCode.INVALID_ARGUMENT,
            "channels, all, top: set only one",
        ),
        ("top", PICTURES, {"layer": "r", "channels": [9]}, StatusCode.OUT_OF_RANGE, "channel 9"),
        ("invariance", PICTURES[:1], {}, StatusCode.INVALID_ARGUMENT, "no layers"),
        ("occlusion", PICTURES, {}, StatusCode.INVALID_ARGUMENT, "takes one, not 3"),
        ("occlusion", PICTURES[0], {"layer": "q"}, StatusCode.NOT_FOUND, "no layer 'q'"),
        ("occlusion", PICTURES[0], {"window": 0}, StatusCode.INVALID_ARGUMENT, "window of 0"),
        ("slide", PICTURES[0], {"size": (16, 0)}, StatusCode.INVALID_ARGUMENT, "neither"),
        (
            "maps",
            PICTURES[0],
            {"methods": ["rise"], "resolution": 2**40},
            StatusCode.INVALID_ARGUMENT,
            "resolution: 1,099,511,627,776 exceeds 256",
        ),
        (
            "maps",
            PICTURES[0],
            {"methods": ["integrated_gradients"], "steps": 20000},
            StatusCode.INVALID_ARGUMENT,
            "steps: 20,000 exceeds 1,000",
        ),
        (
            "maps",
            PICTURES[0],
            {"methods": ["smoothgrad"], "noise_seed": -1},
            StatusCode.INVALID_ARGUMENT,
            "noise seed -1",
        ),
        (
            "maps",
            PICTURES[0],
            {"methods": ["activation_maximisation"], "blur": 1e5},
            StatusCode.INVALID_ARGUMENT,
            "blur: 100000 exceeds 100",
        ),
        ("maps", PICTURES[0], {"steps": 3}, StatusCode.INVALID_ARGUMENT, "takes no steps"),
        ("maps", np.zeros((1, 3, 16, 16), np.float32), {}, StatusCode.INVALID_ARGUMENT, "inputs"),
        ("maps", [], {}, StatusCode.INVALID_ARGUMENT, "images: empty"),
        ("training", PICTURES[0], {"earlier": ["no"]}, StatusCode.NOT_FOUND, "no model 'no'"),
        ("heat", PICTURES[0], {}, StatusCode.INVALID_ARGUMENT, "no view 'heat'"),
    ],
)
def test_what_a_caller_gets_wrong(client, view, images, options, code, text):
    with pytest.raises(ClientError, match=text) as caught:
        client.view("classifier", images, view, preprocess=UNIT, **options)
    assert caught.value.code is code


def test_an_option_that_the_view_does_not_have(client):
    with pytest.raises(TypeError, match="'count'; 'occlusion' takes"):
        client.view("classifier", PICTURES[0], "occlusion", count=3)


def test_a_request_for_no_view(stub):
    image = pb.Image(pixels=tensors.from_array(PICTURES[0]))
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.View(pb.ViewRequest(model="models/classifier", images=[image])))
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert "set one of maps, top, training" in caught.value.details()


def test_the_deadline_reaches_a_view(stub):
    image = pb.Image(pixels=tensors.from_array(pixels(300, 300)))
    request = pb.ViewRequest(
        model="models/any_size", images=[image], occlusion=pb.OcclusionView(window=1, stride=1)
    )
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.View(request, timeout=0.5))
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 5


def test_a_client_that_goes_stops_a_view(stub_here, folder, monkeypatch):
    """The engine, which every step of a view asks, is told so."""
    stops = []
    original = Engine.stop
    monkeypatch.setattr(
        Engine, "stop", lambda self, *a: stops.append(original(self, *a)) or stops[-1]
    )
    image = pb.Image(pixels=tensors.from_array(pixels(60, 60)))
    request = pb.ViewRequest(
        model="models/any_size", images=[image], occlusion=pb.OcclusionView(window=1, stride=1)
    )
    call = stub_here.View(request)
    assert next(call).WhichOneof("part") == "progress"
    call.cancel()
    deadline = time.monotonic() + 10
    while not is_cancelled(stops[-1]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    count = len(stops)
    time.sleep(0.5)
    assert len(stops) <= count + 1  # no step follows


def is_cancelled(stop):
    """Tell whether the work that asks `stop` must end."""
    try:
        stop.check()
    except Cancelled:
        return True
    return False


def test_evaluate(client, folder):
    masks = [np.where(p > 127, 255, 0).astype(np.uint8) for p in PICTURES]
    asked = ["gradient", "occlusion"]
    there, here = [], []
    found = client.evaluate(
        "classifier", PICTURES, asked, masks=masks, randomize=1, preprocess=UNIT,
        progress=lambda *step: there.append(step),
    )  # fmt: skip
    expected = Engine("cpu").evaluate(
        str(folder / "classifier.onnx"), PICTURES, asked, masks=masks, randomize=1,
        preprocess=Preprocess(**UNIT), progress=lambda *step: here.append(step),
    )  # fmt: skip
    layers = len(expected[0].randomization)
    total = 3 * (2 * len(PICTURES) + layers)  # maps, curves, and one for each layer
    assert there == here == [(done, total) for done in range(total + 1)]
    assert [one.method for one in found] == ["gradient", "occlusion", "random"]
    for one, wanted in zip(found, expected, strict=True):
        for name in ("deletion", "insertion", "randomization"):
            np.testing.assert_array_equal(getattr(one, name), getattr(wanted, name))
        for name in ("deletion_area", "insertion_area", "pointing", "mass"):
            assert getattr(one, name) == getattr(wanted, name)
    plain = client.evaluate("classifier", PICTURES[:1], ["gradient"], preprocess=UNIT)[0]
    assert not plain.HasField("pointing")
    assert not plain.HasField("mass")
    assert not plain.randomization
    with pytest.raises(ClientError, match="2 masks for 3"):
        client.evaluate("classifier", PICTURES, asked, masks=masks[:2], preprocess=UNIT)


def test_evaluate_names_the_methods_that_refuse(tmp_path):
    onnx.save(model(FLAT), tmp_path / "flat.onnx")
    with running(tmp_path) as address, Client(address) as client:
        found = client.evaluate("flat", PICTURES[:1], ["grad_cam", "gradient"], preprocess=UNIT)
        with pytest.raises(ClientError, match="layer"):
            client.evaluate("flat", PICTURES[:1], ["grad_cam"], preprocess=UNIT)
    assert [one.method for one in found] == ["gradient", "random"]
    expected = Engine("cpu").evaluate(model(FLAT), PICTURES[:1], ["grad_cam", "gradient"],
        preprocess=Preprocess(**UNIT),
    )  # fmt: skip
    assert found.refused == expected.refused


def test_convolutionalize(client, folder):
    made = client.convolutionalize("classifier")
    assert made == convolutionalize(load(folder / "classifier.onnx")).SerializeToString()
    onnx.checker.check_model(onnx.load_from_string(made), full_check=True)
    with pytest.raises(ClientError, match="neither") as caught:
        client.convolutionalize("classifier", (16, 0))
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("method", "options", "text"),
    [
        ("smoothgrad", {"samples": 5000}, "samples: 5000 exceeds"),
        ("integrated_gradients", {"steps": 20000}, "steps: 20,000 exceeds"),
    ],
)
def test_rewrites_are_bounded_too(client, method, options, text):
    with pytest.raises(ClientError, match=text) as caught:
        client.rewrite("classifier", None, method, **options)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT
