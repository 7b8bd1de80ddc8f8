"""The matrix products, with respect to each of their inputs."""

import itertools

import pytest
from check_rule import check_rule, spaced

BIASES = [None, (4, 5), (5,), (1, 5), (4, 1), (1, 1), (1,), ()]


def gemm_shapes(trans_a, trans_b, bias=None):
    shapes = [(3, 4) if trans_a else (4, 3), (5, 3) if trans_b else (3, 5)]
    return shapes + ([] if bias is None else [bias])


@pytest.mark.parametrize("wrt", [0, 1, 2])
@pytest.mark.parametrize(
    ("trans_a", "trans_b", "alpha", "beta"),
    [
        *((a, b, 1.0, 1.0) for a, b in itertools.product([0, 1], [0, 1])),
        (0, 1, 0.5, -2.0),
        (1, 0, -3.0, 0.25),
    ],
)
def test_gemm(trans_a, trans_b, alpha, beta, wrt):
    shapes = gemm_shapes(trans_a, trans_b, (5,))
    check_rule("Gemm", shapes, wrt=wrt, transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)


@pytest.mark.parametrize("bias", BIASES, ids=str)
def test_gemm_bias(bias):
    wrt = 0 if bias is None else 2
    check_rule("Gemm", gemm_shapes(0, 1, bias), wrt=wrt, transB=1, beta=0.5)


def test_gemm_bias_alone_and_beta_zero():
    check_rule("Gemm", gemm_shapes(0, 0, (1, 5)), wrt=2)
    check_rule("Gemm", gemm_shapes(0, 0, (1, 5)), wrt=2, beta=0.0)


def test_gemm_with_constants():
    check_rule("Gemm", [(4, 3)], weights=[spaced((5, 3)), spaced((5,), seed=1)], transB=1)
    check_rule("Gemm", [(4, 3)], weights=[spaced((3, 5))])


def test_gemm_of_a_tensor_with_itself():
    check_rule("Gemm", [(3, 3)], inputs=["x0", "x0", "x0"], transA=1, alpha=2.0, beta=3.0)


MATMULS = [
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 2)),
    ((2, 3, 1, 4), (1, 3, 4, 1)),
    ((4,), (2, 3, 4, 1)),
    ((2, 2, 3, 4), (4,)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize("wrt", [0, 1])
@pytest.mark.parametrize("shapes", MATMULS, ids=str)
def test_matmul(shapes, wrt):
    check_rule("MatMul", shapes, wrt=wrt)


def test_matmul_with_constants():
    check_rule("MatMul", [(2, 3, 4)], weights=[spaced((4, 5))])
    check_rule("MatMul", [(2, 3, 4)], weights=[spaced((5, 3))], inputs=["w0", "x0"])


def test_matmul_of_a_tensor_with_itself():
    check_rule("MatMul", [(2, 3, 3)], inputs=["x0", "x0"])
