"""The engine on networks of several inputs: which are demanded, and how their values are given."""

import numpy as np
import pytest
import torch
from artefacts import network
from exporters import export_by
from PIL import Image
from several_inputs import Metadata, Twins, gradients

from onnxplain.engine import Engine
from onnxplain.graphops.errors import OptionError, PictureError

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((3, 3, 12, 10)).astype(np.float32)
NUMBERS = RNG.standard_normal((3, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


@pytest.fixture(scope="module")
def metadata():
    net, given = Metadata().eval(), (torch.from_numpy(IMAGES), torch.from_numpy(NUMBERS))
    return net, export_by("dynamo", net, given, Metadata.names).SerializeToString()


@pytest.fixture(scope="module")
def twins():
    net, given = Twins().eval(), (torch.from_numpy(IMAGES), torch.from_numpy(IMAGES))
    return net, export_by("torchscript", net, given, Twins.names).SerializeToString()


@pytest.mark.parametrize("memory", [2**30, 1])
def test_every_unit_of_every_image_is_what_autograd_says(metadata, memory):
    net, model = metadata
    found = Engine("cpu", threads=1, memory_bytes=memory).explain(
        model, IMAGES, None, "gradient", "top:2", inputs={"numbers": NUMBERS}, to="all"
    )
    assert found.to == "image"
    assert list(found.others) == ["numbers"]
    for image in range(3):
        for unit, channel in enumerate(found.channels[image]):
            expected = gradients(net, (IMAGES, NUMBERS), lambda y, i=image, c=channel: y[i, c])
            attributions = (found.attribution, found.others["numbers"])
            for attribution, gradient in zip(attributions, expected, strict=True):
                np.testing.assert_allclose(attribution[image, unit], gradient[image], atol=1e-6)
    arrays = found.arrays()
    np.testing.assert_array_equal(arrays["attribution.numbers"], found.others["numbers"])


@pytest.mark.parametrize("to", ["image", "numbers"])
def test_integrated_gradients_of_one_input_hold_the_other_fixed(engine, metadata, to):
    """Their sum is the change of the score as that input alone goes to its baseline."""
    net, model = metadata
    found = engine.explain(
        model, IMAGES[:1], None, "integrated_gradients", 2, inputs={"numbers": NUMBERS[:1]},
        to=to, steps=200,
    )  # fmt: skip
    given = {"image": torch.from_numpy(IMAGES[:1]), "numbers": torch.from_numpy(NUMBERS[:1])}
    without = given | {to: torch.zeros_like(given[to])}
    with torch.no_grad():
        change = (net(**given) - net(**without))[0, 2].item()
    assert found.to == to
    np.testing.assert_allclose(found.attribution.sum(), change, rtol=2e-2, atol=1e-4)
    np.testing.assert_allclose(found.completeness_error, 0, atol=2e-3)


@pytest.mark.parametrize(
    "method", ["integrated_gradients", "smoothgrad", "vargrad", "deeplift", "occlusion"]
)
def test_a_method_of_one_input_is_refused_for_all(engine, metadata, method):
    """As `rewrite` and `check` refuse it: no input's attribution is left out silently."""
    with pytest.raises(OptionError, match="one input at a time|nothing but the picture"):
        engine.explain(
            metadata[1], IMAGES[:1], None, method, inputs={"numbers": NUMBERS[:1]}, to="all"
        )


def test_methods_of_many_runs_keep_the_further_input_of_the_image(engine, metadata):
    """Each image alone gives what it gives among others."""
    _, model = metadata
    for method, options in (
        ("smoothgrad", {"samples": 3}),
        ("occlusion", {"window": 4}),
        ("rise", {"masks": 6}),
        ("grad_cam", {}),
        ("deeplift", {}),
        ("activation", {}),
    ):
        every = engine.explain(
            model, IMAGES, None, method, (0, 3), inputs={"numbers": NUMBERS}, **options
        )
        for i in range(3):
            one = engine.explain(
                model, IMAGES[i], None, method, (0, 3), inputs={"numbers": NUMBERS[i]}, **options
            )
            np.testing.assert_allclose(one.attribution[0], every.attribution[i], atol=1e-5)
            np.testing.assert_allclose(one.score[0], every.score[i], atol=1e-5)


def test_one_value_serves_all_images(engine, metadata):
    _, model = metadata
    one = engine.explain(model, IMAGES, method="gradient", inputs={"numbers": NUMBERS[1]})
    same = np.repeat(NUMBERS[1:2], 3, axis=0)
    every = engine.explain(model, IMAGES, method="gradient", inputs={"numbers": same})
    np.testing.assert_array_equal(one.attribution, every.attribution)


def test_only_what_the_layer_depends_on_is_demanded(engine, metadata):
    _, model = metadata
    assert engine.explain(model, IMAGES, "relu_1", "gradient").attribution.shape[2:] == (3, 12, 10)
    alone = engine.explain(model, NUMBERS, "relu_2", "gradient", inputs={"image": IMAGES})
    assert alone.to == "numbers"
    with pytest.raises(OptionError, match=r"'numbers' \(float32 \[N, 5\]\).*--input numbers=FILE"):
        engine.explain(model, IMAGES)


def test_the_image_is_the_input_that_is_not_named(engine, twins):
    net, model = twins
    left, right = IMAGES[:1], IMAGES[1:2]
    expected = gradients(net, (left, right), lambda y: y[0, 1])
    found = engine.explain(model, right, None, "gradient", 1, inputs={"left": left})
    assert found.to == "right"
    np.testing.assert_allclose(found.attribution[0], expected[1], atol=1e-6)
    found = engine.explain(model, left, None, "gradient", 1, inputs={"right": right})
    assert found.to == "left"
    np.testing.assert_allclose(found.attribution[0], expected[0], atol=1e-6)


def test_further_pictures_are_preprocessed_as_the_images_are(engine, twins, tmp_path):
    _, model = twins
    pixels = RNG.integers(0, 256, (2, 12, 10, 3), np.uint8)
    Image.fromarray(pixels[1]).save(tmp_path / "right.png")
    given = {"right": tmp_path / "right.png"}
    found = engine.explain(model, pixels[0], None, "gradient", 1, inputs=given, preprocess="signed")
    values = [(2 / 255 * p.transpose(2, 0, 1)[None] - 1).astype(np.float32) for p in pixels]
    expected = engine.explain(model, values[0], None, "gradient", 1, inputs={"right": values[1]})
    np.testing.assert_allclose(found.attribution, expected.attribution, atol=1e-6)
    assert found.notes == ()


def test_an_npz_file_names_its_arrays_as_the_inputs(engine, metadata, tmp_path):
    _, model = metadata
    expected = engine.explain(model, IMAGES, method="gradient", inputs={"numbers": NUMBERS})
    np.savez(tmp_path / "both.npz", numbers=NUMBERS, image=IMAGES)
    found = engine.explain(model, tmp_path / "both.npz", method="gradient")
    np.testing.assert_array_equal(found.attribution, expected.attribution)
    for i in range(2):
        np.savez(tmp_path / f"{i}.npz", numbers=NUMBERS[i], image=IMAGES[i])
    several = engine.explain(model, [tmp_path / f"{i}.npz" for i in range(2)], method="gradient")
    np.testing.assert_allclose(several.attribution, expected.attribution[:2], atol=1e-7)
    assert several.names == ("0.npz", "1.npz")
    np.savez(tmp_path / "other.npz", a=IMAGES, b=NUMBERS)
    with pytest.raises(PictureError, match="'a', 'b', but not 'image'"):
        engine.explain(model, tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("inputs", "error", "match"),
    [
        ({"number": NUMBERS}, OptionError, r"no input 'number' \(nearest: 'numbers'"),
        ({"image": IMAGES, "numbers": NUMBERS}, OptionError, "every input is named"),
        ({"numbers": NUMBERS[:2]}, PictureError, "values for 2 images, and there are 3"),
        ({"numbers": NUMBERS[:, :4]}, PictureError, r"\[N, 4\].*\[N, 5\]"),
        ({"numbers": np.array(["a"] * 5)}, PictureError, "floats or integers"),
    ],
)
def test_wrong_values_are_named(engine, metadata, inputs, error, match):
    with pytest.raises(error, match=match):
        engine.explain(metadata[1], IMAGES, inputs=inputs)


@pytest.mark.parametrize("method", ["occlusion", "rise", "activation_maximisation"])
def test_methods_that_change_the_picture_explain_to_it_alone(engine, metadata, method):
    for to in ("numbers", "all"):
        with pytest.raises(OptionError, match=f"not to '{to}'"):
            engine.explain(metadata[1], IMAGES, method=method, inputs={"numbers": NUMBERS}, to=to)


def test_values_of_a_layer_take_further_inputs(engine, metadata):
    net, model = metadata
    with torch.no_grad():
        expected = net(torch.from_numpy(IMAGES), torch.from_numpy(NUMBERS)).numpy()
    found = np.stack(list(engine.values(model, IMAGES, inputs={"numbers": NUMBERS})))
    np.testing.assert_allclose(found, expected, atol=1e-6)


SCALED = """
<ir_version: 8, opset_import: ["": 17]>
scaled (float[N, 3, 8, 8] image, {kind} scale) => (float[N, 3, 8, 8] y)
{{ s = Cast <to = 1> (scale) y = Mul (image, s) }}
"""


@pytest.mark.parametrize(
    ("kind", "scale", "expected"),
    [
        ("float", 2.5, 2.5),
        ("float", np.float32(2.5), 2.5),
        ("int64[1]", 3, 3),
        ("float[8]", [0.5] * 8, 0.5),
        ("int32[8]", np.arange(8), np.arange(8.0)),
        ("float[N, 1, 1, 1]", np.float32([1, 2, 3]).reshape(3, 1, 1, 1), None),
    ],
)
def test_parameters_are_numbers_lists_or_arrays(engine, kind, scale, expected):
    """Of one number, of one for the axis, and of one for each image."""
    model = network(SCALED.format(kind=kind), ("image", "scale"))
    x = RNG.standard_normal((3, 3, 8, 8)).astype(np.float32)
    given = {"inputs": {"scale": scale}, "position": "all"}
    found = engine.explain(model, x, None, "gradient", 1, **given)
    wanted = np.zeros((3, 1, 3, 8, 8), np.float32)
    wanted[:, :, 1] = np.reshape([1, 2, 3], (3, 1, 1, 1)) if expected is None else expected
    np.testing.assert_allclose(found.attribution, wanted)


@pytest.mark.parametrize(("kind", "axes"), [("float", (1, 2)), ("float[8]", (1,))])
@pytest.mark.parametrize("to", ["scale", "all"])
def test_the_attribution_to_a_parameter_is_that_of_each_unit(engine, kind, axes, to):
    """In y = x · scale, that of a unit is the sum of x over what a number scales."""
    model = network(SCALED.format(kind=kind), ("image", "scale"))
    x = RNG.standard_normal((3, 3, 8, 8)).astype(np.float32)
    scale = np.full((8,) * (2 - len(axes)), 0.5, np.float32)
    choices = {"inputs": {"scale": scale}, "to": to, "position": "all"}
    found = engine.explain(model, x, None, "gradient", (0, 2), **choices)
    values = found.others["scale"] if to == "all" else found.attribution
    np.testing.assert_allclose(values, x[:, [0, 2]].sum(tuple(a + 1 for a in axes)), rtol=1e-4)
    if to == "scale":
        found = engine.explain(model, x, None, "integrated_gradients", (0, 2), **choices, steps=3)
        np.testing.assert_allclose(found.attribution, values / 2, rtol=1e-4)


@pytest.mark.parametrize(("image", "numbers"), [("1", "1"), ("N", "1"), ("1", "N"), ("N", "M")])
def test_batches_that_are_fixed_or_named_otherwise(engine, image, numbers):
    model = network(
        f'<ir_version: 8, opset_import: ["": 17]> two (float[{image}, 3, 8, 8] x, '
        f"float[{numbers}, 5] age, float[3, 4] v, float[5, 4] w) => (float[K, 4] y) "
        "{ m = ReduceMean <axes = [2, 3], keepdims = 0> (x) h = MatMul (m, v) "
        "g = MatMul (age, w) y = Mul (h, g) }",
        ("x", "age"),
    )
    x, age = IMAGES[:, :, :8, :8], NUMBERS
    found = engine.explain(model, x, None, "input_x_gradient", (0, 2), inputs={"age": age})
    np.testing.assert_allclose(found.attribution.sum((2, 3, 4)), found.score, atol=1e-5)


@pytest.mark.parametrize("units", [None, (0, 2)])
def test_probabilities_of_a_network_of_two_inputs(engine, units):
    model = network(
        '<ir_version: 8, opset_import: ["": 17]> gated (float[N, 3, 8, 8] image, float[N, 3] gate) '
        "=> (float[N, 3] p) "
        "{ g = GlobalAveragePool (image) f = Flatten (g) s = Mul (f, gate) p = Softmax (s) }",
        ("image", "gate"),
    )
    x, gate = (RNG.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 8, 8), (2, 3)))
    found = engine.explain(model, x, None, "gradient", units, inputs={"gate": gate})
    expected = torch.softmax(torch.from_numpy(x.mean((2, 3)) * gate), 1).numpy()
    wanted = np.take_along_axis(expected, found.channels, axis=1)
    np.testing.assert_allclose(found.probability, wanted, rtol=1e-5)
