"""The engine's sampled methods give the same numbers as the artefacts that run all at once."""

import threading

import numpy as np
import onnx
import pytest
from artefacts import artefact, run, value_of
from engine.nets import classifier, pictures, with_random_weights
from oracle import relative_error

from onnxplain.engine.arguments import CheckedChoices, to_options
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.engine.pictures.presets import parse
from onnxplain.graphops import METHODS, Method, check
from onnxplain.graphops.backward.context import Attribution
from onnxplain.graphops.errors import Cancelled, OptionError
from onnxplain.graphops.operators import GRADIENT
from onnxplain.graphops.options import SCORE_LAYER

MODEL = classifier()
PICTURES = pictures(2)
NOISY = ("smoothgrad", "smoothgrad_sq", "vargrad")
SAMPLED = (*NOISY, "integrated_gradients")
COUNTS = {"samples": 7, "noise_level": 0.2, "noise_seed": 5}
STEPS = {"steps": 9}


def own(method):
    """Return what the method takes besides."""
    return STEPS if method == "integrated_gradients" else COUNTS


def rows(model=MODEL):
    return np.stack(prepare(model, PICTURES, "unit").rows)


def all_at_once(model, layer, method, channels, shape, **options):
    """What the artefact gives for each image's channels, [images, units, ...]."""
    made = artefact(model, layer, method, **own(method), **options)
    noise = np.random.default_rng(COUNTS["noise_seed"])
    noise = noise.standard_normal((COUNTS["samples"], *shape), np.float32)
    given = {} if method == "integrated_gradients" else {"noise": noise}
    found = [run(made, x=rows(model), channel=np.array(c), **given) for c in np.transpose(channels)]
    return {name: np.stack([f[name] for f in found], axis=1) for name in found[0]}


def same_as_artefact(result, expected):
    assert relative_error(result.attribution, expected["attribution"]) < 1e-5
    np.testing.assert_allclose(result.score, expected["score"], rtol=1e-5)
    for name in ("position", "completeness_error"):
        value = getattr(result, name)
        assert (value is None) == (name not in expected)
        if value is not None:
            # The artefact sums in float32: the error's own digits are those of the score.
            digits = 2e-6 * max(1, np.abs(result.score).max())
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=digits)


@pytest.mark.parametrize("method", SAMPLED)
@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (None, {}),
        ("r2", {}),
        ("r2", {"position": "max", "seed_value": "activation"}),
    ],
)
def test_the_numbers_are_the_artefact_s(engine, tight, method, layer, options):
    units = [[4, 0]] * 2
    expected = all_at_once(MODEL, layer, method, units, (3, 17, 15), **options)
    for each in (engine, tight):
        result = each.explain(
            MODEL, PICTURES, layer, method, units[0], preprocess="unit", **own(method), **options
        )
        assert result.channels.tolist() == units
        same_as_artefact(result, expected)


@pytest.mark.parametrize("method", SAMPLED)
def test_from_a_tensor_inside_the_network(engine, method):
    shape = value_of(MODEL, "p1", x=rows()).shape[1:]
    expected = all_at_once(MODEL, "r2", method, [[1], [1]], shape, to="p1")
    result = engine.explain(
        MODEL, PICTURES, "r2", method, 1, to="p1", preprocess="unit", **own(method)
    )
    assert result.to == "p1"
    same_as_artefact(result, expected)


PAST = """
<ir_version: 8, opset_import: ["": 17]>
past (float[N, 3, H, W] x, float[3, 3, 1, 1] w) => (float[N, 3] y)
{ c = Conv (x, w) s = Sigmoid (c) p = Mul (s, x) g = GlobalAveragePool (p) y = Flatten (g) }
"""


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients"])
def test_what_goes_past_that_tensor_is_the_image_s(engine, method):
    model = with_random_weights(PAST)
    expected = all_at_once(model, "y", method, [[1], [1]], (3, 17, 15), to="s")
    result = engine.explain(
        model, PICTURES, "y", method, 1, to="s", preprocess="unit", **own(method)
    )
    same_as_artefact(result, expected)


FIXED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 17, 15] x, float[4, 3, 3, 3] w) => (float[N, 4] y)
{ c = Conv <pads = [1, 1, 1, 1]> (x, w)  r = Sigmoid (c)
  mixed = Transpose <perm = [1, 0, 2, 3]> (r) back = Transpose <perm = [1, 0, 2, 3]> (mixed)
  y = ReduceMax <axes = [2, 3], keepdims = 0> (back) }
"""


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("method", SAMPLED)
def test_a_fixed_batch_is_run_row_by_row(engine, batch, method):
    free = with_random_weights(FIXED)
    fixed = with_random_weights(FIXED.replace("float[N,", f"float[{batch},"))
    assert check(fixed, "r").batch == "fixed"
    choices = {"units": [3, 1], "preprocess": "unit", **own(method)}
    expected, found = (engine.explain(m, PICTURES, "r", method, **choices) for m in (free, fixed))
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)


def test_a_baseline_of_one_s_own(engine):
    dark = np.full((3, 17, 15), 0.25, np.float32)
    made = artefact(MODEL, None, "integrated_gradients")
    expected = run(made, x=rows(), channel=np.array([2, 2]), baseline=dark[None])
    for baseline in (dark, 0.25, (0.25, 0.25, 0.25), dark[:, :1, :1]):
        result = engine.explain(
            MODEL, PICTURES, None, "integrated_gradients", 2, preprocess="unit", baseline=baseline
        )
        assert relative_error(result.attribution[:, 0], expected["attribution"]) < 1e-5
    with pytest.raises(OptionError, match=r"baseline of shape \[4, 1, 1\]"):
        engine.explain(MODEL, PICTURES, method="integrated_gradients", baseline=np.zeros(4))
    with pytest.raises(OptionError, match="'gradient' takes no baseline"):
        engine.explain(MODEL, PICTURES, method="gradient", baseline=dark)


def test_a_baseline_of_one_number_for_each_channel(engine):
    ends = 0.1, 0.5, -0.2
    whole = np.broadcast_to(np.reshape(np.float32(ends), (3, 1, 1)), (3, 17, 15))
    for method in ("integrated_gradients", "deeplift", "occlusion"):
        one, other = (
            engine.explain(MODEL, PICTURES, None, method, 2, preprocess="unit", baseline=b)
            for b in (ends, whole)
        )
        np.testing.assert_array_equal(one.attribution, other.attribution)
    # Inside the network it is one for each channel of the tensor there.
    inside = engine.explain(
        MODEL, PICTURES, method="deeplift", to="r1", preprocess="unit", baseline=0.25
    )
    assert inside.completeness_error is not None


def test_the_completeness_error_is_kept(engine, tmp_path):
    result = engine.explain(
        MODEL, PICTURES, None, "integrated_gradients", "top:2", preprocess="unit", steps=3
    )
    zeros = value_of(MODEL, "scores", x=np.zeros((1, 3, 17, 15), np.float32))[0]
    change = result.score - zeros[result.channels]
    error = result.attribution.sum((2, 3, 4)) - change
    np.testing.assert_allclose(result.completeness_error, error, atol=1e-6)
    assert np.abs(error).max() > 1e-5
    result.save_npz(tmp_path / "result.npz")
    stored = np.load(tmp_path / "result.npz")["completeness_error"]
    np.testing.assert_array_equal(stored, result.completeness_error)
    assert engine.explain(MODEL, PICTURES, method="smoothgrad").completeness_error is None


def test_half_precision(engine):
    half = classifier("float16")
    for method in ("smoothgrad", "integrated_gradients"):
        exact, found = (
            engine.explain(m, PICTURES, "r2", method, 1, preprocess="unit", **own(method))
            for m in (MODEL, half)
        )
        assert relative_error(found.attribution, exact.attribution) < 0.05


def test_the_whole_layer(engine):
    whole = engine.explain(
        MODEL, PICTURES, "r2", "smoothgrad", "whole", preprocess="unit", **COUNTS
    )
    each = engine.explain(MODEL, PICTURES, "r2", "smoothgrad", "all", preprocess="unit", **COUNTS)
    assert whole.channels.tolist() == [[-1], [-1]]
    assert relative_error(whole.attribution[:, 0], each.attribution.sum(axis=1)) < 1e-4
    np.testing.assert_allclose(whole.score[:, 0], each.score.sum(axis=1), rtol=1e-4)
    whole.figure()


def test_inverse_starts_from_the_whole_layer_s_values(engine, tight):
    made = run(artefact(MODEL, "r2", "inverse"), x=rows())
    for each in (engine, tight):
        result = each.explain(MODEL, PICTURES, "r2", "inverse", preprocess="unit")
        assert result.channels.tolist() == [[-1], [-1]]
        np.testing.assert_allclose(result.attribution[:, 0], made["attribution"], rtol=1e-4)
        np.testing.assert_allclose(result.score[:, 0], made["score"], rtol=1e-5)
    single = engine.explain(MODEL, PICTURES, "r2", "inverse", [3], preprocess="unit")
    assert single.channels.tolist() == [[3], [3]]


def test_maps_lie_over_the_layer_that_is_named(engine, monkeypatch):
    """A method over a map: the signal starts at the class score, and stops at the layer."""

    def summed(walk):
        made = walk.op.ReduceSum(walk.back(), [1], keepdims=1)
        made.shape = [walk.path.target.shape[0], 1, *walk.path.target.shape[2:]]
        return Attribution(made)

    monkeypatch.setitem(METHODS, "summed", Method("summed", GRADIENT, compute=summed, over="map"))
    choices = {"units": [1, 4], "preprocess": "unit"}
    found = engine.explain(MODEL, PICTURES, "r1", "summed", **choices)
    assert (found.layer, found.to) == ("scores", "r1")
    assert found.attribution.shape == (2, 2, 1, 17, 15)
    plain = engine.explain(MODEL, PICTURES, None, "gradient", to="r1", **choices)
    expected = plain.attribution.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(found.attribution, expected, rtol=1e-4, atol=1e-7)
    takes = Method("summed", GRADIENT, summed, over="map", takes=(SCORE_LAYER,))
    monkeypatch.setitem(METHODS, "summed", takes)
    scored = engine.explain(MODEL, PICTURES, "r1", "summed", score_layer="r2", **choices)
    assert (scored.layer, scored.to) == ("r2", "r1")


def test_the_range_of_values_is_the_preprocessing_s():
    boxed = METHODS["lrp_epsilon_gamma_box"]
    prepared = prepare(MODEL, PICTURES, parse("imagenet"))
    options = to_options(CheckedChoices.of(boxed, {}), boxed, False, prepared)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(options.low, -mean / std, rtol=1e-5)
    np.testing.assert_allclose(options.high, (1 - mean) / std, rtol=1e-5)
    assert to_options(CheckedChoices(), METHODS["gradient"], False, prepared).low == ()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ([0], [9], ((0.0,), (9.0,))),
        (np.zeros(3), np.ones(3, np.float32), ((0.0,) * 3, (1.0,) * 3)),
        (0, 0.5, ((0.0,), (0.5,))),
        (0.0, 0.0, ((0.0,), (0.0,))),
    ],
)
def test_the_range_of_values_is_the_caller_s(low, high, expected):
    boxed = METHODS["lrp_epsilon_gamma_box"]
    prepared = prepare(MODEL, PICTURES, parse("imagenet"))
    options = to_options(
        CheckedChoices.of(boxed, {"low": low, "high": high}), boxed, False, prepared
    )
    assert (options.low, options.high) == expected


@pytest.mark.parametrize("kind", [np.array, tuple, list])
def test_a_range_of_values_may_be_an_array(engine, kind):
    low, high = kind([-2.5, -2.5, -2.5]), kind([2.5, 2.5, 2.5])
    method, choices = "lrp_epsilon_gamma_box", {"preprocess": "imagenet"}
    ranged = engine.explain(MODEL, PICTURES, "r2", method, low=low, high=high, **choices)
    single = engine.explain(MODEL, PICTURES, "r2", method, low=-2.5, high=2.5, **choices)
    np.testing.assert_array_equal(ranged.attribution, single.attribution)


@pytest.mark.parametrize(
    ("method", "count"), [("smoothgrad", "samples"), ("integrated_gradients", "steps")]
)
def test_the_caller_sees_the_passes_and_can_give_up_between_them(tight, method, count):
    cancel, seen, done = threading.Event(), [], []

    def passes(run, total):
        seen.append((run, total))
        if run == 3:
            cancel.set()

    with pytest.raises(Cancelled):
        tight.explain(
            MODEL, PICTURES, method=method, cancel=cancel, passes=passes,
            progress=lambda *p: done.append(p), **{count: 7},
        )  # fmt: skip
    assert seen == [(1, 7), (2, 7), (3, 7)]
    assert done == [(0, 2)]


def test_wrong_choices_are_named(engine):
    for wrong in ({"samples": 0}, {"noise_level": -1}):
        with pytest.raises(OptionError, match=next(iter(wrong)).split("_")[0]):
            engine.explain(MODEL, PICTURES, method="smoothgrad", **wrong)
    with pytest.raises(OptionError, match="steps"):
        engine.explain(MODEL, PICTURES, method="integrated_gradients", steps=0)
    with pytest.raises(OptionError, match="'smoothgrad' takes no steps"):
        engine.explain(MODEL, PICTURES, method="smoothgrad", steps=3)
    with pytest.raises(OptionError, match="no positions"):
        engine.explain(MODEL, PICTURES, method="smoothgrad", position="max")


def test_names_that_the_network_has_already_are_no_trouble(engine):
    taken = onnx.ModelProto()
    taken.CopyFrom(MODEL)
    taken.graph.input[0].name = taken.graph.node[0].input[0] = "seed"
    choices = {"method": "smoothgrad", "units": 1, "preprocess": "unit", **COUNTS}
    expected, found = (engine.explain(m, PICTURES, **choices) for m in (MODEL, taken))
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-5)
