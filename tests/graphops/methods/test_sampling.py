"""smoothgrad, smoothgrad_sq, vargrad and integrated_gradients against Captum, and by themselves.

The bound is the design's: the median relative error over five random inputs is at most 1e-4, or
three times that of Captum in PyTorch's own float32.
"""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from artefacts import DENSE, SMALL, artefact, images, network, run, session, value_of
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from nets import ALL, build, export
from oracle import relative_error

from onnxplain.graphops import check
from onnxplain.graphops.errors import OptionError, UnsupportedModel
from onnxplain.graphops.options import Options

NOISY = ("smoothgrad", "smoothgrad_sq", "vargrad")
SAMPLED = (*NOISY, "integrated_gradients")
SAMPLES, LEVEL, STEPS, INPUTS = 6, 0.1, 12, 5


@pytest.mark.parametrize("method", SAMPLED)
@pytest.mark.parametrize(
    ("family", "layer", "options"),
    [
        ("resnet", "classifier", {}),
        ("resnet", "layer2", {"position": "max", "seed_value": "activation"}),
        ("inception", "classifier", {}),
        ("inception", "mixed1", {}),
    ],
)
def test_captum(family, layer, options, method):
    model = exported(family)
    counts = {"samples": SAMPLES, "noise_level": LEVEL}
    counts = {"steps": STEPS} if method == "integrated_gradients" else counts
    made = session(artefact(model, layer, method, **counts, **options))
    errors, bounds = [], []
    for seed in range(INPUTS):
        x, channel = images(2, ALL[family].size, seed=seed), np.array([seed, 3])
        noise = np.random.default_rng(seed).standard_normal((SAMPLES, *x.shape[1:]), np.float32)
        given = {} if method == "integrated_gradients" else {"noise": noise}
        found = run(made, x=x, channel=channel, **given)["attribution"]
        exact, single = (
            np.concatenate([
                captum(family, layer, method, options, row[None], int(c), noise, dtype)
                for row, c in zip(x, channel, strict=True)
            ])
            for dtype in (torch.float64, torch.float32)
        )  # fmt: skip
        errors.append(relative_error(found, exact))
        bounds.append(relative_error(single, exact))
    assert np.median(errors) <= max(1e-4, 3 * np.median(bounds))


@cache
def exported(family):
    return export(family)


def captum(family, layer, method, options, x, channel, noise, dtype):
    """Return what Captum makes of one image, with that noise in place of its own."""
    net = build(family).to(dtype)
    x = torch.tensor(x).to(dtype)

    def values(rows):
        seen = []
        handle = net.get_submodule(layer).register_forward_hook(lambda m, i, y: seen.append(y))
        net(rows)
        handle.remove()
        return seen[0]

    clean = values(x).detach()
    cotangent = torch.zeros_like(clean)
    cotangent[:, channel] = 1
    if options:  # at the strongest place, with its activity
        unit = clean[0, channel]
        cotangent[0, channel] = torch.where(unit == unit.max(), unit, 0)

    def score(rows):
        return (cotangent * values(rows)).flatten(1).sum(1)

    if method == "integrated_gradients":
        found = IntegratedGradients(score).attribute(x, n_steps=STEPS)
    else:
        deviation = LEVEL * float(x.max() - x.min())
        given = torch.tensor(noise).to(dtype)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "normal", lambda mean, deviations: given * deviations)
            found = NoiseTunnel(Saliency(score)).attribute(
                x, nt_type=method, nt_samples=SAMPLES, stdevs=deviation, abs=False
            )
    return found.detach().numpy()


MIDDLE = np.float32([[[[0.5]], [[-1.0]], [[0.0]], [[2.0]], [[1.0]], [[-0.5]]]])


@pytest.mark.parametrize("method", SAMPLED)
def test_every_select_says_the_same(method):
    """Each result of `pairs`, `fixed`, `predicted`, `seed` and `whole` is one of `channel`."""
    model, x = network(SMALL), images(2, (12, 10))
    noise = np.random.default_rng(1).standard_normal((4, 3, 12, 10)).astype(np.float32)
    given = {} if method == "integrated_gradients" else {"noise": noise}

    def made(select, layer=None, options=None, **feeds):
        few = {"steps": 4} if method == "integrated_gradients" else {}
        model_ = artefact(model, layer, method, select=select, **few, **(options or {}))
        found = run(model_, x=x, **given, **feeds)
        return found["attribution"], found.get("completeness_error"), found["score"]

    channels = np.array([[0, 1], [2, 3]])
    single = [made("channel", channel=c) for c in channels.T]
    expected = {
        (i, int(channels[i, c])): [None if v is None else v[i] for v in single[c]]
        for c in range(2) for i in range(2)
    }  # fmt: skip

    def same(found, keys):
        for row, key in enumerate(keys):
            for mine, theirs in zip(found, expected[key], strict=True):
                if theirs is not None:
                    np.testing.assert_allclose(mine[row], theirs, rtol=1e-4, atol=1e-6)

    index, channel = np.array([1, 0, 1, 0, 1]), np.array([2, 0, 3, 1, 2])
    found = made("pairs", image_index=index, channel=channel)
    same(found, zip(index.tolist(), channel.tolist(), strict=True))
    expected |= {(i, c): [None if v is None else v[i] for v in made("channel", channel=
                 np.array([c, c]))] for i in range(2) for c in (0, 3)}  # fmt: skip
    found = made("fixed", options={"channels": (3, 0)})
    same(found, [(0, 3), (0, 0), (1, 3), (1, 0)])
    best = value_of(model, "scores", x=x).argmax(1)
    np.testing.assert_array_equal(made("predicted")[0], made("channel", channel=best)[0])
    seed = np.eye(4, dtype=np.float32)[channels[:, 0]]
    same(made("seed", seed=seed), [(0, 0), (1, 2)])
    whole = made("whole")[0]
    ones = made("seed", seed=np.ones((2, 4), np.float32))[0]
    np.testing.assert_allclose(whole, ones, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", SAMPLED)
def test_the_position_is_that_of_the_clean_picture(method):
    """And so are the score and the network's own outputs."""
    model, x = network(SMALL), images(2, (12, 10))
    noise = np.full((3, 3, 12, 10), 5, np.float32)
    noise[:, :, :6] = -5
    given = {} if method == "integrated_gradients" else {"noise": noise}
    feeds = {"x": x, "channel": np.array([1, 4])}
    plain = run(artefact(model, "r2", "gradient", position="max"), **feeds)
    found = run(artefact(model, "r2", method, position="max"), **given, **feeds)
    for name in ("y", "score", "position"):
        np.testing.assert_array_equal(found[name], plain[name])


@pytest.mark.parametrize("method", SAMPLED)
def test_from_the_middle_of_the_network(method):
    """The rest of the network alone, from that tensor on, gives the same."""
    model, x = network(SMALL), images(2, (12, 10))
    middle = value_of(model, "p1", x=x)
    rest = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model)).extract_model(
        ["p1"], ["scores"]
    )
    noise = np.random.default_rng(1).standard_normal((4, *middle.shape[1:])).astype(np.float32)
    given = {"baseline": MIDDLE} if method == "integrated_gradients" else {"noise": noise}
    channel = np.array([1, 3])
    found = run(artefact(model, None, method, to="p1"), x=x, channel=channel, **given)
    alone = run(artefact(rest, "scores", method), p1=middle, channel=channel, **given)
    for name in ("attribution", *(["completeness_error"] if "baseline" in given else [])):
        np.testing.assert_allclose(found[name], alone[name], rtol=1e-4, atol=1e-6)


BESIDE = """
<ir_version: 8, opset_import: ["": 17]>
beside (float[N, 3, 8, 8] x, float[3, 3, 1, 1] w) => (float[N, 3] y)
{ c = Conv (x, w) s = Sigmoid (c) p = Mul (s, x) t = Transpose <perm = [1, 0, 2, 3]> (p)
  back = Transpose <perm = [1, 0, 2, 3]> (t) g = GlobalAveragePool (back) y = Flatten (g) }
"""


def test_what_goes_past_the_middle_stays_with_its_image():
    """Of several results too, where the rows of the forward pass cannot be picked."""
    model, x = network(BESIDE), images(2, (8, 8))
    noise = np.random.default_rng(1).standard_normal((4, 3, 8, 8)).astype(np.float32)
    single = artefact(model, "y", "smoothgrad", to="s")
    pairs = artefact(model, "y", "smoothgrad", to="s", select="pairs")
    index, channel = np.array([1, 0, 1]), np.array([0, 2, 1])
    found = run(pairs, x=x, image_index=index, channel=channel, noise=noise)["attribution"]
    for row, (i, c) in enumerate(zip(index, channel, strict=True)):
        alone = run(single, x=x[i : i + 1], channel=np.array([c]), noise=noise)["attribution"]
        np.testing.assert_allclose(found[row], alone[0], rtol=1e-5, atol=1e-8)
        # y is the mean of s·x, so that its gradient to s is x over the number of pixels.
        np.testing.assert_allclose(found[row, c], x[i, c] / 64, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("method", SAMPLED)
def test_a_batch_that_stays_fixed_is_refused_by_name(method):
    model = network(SMALL.replace("[N,", "[4,"))
    with pytest.raises(UnsupportedModel, match="'x' has the batch size 4"):
        artefact(model, None, method)
    assert check(model, None, method).batch == "fixed"
    with pytest.raises(UnsupportedModel, match="axis 0 of 't' does not run over the images"):
        artefact(network(BESIDE), "t", method, select="seed")


@pytest.mark.parametrize("method", SAMPLED)
def test_fully_connected_networks(method):
    model, x = network(DENSE), images(2, (3, 3), 1).reshape(2, 9)
    found = run(artefact(model, "y", method), x=x, channel=np.array([1, 2]))
    assert found["attribution"].shape == (2, 9)
    assert np.abs(found["attribution"]).max() > 0


def test_the_noise_is_the_seed_s():
    sized = network(SMALL.replace("H, W] x", "12, 10] x"))
    x, channel = images(2, (12, 10)), np.array([1, 3])
    made = artefact(sized, None, "smoothgrad", samples=7, noise_seed=3)
    noise = np.random.default_rng(3).standard_normal((7, 3, 12, 10), np.float32)
    default = run(made, x=x, channel=channel)["attribution"]
    given = run(made, x=x, channel=channel, noise=noise)["attribution"]
    np.testing.assert_array_equal(default, given)
    another = artefact(sized, None, "smoothgrad", samples=7, noise_seed=4)
    assert np.abs(run(another, x=x, channel=channel)["attribution"] - default).max() > 1e-6
    free = artefact(network(SMALL), None, "smoothgrad", samples=7, noise_seed=3)
    assert "noise" not in {t.name for t in free.graph.initializer}
    freely = run(free, x=x, channel=channel, noise=noise)["attribution"]
    np.testing.assert_allclose(freely, given, rtol=1e-5, atol=1e-8)


def test_without_noise_it_is_the_gradient():
    model, x = network(SMALL), images(2, (12, 10))
    feeds = {"x": x, "channel": np.array([1, 3])}
    noise = np.ones((3, 3, 12, 10), np.float32)
    plain = run(artefact(model), **feeds)["attribution"]
    mean, square, variance = (
        run(artefact(model, None, m, noise_level=0.0), noise=noise, **feeds)["attribution"]
        for m in NOISY
    )
    np.testing.assert_allclose(mean, plain, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(square, plain**2, rtol=1e-5, atol=1e-9)
    assert np.abs(variance).max() < 1e-10 < np.abs(plain).max()


def test_a_whole_picture_as_baseline_and_other_steps():
    """The completeness error goes down with the steps, and is of the very baseline given."""
    model, (x, baseline) = network(SMALL), (images(2, (12, 10)), images(2, (12, 10), seed=9))
    made, channel = artefact(model, None, "integrated_gradients"), np.array([1, 3])
    points, weights = np.polynomial.legendre.leggauss(400)
    feeds = {"x": x, "baseline": baseline, "channel": channel}
    coarse = run(made, **feeds)
    fine = run(made, alpha=np.float32((points + 1) / 2), weight=np.float32(weights / 2), **feeds)
    f = [value_of(model, "scores", x=image)[[0, 1], channel] for image in (x, baseline)]
    for found in (coarse, fine):
        error = found["attribution"].sum((1, 2, 3)) - (f[0] - f[1])
        np.testing.assert_allclose(found["completeness_error"], error, atol=2e-6)
    assert np.abs(fine["completeness_error"]).max() < np.abs(coarse["completeness_error"]).max()
    swapped = run(made, x=x, baseline=baseline[::-1], channel=channel)
    assert np.abs(swapped["attribution"] - coarse["attribution"]).max() > 1e-3


def test_half_precision_comes_close_and_its_backward_part_can_be_wider():
    half = network(SMALL.replace("float", "float16"))
    full = network(SMALL)
    x, channel = images(2, (12, 10)), np.array([1, 3])
    noise = np.random.default_rng(1).standard_normal((4, 3, 12, 10)).astype(np.float32)
    for method in SAMPLED:
        given = {} if method == "integrated_gradients" else {"noise": noise}
        exact = run(artefact(full, None, method), x=x, channel=channel, **given)["attribution"]
        for backward, dtype in (("same", np.float16), ("float32", np.float32)):
            made = artefact(half, None, method, backward=backward)
            found = run(made, x=x.astype(np.float16), channel=channel, **given)["attribution"]
            assert found.dtype == dtype
            # Squares of half-precision gradients near its smallest numbers lose digits.
            assert relative_error(found, exact) < (0.05 if method in NOISY[1:] else 0.02)


@pytest.mark.parametrize("opset", [18, 26])
@pytest.mark.parametrize("method", SAMPLED)
def test_newer_opsets(opset, method):
    x, channel = images(2, (12, 10)), np.array([1, 3])
    noise = np.random.default_rng(1).standard_normal((4, 3, 12, 10)).astype(np.float32)
    given = {} if method == "integrated_gradients" else {"noise": noise}
    older, newer = (
        run(artefact(network(text), None, method), x=x, channel=channel, **given)["attribution"]
        for text in (SMALL, SMALL.replace('"": 17', f'"": {opset}').replace(": 8,", ": 10,"))
    )
    np.testing.assert_allclose(newer, older, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"steps": 0}, {"noise_level": -1.0}, {"noise_level": np.nan}]
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong)).replace("_", " ")):
        Options(**wrong)
