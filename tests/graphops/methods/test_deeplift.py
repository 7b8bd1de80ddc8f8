"""DeepLIFT's rescale rule against Captum, and where Captum is none against a slow formula."""

from functools import cache

import numpy as np
import pytest
import torch
from artefacts import artefact, images, network, run, session, value_of
from captum.attr import DeepLift
from nets import FAMILIES, build, export, to_onnx
from oracle import check_error
from slow_deeplift import slow_deeplift
from torch import nn

COUNT = 5
DOUBLE_SINGLE = (torch.float64, torch.float32)
HOOKS = pytest.mark.filterwarnings(
    r"ignore:\s*Setting forward, backward hooks and attributes on non-linear:UserWarning"
)


class Mixed(nn.Module):
    """BatchNorm, a gate, a residual, branches; every activation that Captum knows, once each.

    Captum 0.9 gives an activation that a pool reads the signal from before the pool changed it (its
    issue 1104): a copy between them keeps the two apart.
    """

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.sigmoid = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Sigmoid()
        self.squeeze, self.excite = nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1)
        self.elu, self.pool1 = nn.ELU(0.7), nn.MaxPool2d(2, ceil_mode=True)
        self.conv1, self.conv2 = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.inner, self.outer = nn.ReLU(), nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(6, 4, 3), activation)
            for activation in (nn.Tanh(), nn.Softplus(), nn.LeakyReLU(0.2))
        )
        self.mean, self.linear = nn.AdaptiveAvgPool2d(1), nn.Linear(12, 7)
        self.softmax = nn.Softmax(1)

    def forward(self, x):
        x = self.norm(self.stem(x))
        x = x * self.sigmoid(self.excite(self.squeeze(x)))
        x = self.pool1(self.elu(x).clone())
        x = self.outer(x + self.conv2(self.inner(self.conv1(x))))
        x = self.pool2(x.clone())
        x = torch.cat([branch(x) for branch in self.branches], 1)
        return self.softmax(self.linear(self.mean(x).flatten(1)))


class Copy(nn.Module):
    def forward(self, x):
        return x.clone()


@HOOKS
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("layer", ["class score", "softmax"])
def test_captum(layer, given):
    """Image by image: Captum's softmax and its pools mix the images of a batch."""
    x, channel = images(COUNT, (23, 20)), np.arange(COUNT)
    baseline = images(COUNT, (23, 20), seed=9) if given else np.zeros_like(x)
    made = artefact(mixed_onnx(), None if layer == "class score" else "y", "deeplift")
    feeds = {"baseline": baseline} if given else {}
    found = run(made, x=x, channel=channel, **feeds)

    def explained(dtype):
        net = mixed().to(dtype)
        if layer == "class score":
            net.softmax = nn.Identity()
        return captums(net, x, baseline, channel, dtype)

    check_error(found["attribution"], explained(torch.float64), explained(torch.float32))


@HOOKS
@pytest.mark.parametrize("axes", [1, 3])
def test_captum_on_other_ranks(axes):
    conv, pool = {1: (nn.Conv1d, nn.MaxPool1d), 3: (nn.Conv3d, nn.MaxPool3d)}[axes]
    torch.manual_seed(0)
    head = [conv(6, 5, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(7)]
    net = nn.Sequential(conv(2, 6, 3), nn.ReLU(), Copy(), pool(2), *head)
    x = np.random.default_rng(0).standard_normal((COUNT, 2, *(9, 10, 8)[:axes])).astype(np.float32)
    net(torch.from_numpy(x))
    channel = np.arange(COUNT)
    made = artefact(to_onnx(net, torch.from_numpy(x), {0: "N"}), None, "deeplift")
    found = run(made, x=x, channel=channel)["attribution"]
    exact, single = (
        captums(net.to(dtype), x, np.zeros_like(x), channel, dtype) for dtype in DOUBLE_SINGLE
    )
    check_error(found, exact, single)


@pytest.mark.parametrize("unpool", ["auto", "portable"])
@pytest.mark.parametrize("family", ["alexnet", "vgg", "resnet", "inception", "densenet"])
def test_a_slow_formula_where_pools_overlap(family, unpool):
    """Windows that share a switch add, and so Σ attribution is f(x) − f(baseline)."""
    made = artefact(exported(family), None, "deeplift", unpool=unpool)
    x, channel = images(COUNT, FAMILIES[family].size), np.arange(COUNT)
    baseline = images(1, FAMILIES[family].size, seed=9)
    found = run(made, x=x, channel=channel, baseline=baseline)
    exact, single = slow(family)
    check_error(found["attribution"], exact, single)
    size = np.abs(exact.numpy()).sum((1, 2, 3))
    assert (np.abs(found["completeness_error"]) < 1e-5 * size).all()


# Windows [a b c] and [c d e], by their stride of 2. The signal is 1 and 10.
#   x         1  2  9  3  4     both maxima are c: y = 9, 9
#   baseline  5  0  0  1  2     maxima a and e:    y = 5, 2
# y rises by 4 and by 7, for which c stands: 1·4 + 10·7 = 74 over Δc = 9; the rest gets nothing.
#   x         1  0  0  1  2     maxima a and e:    y = 1, 2
#   baseline  5  2  9  3  4     both maxima are c: y = 9, 9
# y falls by 8 and by 7, for which c stands, that fell by 9: (1·8 + 10·7)/9.
#   x = baseline: the gradient.
@pytest.mark.parametrize("unpool", ["auto", "scatter", "portable"])
@pytest.mark.parametrize(
    ("x", "baseline", "c", "multiplier"),
    [
        ([1, 2, 9, 3, 4], [5, 0, 0, 1, 2], 2, 74 / 9),
        ([1, 0, 0, 1, 2], [5, 2, 9, 3, 4], 2, 78 / 9),
        ([1, 2, 9, 3, 4], [1, 2, 9, 3, 4], 2, 11),
    ],
)
def test_a_max_pool_by_hand(x, baseline, c, multiplier, unpool):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    pool (float[N, 1, 5] x) => (float[N, 2] y)
    <float[1, 1, 1] two = {2}>
    { doubled = Conv (x, two) p = MaxPool <kernel_shape = [3], strides = [2]> (doubled)
      y = Flatten (p) }
    """
    made = artefact(network(text), "y", "deeplift", select="seed", unpool=unpool)
    x, baseline = (np.array([[v]], np.float32) for v in (x, baseline))
    found = run(made, x=x, baseline=baseline, seed=np.array([[1, 10]], np.float32))
    expected = np.zeros_like(x)
    expected[0, 0, c] = 2 * multiplier * (x - baseline)[0, 0, c]
    np.testing.assert_allclose(found["attribution"], expected, rtol=1e-6)
    np.testing.assert_allclose(found["completeness_error"], [0], atol=1e-5)


SHIFTED = """
<ir_version: 8, opset_import: ["": 17]>
shifted (float[N, 2] x) => (float[N, 2] y)
<float[2, 2] w = {1, 2, 1, 2}, float[2] b = {1, -1}, int64[1] last = {1}>
{ h = Gemm (x, w, b) BODY }
"""


@pytest.mark.parametrize(
    ("body", "slope"),
    [
        ("y = Relu (h)", [1, 0]),
        ("y = LeakyRelu <alpha = 0.5> (h)", [1, 0.5]),
        ("y = Sigmoid (h)", [np.exp(-1) / (1 + np.exp(-1)) ** 2] * 2),
        ("p = Unsqueeze (h, last) q = MaxPool <kernel_shape = [1]> (p) y = Squeeze (q, last)",
         [1, 1]),
    ],
)  # fmt: skip
def test_where_nothing_differs_the_gradient_stands_in(body, slope):
    """x and its baseline differ, but not h, since what the first gains the second loses."""
    made = artefact(network(SHIFTED.replace("BODY", body)), "y", "deeplift", select="seed")
    x, seed = np.array([[3, -3]], np.float32), np.array([[1, 10]], np.float32)
    found = run(made, x=x, seed=seed)["attribution"]
    back = (seed[0] * slope) @ np.array([[1, 2], [1, 2]]).T
    np.testing.assert_allclose(found, [back * x[0]], rtol=1e-6)


@pytest.mark.parametrize(
    "activation",
    ["Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Selu", "Shrink",
     "Sigmoid", "Softplus", "Softsign", "Swish", "Tanh", "ThresholdedRelu"],
)  # fmt: skip
def test_every_activation_has_the_slope_of_its_difference(activation):
    text = f"""
    <ir_version: 13, opset_import: ["": 24]>
    one (float[N, 5] x) => (float[N, 5] y) {{ y = {activation} (x) }}
    """
    model = network(text)
    x = np.array([[-2.5, -0.7, 0.3, 1.2, 4]], np.float32)
    baseline = np.array([[1, -2, 3, -0.5, 1]], np.float32)
    made = artefact(model, "y", "deeplift", select="seed")
    seed = np.array([[1, -2, 3, -4, 5]], np.float32)
    found = run(made, x=x, baseline=baseline, seed=seed)["attribution"]
    change = value_of(model, "y", x=x) - value_of(model, "y", x=baseline)
    np.testing.assert_allclose(found, seed * change, rtol=1e-5, atol=1e-6)


def test_completeness_is_what_the_attribution_misses():
    """A product of two signals and the softmax's centring do not add up, and the artefact says by
    how much."""
    made = artefact(mixed_onnx(), "y", "deeplift")
    x, baseline, channel = images(3, (23, 20)), images(1, (23, 20), seed=9), np.array([0, 3, 6])
    found = run(made, x=x, baseline=baseline, channel=channel)
    at_x, at_baseline = (value_of(mixed_onnx(), "y", x=v)[..., channel] for v in (x, baseline))
    change = np.diagonal(at_x) - at_baseline[0]
    missed = found["attribution"].sum((1, 2, 3)) - change
    assert np.abs(missed).min() > 1e-4
    np.testing.assert_allclose(found["completeness_error"], missed, atol=1e-5)


def test_baselines_of_every_shape():
    made = artefact(mixed_onnx(), None, "deeplift")
    opened = session(made)
    assert [i.name for i in opened.get_inputs()] == ["x", "channel"]
    assert [i.name for i in opened.get_overridable_initializers()] == ["baseline"]
    x, channel = images(3, (23, 20)), np.array([1, 2, 3])
    np.testing.assert_array_equal(
        run(opened, x=x, channel=channel)["attribution"],
        run(opened, x=x, channel=channel, baseline=np.zeros_like(x))["attribution"],
    )
    shapes = [(1, 1, 1, 1), (1, 3, 1, 1), (1, 3, 23, 20), (3, 1, 1, 1)]
    for shape in shapes:
        baseline = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        full = np.ascontiguousarray(np.broadcast_to(baseline, x.shape))
        np.testing.assert_array_equal(
            run(opened, x=x, channel=channel, baseline=baseline)["attribution"],
            run(opened, x=x, channel=channel, baseline=full)["attribution"],
        )


def captums(net, x, baseline, channel, dtype):
    rows = []
    for one, before, target in zip(x, baseline, channel, strict=True):
        one, before = (torch.from_numpy(v[None]).to(dtype) for v in (one, before))
        rows.append(
            DeepLift(net).attribute(one.requires_grad_(), before, target=int(target)).detach()
        )
    return torch.cat(rows)


@cache
def slow(family):
    net = build(family)
    x = torch.from_numpy(images(COUNT, FAMILIES[family].size))
    baseline = torch.from_numpy(images(1, FAMILIES[family].size, seed=9))
    cotangent = torch.eye(7)[:COUNT]
    baseline = baseline.expand_as(x)
    return [
        slow_deeplift(net, *(t.to(dtype) for t in (x, baseline, cotangent)))
        for dtype in DOUBLE_SINGLE
    ]


def mixed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Mixed()
        nn.init.normal_(net.norm.running_mean, std=0.5)
        nn.init.uniform_(net.norm.running_var, 0.5, 2.0)
        nn.init.normal_(net.norm.weight, 1.5, 1.0)
    return net.eval()


@cache
def mixed_onnx():
    free = {0: "N", 2: "H", 3: "W"}
    return to_onnx(mixed(), torch.zeros(2, 3, 23, 20), free)


@cache
def exported(family):
    return export(family)
