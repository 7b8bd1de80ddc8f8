"""The normalisations that compute their statistics from the image, against PyTorch in float64."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from check_rule import check_rule, one_node, relative_error, run, spaced
from onnx.reference import ReferenceEvaluator

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedModel, UnsupportedOperator

SHAPE = (2, 6, 4, 3)


def parameters(*shape):
    return [spaced(shape, seed=3), spaced(shape, seed=4)]


def double(array):
    return torch.tensor(array).double()


@pytest.mark.parametrize("epsilon", [None, 0.1])
@pytest.mark.parametrize("shape", [(2, 6, 4, 3), (2, 6, 7), (1, 6, 2, 2, 3)], ids=str)
def test_instance_normalization(shape, epsilon):
    scale, bias = parameters(6)
    attrs = {} if epsilon is None else {"epsilon": epsilon}
    check_rule("InstanceNormalization", [shape], weights=[scale, bias], **attrs,
               oracle=lambda x: F.instance_norm(x, weight=double(scale), bias=double(bias),
                                                eps=epsilon or 1e-5))  # fmt: skip


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, None])
@pytest.mark.parametrize("epsilon", [None, 0.1])
def test_layer_normalization(epsilon, axis):
    size = SHAPE[-1:] if axis is None else SHAPE[axis:]
    scale, bias = parameters(*size)
    attrs = ({} if epsilon is None else {"epsilon": epsilon}) | (
        {} if axis is None else {"axis": axis}
    )

    def same(bias):
        return lambda x: F.layer_norm(x, size, double(scale), bias, epsilon or 1e-5)

    check_rule(
        "LayerNormalization", [SHAPE], weights=[scale, bias], oracle=same(double(bias)), **attrs
    )
    check_rule("LayerNormalization", [SHAPE], weights=[scale], oracle=same(None), **attrs)


@pytest.mark.parametrize("scale", [(1,), (1, 3), (4, 1)], ids=str)
def test_layer_normalization_whose_scale_broadcasts(scale):
    weight = spaced(scale, seed=3)
    check_rule("LayerNormalization", [SHAPE], weights=[weight], axis=2,
               oracle=lambda x: F.layer_norm(x, SHAPE[2:]) * double(weight))  # fmt: skip


def test_layer_normalization_whose_statistics_are_put_out():
    """They may be, as long as nothing on the path reads them."""
    check_rule("LayerNormalization", [SHAPE], weights=parameters(3), outputs=3)
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        mean (float[N, 4] x) => (float[N, 4] y) <float[4] s = {1, 1, 1, 1}>
        { z, m = LayerNormalization (x, s) y = Add (z, m) }
    """)
    with pytest.raises(UnsupportedModel, match="statistics that LayerNormalization .* returns"):
        rewrite(model, "y", "gradient", Options(select="seed"))


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((2, 6, 4, 3), g) for g in (1, 2, 3, 6)] + [((2, 6, 5), 3), ((1, 6, 2, 2, 3), 2), ((2, 6), 2)],
    ids=str,
)
def test_group_normalization(shape, groups):
    scale, bias = parameters(6)
    for eps in (1e-5, 0.1):
        check_rule("GroupNormalization", [shape], weights=[scale, bias], opset=21,
                   num_groups=groups, epsilon=eps, oracle=lambda x, eps=eps:
                       F.group_norm(x, groups, double(scale), double(bias), eps))  # fmt: skip


@pytest.mark.parametrize("opset", [18, 20])
def test_group_normalization_of_opset_18_is_refused(opset):
    """Scaled by groups: ONNX's checker no longer takes it, so no artefact could be valid."""
    x, w = spaced((2, 4, 3, 3)), {"s": spaced((2,)), "b": spaced((2,))}
    model = one_node("GroupNormalization", ["x", "s", "b"], {"x": x}, w, opset=opset,
                     attrs={"num_groups": 2})  # fmt: skip
    assert "opset 21" in check(model, "y", "gradient").problem
    with pytest.raises(UnsupportedOperator, match=f"'node' of opset {opset}.*export"):
        rewrite(model, "y", "gradient", Options(select="seed"))


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, None])
def test_rms_normalization(axis):
    size = SHAPE[-1:] if axis is None else SHAPE[axis:]
    scale = spaced(size, seed=3)
    attrs = {} if axis is None else {"axis": axis}
    for eps in (1e-5, 0.1):
        check_rule("RMSNormalization", [SHAPE], weights=[scale], opset=23, epsilon=eps, **attrs,
                   oracle=lambda x, eps=eps: F.rms_norm(x, size, double(scale), eps))  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_lrn(size):
    for attrs in ({}, {"alpha": 0.3, "beta": 0.6, "bias": 1.5}):
        alpha, beta, bias = (
            attrs.get(k, v) for k, v in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1))
        )
        check_rule("LRN", [SHAPE], size=size, **attrs,
                   oracle=lambda x, a=alpha, b=beta, k=bias:
                       F.local_response_norm(x, size, a, b, k))  # fmt: skip


@pytest.mark.parametrize("size", [2, 4])
def test_lrn_over_an_even_number_of_channels(size):
    """ONNX Runtime knows odd ones only; the window has one more channel behind than before.

    The reference evaluator confuses batch and channels, so there are as many of both.
    """
    x = spaced((5, 5, 2, 3))
    attrs = {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5}
    model = one_node("LRN", ["x"], {"x": x}, {}, attrs=attrs)
    leaf = double(x).requires_grad_()
    padded = F.pad(leaf**2, (0, 0, 0, 0, (size - 1) // 2, size // 2))
    squares = sum(padded[:, i : i + 5] for i in range(size))
    y = leaf / (1.5 + 0.5 / size * squares) ** 0.6
    seed = spaced(x.shape, seed=1)
    (expected,) = torch.autograd.grad(y, leaf, double(seed))
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    own, got = ReferenceEvaluator(made).run(["y", "attribution"], {"x": x, "seed": seed})
    assert relative_error(own, y.detach().numpy()) < 1e-6
    assert relative_error(got, expected.numpy()) < 1e-5


@pytest.mark.parametrize("p", [None, 1, 2])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_lp_normalization(axis, p):
    attrs = ({} if axis is None else {"axis": axis}) | ({} if p is None else {"p": p})

    def same(x):
        return x / x.abs().pow(p or 2).sum(-1 if axis is None else axis, keepdim=True).pow(
            1 / (p or 2)
        )

    check_rule("LpNormalization", [SHAPE], oracle=same, **attrs)


def test_lp_normalization_of_zeros():
    model = one_node("LpNormalization", ["x"], {"x": np.zeros((2, 2))}, {})
    made = rewrite(model, "y", "gradient", Options(select="seed"))
    x = np.array([[3, 4], [0, 0]], np.float32)
    (got,) = run(made, {"x": x, "seed": np.array([[5, 0], [1, 2]], np.float32)}, "attribution")
    np.testing.assert_allclose(got, [[0.64, -0.48], [0, 0]], rtol=1e-5)


@pytest.mark.parametrize("axes", [None, (1, 2, 3), (2, 3), (1,), (0, 1, 2, 3)], ids=str)
def test_mean_variance_normalization(axes):
    attrs = {} if axes is None else {"axes": axes}
    dims = (0, 2, 3) if axes is None else axes

    def same(x):
        centred = x - x.mean(dims, keepdim=True)
        return centred / (centred.square().mean(dims, keepdim=True).sqrt() + 1e-9)

    said = axes is not None  # ONNX's inference does not know the default
    check_rule("MeanVarianceNormalization", [SHAPE], oracle=same, full_check=said, **attrs)


NORMALIZATIONS = {
    "GroupNormalization": (parameters(6), {"num_groups": 2}),
    "InstanceNormalization": (parameters(6), {}),
    "LayerNormalization": (parameters(3), {}),
    "LpNormalization": ([], {"axis": 1}),
    "LRN": ([], {"size": 3, "alpha": 1e-3}),
    "MeanVarianceNormalization": ([], {}),
    "RMSNormalization": (parameters(3)[:1], {}),
}


@pytest.mark.parametrize("operator", NORMALIZATIONS)
def test_squares_that_half_precision_does_not_hold(operator):
    """Activations of a thousand are usual, and their squares are beyond 65504."""
    weights, attrs = NORMALIZATIONS[operator]
    check_rule(
        operator,
        [500 * spaced(SHAPE)],
        weights=weights,
        opset=23,
        dtype=np.float16,
        full_check=operator != "MeanVarianceNormalization",  # nor the type of its ε
        oracle=ORACLES[operator](weights, attrs),
        **attrs,
    )


ORACLES = {
    "GroupNormalization": lambda w, a: lambda x: F.group_norm(x, 2, double(w[0]), double(w[1])),
    "InstanceNormalization": lambda w, a: (
        lambda x: F.instance_norm(x, weight=double(w[0]), bias=double(w[1]))
    ),
    "LayerNormalization": lambda w, a: lambda x: F.layer_norm(x, (3,), double(w[0]), double(w[1])),
    "LpNormalization": lambda w, a: lambda x: x / x.norm(dim=1, keepdim=True),
    "LRN": lambda w, a: lambda x: F.local_response_norm(x, 3, 1e-3),
    "MeanVarianceNormalization": lambda w, a: (
        lambda x: (
            (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), unbiased=False, keepdim=True)
        )
    ),
    "RMSNormalization": lambda w, a: lambda x: F.rms_norm(x, (3,), double(w[0]), 1e-5),
}
