"""Preprocessing baked into an artefact: the same attributions as `explain`, from 8-bit pictures."""

import json

import numpy as np
import onnx
import pytest
from artefacts import network, run
from engine.nets import classifier, pictures
from PIL import Image

from onnxplain.engine import PRESETS, Engine, Preprocess, bake_preprocess
from onnxplain.engine.pictures import prepare
from onnxplain.graphops import Network, Options, load, read_metadata, rewrite
from onnxplain.graphops.errors import OptionError, UnsupportedModel

SIZE = (17, 15)
PICTURES = pictures(3, *SIZE)
GREY = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 1, H, W] x, float[4, 1, 3, 3] w, float[4, 5] d) => (float[N, 5] y)
{ c = Conv (x, w) r = Relu (c) g = GlobalAveragePool (r) f = Flatten (g) s = MatMul (f, d)
  y = Softmax <axis = 1> (s) }
"""
CHANNELS_LAST = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 17, 15, 3] x, float[4, 3, 3, 3] w, float[4, 5] d) => (float[N, 5] y)
{ t = Transpose <perm = [0, 3, 1, 2]> (x) c = Conv (t, w) r = Relu (c) g = GlobalAveragePool (r)
  f = Flatten (g) s = MatMul (f, d) y = Softmax <axis = 1> (s) }
"""
ONE_IMAGE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[CHANNELS, 17, 15] x, float[4, CHANNELS, 3, 3] w, float[4, 5] d) => (float[1, 5] y)
{ first = Constant <value_ints = [0]> () one = Unsqueeze (x, first) c = Conv (one, w) r = Relu (c)
  g = GlobalAveragePool (r) f = Flatten (g) s = MatMul (f, d) y = Softmax <axis = 1> (s) }
"""
TWO_INPUTS = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 17, 15] left, float[N, 3, 17, 15] right, float[4, 3, 3, 3] w, float[4, 3, 3, 3] v)
    => (float[N, 4] y, float[N, 4] z)
{ a = Conv (left, w) y1 = GlobalAveragePool (a) y = Flatten (y1)
  b = Conv (right, v) r = Relu (b) z1 = GlobalAveragePool (r) z = Flatten (z1) }
"""


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


def baked(model, preprocess, layer=None, method="gradient", **options):
    made = bake_preprocess(rewrite(model, layer, method, Options(**options)), preprocess)
    onnx.checker.check_model(made, full_check=True)
    return made


def net(channels=3, dtype="float", batch=None):
    model = network(GREY.replace("float", dtype)) if channels == 1 else classifier(dtype)
    if batch is not None:
        dim = model.graph.input[0].type.tensor_type.shape.dim
        for i, size in enumerate((batch, channels, *SIZE)):
            dim[i].dim_value = size
    return model


def network_input(made, name, **feeds):
    """Return what the graph computes of the pixels as the network's input."""
    value = next(v for v in made.graph.value_info if v.name == name)
    cut = onnx.ModelProto()
    cut.CopyFrom(made)
    cut.graph.output.append(value)
    return run(cut, optimized=False, **feeds)[name]


def channels_of(preset):
    return 1 if preset.startswith("gray") else 3


CHOICES = [*PRESETS, "raw_bgr,mean=104:117:123,std=58:57:56", "gray,mean=0.13,std=0.31"]


@pytest.mark.parametrize("preset", CHOICES)
@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_the_network_s_input_is_exactly_explain_s(preset, dtype):
    model = net(channels_of(preset), dtype)
    made = baked(model, preset)
    prepared = prepare(model, PICTURES, preset)
    expected = np.stack(prepared.rows)
    pixels = np.stack(PICTURES if expected.shape[2:] == SIZE else prepared.pictures)
    found = network_input(made, "x", pixels=pixels, channel=np.zeros(3, np.int64))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_grey_is_rounded_as_pillow_does():
    model = net(1)
    levels = np.arange(0, 256, 5, dtype=np.uint8)  # every fifth level of each color, and the last
    colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(52, 52 * 52, 3)
    expected = np.asarray(Image.fromarray(colors).convert("L"), np.float32)[None, None]
    feeds = {"pixels": colors[None], "channel": np.zeros(1, np.int64)}
    np.testing.assert_array_equal(network_input(baked(model, "gray_raw"), "x", **feeds), expected)


@pytest.mark.parametrize("preset", ["imagenet", "caffe", "signed", "raw", "gray"])
@pytest.mark.parametrize("method", ["gradient", "deconvnet", "grad_cam", "input_x_gradient", "lrp"])
def test_the_attribution_is_explain_s(engine, preset, method):
    model = net(channels_of(preset))
    made = baked(model, preset, method=method)
    expected = engine.explain(model, PICTURES, None, method, [2], preprocess=preset)
    found = run(made, pixels=np.stack(PICTURES), channel=np.full(3, 2))
    np.testing.assert_allclose(found["attribution"], expected.attribution[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found["score"], expected.score[:, 0], rtol=1e-6)


@pytest.mark.parametrize("preset", ["imagenet", "gray"])
def test_of_integrated_gradients(engine, preset):
    """The engine adds the same points in another order; the artefact can be explained itself."""
    model = net(channels_of(preset))
    plain = rewrite(model, None, "integrated_gradients")
    expected = engine.explain(
        model, PICTURES, None, "integrated_gradients", [2], preprocess=preset
    ).attribution
    bound = 1e-5 * np.abs(expected).max()
    made = bake_preprocess(plain, preset)
    found = run(made, pixels=np.stack(PICTURES), channel=np.full(3, 2))["attribution"]
    np.testing.assert_allclose(found, expected[:, 0], rtol=0, atol=bound)
    for artefact, how in ((made, None), (plain, preset)):
        found = engine.explain(
            artefact, PICTURES, None, "integrated_gradients", [2], preprocess=how
        ).attribution
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("select", ["channel", "pairs", "fixed", "predicted"])
def test_of_every_select_and_precision(engine, select, dtype):
    model = net(3, dtype)
    options = {"channels": (4, 1)} if select == "fixed" else {}
    made = baked(model, "imagenet", select=select, backward="float32", **options)
    feeds = {"channel": np.array([3, 0, 3])} if select == "channel" else {}
    if select == "pairs":
        feeds = {"channel": np.array([3, 0, 1]), "image_index": np.array([2, 0, 2])}
    found = run(made, pixels=np.stack(PICTURES), **feeds)["attribution"]
    explained = engine.explain(model, PICTURES, None, "gradient", "all", preprocess="imagenet")
    by_channel = [
        dict(zip(row.tolist(), maps, strict=True))
        for row, maps in zip(explained.channels, explained.attribution, strict=True)
    ]
    top = engine.explain(model, PICTURES, None, "gradient", preprocess="imagenet").channels[:, 0]
    wanted = {
        "channel": [(0, 3), (1, 0), (2, 3)],
        "pairs": [(2, 3), (0, 0), (2, 1)],
        "fixed": [(i, c) for i in range(3) for c in (4, 1)],
        "predicted": list(enumerate(top)),
    }[select]
    for result, (image, channel) in zip(found, wanted, strict=True):
        np.testing.assert_allclose(result, by_channel[image][int(channel)], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("keep_shape", [True, False], ids=["fixed", "freed"])
def test_of_a_network_of_a_fixed_batch(engine, keep_shape):
    model = net(batch=1)
    made = baked(model, "imagenet", keep_shape=keep_shape)
    dims = [d.dim_value or d.dim_param for d in made.graph.input[0].type.tensor_type.shape.dim]
    assert dims == [1 if keep_shape else "N", *SIZE, 3]
    expected = engine.explain(model, PICTURES, None, "gradient", [2], preprocess="imagenet")
    for count in (1,) if keep_shape else (1, 3):
        found = run(made, pixels=np.stack(PICTURES[:count]), channel=np.full(count, 2))
        np.testing.assert_allclose(found["attribution"], expected.attribution[:count, 0], rtol=1e-6)


CASES = {
    "channels first": (net, "imagenet"),
    "channels last": (lambda: network(CHANNELS_LAST), "caffe"),
    "grey": (lambda: net(1), "gray"),
    "half": (lambda: net(3, "float16"), "caffe"),
    "one image": (lambda: network(ONE_IMAGE.replace("CHANNELS", "3")), "caffe"),
    "one grey image": (lambda: network(ONE_IMAGE.replace("CHANNELS", "1")), "gray"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("layer", [None, "c", "r"])
@pytest.mark.parametrize("method", ["gradient", "input_x_gradient", "grad_cam", "smoothgrad"])
def test_explain_of_the_artefact_is_that_of_the_network(engine, case, layer, method):
    make, preset = CASES[case]
    model = make()
    layer = f"{layer}1" if layer and case in ("channels first", "half") else layer
    made = baked(model, preset, layer, "deconvnet")
    expected = engine.explain(model, PICTURES, layer, method, "top:2", preprocess=preset)
    found = engine.explain(made, PICTURES, layer, method, "top:2")
    assert (found.layer, found.to, found.notes) == (expected.layer, expected.to, expected.notes)
    np.testing.assert_array_equal(found.channels, expected.channels)
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("select", ["pairs", "fixed", "predicted", "seed"])
def test_explain_of_artefacts_of_every_select(engine, select):
    model = net()
    options = {"channels": (4, 1)} if select == "fixed" else {}
    made = baked(model, "signed", select=select, **options)
    expected = engine.explain(model, PICTURES, None, "gradient", preprocess="signed")
    found = engine.explain(made, PICTURES, None, "gradient")
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-6)


def test_the_metadata_says_what_is_baked_and_what_is_left():
    how = Preprocess(SIZE, "center", "BGR", (1.0, 2.0, 3.0), (4.0,), 0.5)
    metadata = read_metadata(baked(net(), how))
    assert Preprocess.from_json(metadata["onnxplain.baked_preprocess"]) == how
    left = Preprocess.from_json(metadata["onnxplain.preprocess"])
    assert left == Preprocess(SIZE, "center")
    plain = read_metadata(baked(net(), "imagenet,crop=none"))
    assert Preprocess.from_json(plain["onnxplain.preprocess"]) == PRESETS["raw"]


@pytest.mark.parametrize("preset", ["imagenet", "torchvision", "unit,size=30x20"])
def test_a_picture_of_another_size_is_fitted_as_before(engine, preset):
    model, (picture,) = net(), pictures(1, 40, 23)
    expected = engine.explain(model, picture, None, "gradient", preprocess=preset)
    found = engine.explain(baked(model, preset), picture, None, "gradient")
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-6)


def test_the_pixels_name_gets_the_prefix_where_the_network_uses_it(engine):
    model = network(GREY.replace(" x", " pixels").replace("(x", "(pixels"), inputs=("pixels",))
    made = baked(model, "gray")
    assert [v.name for v in made.graph.input] == ["onnxplain_pixels", "channel"]
    assert json.loads(read_metadata(made)["onnxplain.renamed"]) == {"pixels": "onnxplain_pixels"}
    expected = engine.explain(model, PICTURES, None, "gradient", preprocess="gray")
    found = engine.explain(made, PICTURES, None, "gradient")
    np.testing.assert_array_equal(found.attribution, expected.attribution)


def test_of_several_inputs_the_one_that_the_layer_needs():
    made = baked(network(TWO_INPUTS, ("left", "right")), "unit", "r")
    assert [v.name for v in made.graph.input] == ["left", "pixels", "channel"]
    right = np.stack(prepare(net(batch=1), PICTURES, "unit").rows)
    feeds = {"left": right, "channel": np.full(3, 1)}
    plain = rewrite(network(TWO_INPUTS, ("left", "right")), "r", "gradient")
    expected = run(plain, right=right, **feeds)
    found = run(made, pixels=np.stack(PICTURES), **feeds)
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])


def test_a_network_can_be_baked_too(engine):
    model = network(GREY)
    made = bake_preprocess(model, "gray")
    assert [v.name for v in model.graph.input] == ["x"]
    assert Network(made).class_score == Network(model).class_score
    expected = engine.explain(model, PICTURES, preprocess="gray")
    np.testing.assert_array_equal(engine.explain(made, PICTURES).attribution, expected.attribution)


def test_the_artefact_survives_a_file(tmp_path):
    onnx.save(baked(net(), "imagenet"), tmp_path / "baked.onnx")
    assert load(tmp_path / "baked.onnx").graph.input[0].name == "pixels"


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        ("gray", "makes 1 channels, and the input 'x' takes 3: choose another color"),
        ("imagenet,size=224x224", "makes pictures of 224x224, and the input 'x' takes 17x15"),
        ("imagnet", "no preprocessing 'imagnet'"),
    ],
)
def test_what_does_not_fit_is_refused(preprocess, message):
    with pytest.raises(OptionError, match=message):
        baked(net(batch=1), preprocess)


def test_a_network_of_integers_has_its_own_preprocessing():
    model = baked(net(), "imagenet")
    with pytest.raises(UnsupportedModel, match="the input 'pixels' takes no floats"):
        bake_preprocess(model, "raw")


def test_a_network_of_no_pictures_is_refused():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 9] x, float[9, 4] w) => (float[N, 4] y) { y = MatMul (x, w) }
    """
    with pytest.raises(UnsupportedModel, match=r"the input 'x' .* takes no pictures"):
        baked(network(text), "raw")
