"""The poolings: max-pools in every form, averages in every way of counting."""

import itertools

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, run
from check_rule import check_rule

FORMS = ["auto", "scatter", "portable"]

# no window of these shares an element with another, so maxunpool is exact too
APART = [
    ((6,), [2], [2], [0, 0]),
    ((7,), [3], [3], [1, 1]),
    ((8,), [2], [3], [1, 0]),
    ((6, 7), [2, 2], [2, 2], [0, 0, 0, 0]),
    ((7, 5), [2, 3], [3, 3], [1, 1, 0, 1]),
    ((4, 3, 5), [2, 1, 2], [2, 2, 2], [0, 0, 0, 0, 0, 0]),
    ((3, 1), [1, 2], [1, 2], [0, 1, 0, 1]),
]
OVERLAPPING = [
    ((7,), [3], [2], [0, 0]),
    ((8,), [3], [1], [1, 1]),
    ((7, 6), [3, 3], [2, 2], [0, 0, 0, 0]),
    ((7, 8), [3, 3], [2, 2], [1, 0, 1, 1]),
    ((5, 6), [2, 3], [1, 2], [0, 1, 1, 1]),
    ((4, 4, 3), [2, 2, 2], [1, 2, 1], [0, 1, 0, 0, 0, 1]),
]


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("size", "window", "strides", "pads"), APART + OVERLAPPING, ids=str)
def test_max_pool(size, window, strides, pads, form, ceil_mode):
    attrs = {"kernel_shape": window, "strides": strides, "pads": pads, "ceil_mode": ceil_mode}
    check_rule("MaxPool", [(2, 2, *size)], unpool=form, **attrs)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize(("size", "window", "strides", "pads"), APART, ids=str)
def test_max_pool_by_maxunpool(size, window, strides, pads, ceil_mode):
    attrs = {"kernel_shape": window, "strides": strides, "pads": pads, "ceil_mode": ceil_mode}
    check_rule("MaxPool", [(2, 2, *size)], unpool="maxunpool", **attrs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [(7, 6), (5, 8)], ids=str)
@pytest.mark.parametrize("strides", [(2, 2), (3, 1)], ids=str)
def test_max_pool_auto_pad(strides, size, auto_pad, form):
    attrs = {"kernel_shape": [3, 2], "strides": strides, "auto_pad": auto_pad}
    check_rule("MaxPool", [(1, 2, *size)], unpool=form, **attrs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dilations", [(2, 2), (1, 3)], ids=str)
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)], ids=str)
def test_max_pool_dilation(strides, dilations, form):
    attrs = {
        "kernel_shape": [2, 2],
        "strides": strides,
        "dilations": dilations,
        "pads": [1, 0, 0, 1],
    }
    check_rule("MaxPool", [(1, 2, 7, 6)], unpool=form, **attrs)


@pytest.mark.parametrize("form", FORMS)
def test_max_pool_of_kernel_one_and_global(form):
    check_rule("MaxPool", [(1, 2, 5, 4)], unpool=form, kernel_shape=[1, 1], strides=[2, 2])
    check_rule("MaxPool", [(1, 2, 5, 4)], unpool=form, kernel_shape=[5, 4])


@pytest.mark.parametrize("form", [*FORMS, "maxunpool"])
def test_max_pool_whose_indices_are_asked_for(form):
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2], "unpool": form}
    check_rule("MaxPool", [(2, 2, 5, 4)], outputs=2, **attrs)
    check_rule("MaxPool", [(2, 2, 5, 4)], outputs=2, storage_order=1, **attrs)


@pytest.mark.parametrize("form", [*FORMS, "maxunpool"])
def test_max_pool_float16(form):
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2], "dtype": np.float16}
    check_rule("MaxPool", [(1, 2, 5, 4)], unpool=form, **attrs)


AVERAGES = [
    ((8,), [3], [2], [1, 1]),
    ((7,), [2], [3], [0, 1]),
    ((6, 7), [3, 3], [2, 2], [0, 0, 0, 0]),
    ((7, 6), [3, 3], [2, 2], [1, 0, 1, 1]),
    ((6, 6), [2, 2], [2, 2], [0, 0, 0, 0]),
    ((5, 6), [3, 2], [1, 1], [1, 1, 1, 0]),
    ((4, 4, 3), [2, 2, 2], [1, 2, 1], [0, 1, 0, 0, 0, 1]),
]


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize(("size", "window", "strides", "pads"), AVERAGES, ids=str)
def test_average_pool(size, window, strides, pads, count_include_pad, ceil_mode):
    attrs = {"kernel_shape": window, "strides": strides, "pads": pads}
    attrs |= {"count_include_pad": count_include_pad, "ceil_mode": ceil_mode}
    check_rule("AveragePool", [(1, 2, *size)], **attrs)


@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [(7, 6), (5, 8)], ids=str)
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)], ids=str)
def test_average_pool_auto_pad(strides, size, auto_pad, count_include_pad):
    attrs = {"kernel_shape": [3, 2], "strides": strides, "auto_pad": auto_pad}
    check_rule("AveragePool", [(1, 1, *size)], count_include_pad=count_include_pad, **attrs)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_average_pool_dilation(count_include_pad, ceil_mode):
    attrs = {"kernel_shape": [2, 3], "dilations": [2, 2], "strides": [2, 1], "pads": [1, 1, 0, 1]}
    attrs |= {"count_include_pad": count_include_pad, "ceil_mode": ceil_mode}
    check_rule("AveragePool", [(1, 1, 8, 7)], opset=19, **attrs)


@pytest.mark.parametrize("opset", [17, 19, 22])
def test_average_pool_windows_that_reach_beyond_the_padding(opset):
    for size, count_include_pad in itertools.product((5, 6, 7), (0, 1)):
        attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 1, 0], "ceil_mode": 1}
        shape = (1, 1, size, size)
        check_rule(
            "AveragePool", [shape], opset=opset, count_include_pad=count_include_pad, **attrs
        )


def test_average_pool_float16():
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    check_rule("AveragePool", [(1, 2, 6, 5)], dtype=np.float16, **attrs)


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 3), (1, 2, 2, 3, 2), (1, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global(operator, shape):
    check_rule(operator, [shape])


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_float16(operator):
    check_rule(operator, [(2, 3, 4, 3)], dtype=np.float16)


@pytest.mark.parametrize("operator", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("opset", [17, 22])
def test_a_last_window_that_would_begin_in_the_padding_is_dropped(opset, operator):
    attrs = {"kernel_shape": [2, 3], "strides": [2, 2], "pads": [1, 0, 1, 0], "ceil_mode": 1}
    check_rule(operator, [(1, 1, 7, 6)], opset=opset, **attrs)
    if operator == "AveragePool":
        check_rule(operator, [(1, 1, 7, 6)], opset=opset, count_include_pad=1, **attrs)


@pytest.mark.parametrize(("side", "strides"), [(2, (3, 1)), (1, (2, 2))])
@pytest.mark.parametrize("operator", ["AveragePool", "MaxPool"])
def test_windows_are_dropped_beside_an_axis_of_any_size(operator, side, strides):
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    pool (float[N, 2, 6, W] x) => (float[N, 2, V, U] y)
    {{
        r = Relu (x)
        p = {operator} <kernel_shape = [{side}, {side}], strides = {list(strides)},
                        ceil_mode = 1> (r)
        y = Mul (p, p)
    }}
    """
    made = artefact(onnx.parser.parse_model(text), select="seed")
    x = torch.randn(1, 2, 6, 5, generator=torch.manual_seed(0), requires_grad=True)
    pool = {"AveragePool": F.avg_pool2d, "MaxPool": F.max_pool2d}[operator]
    y = pool(x.relu(), side, strides, ceil_mode=True) ** 2
    seed = torch.randn(y.shape, generator=torch.manual_seed(1))
    (expected,) = torch.autograd.grad(y, x, seed)
    found = run(made, x=x.detach().numpy(), seed=seed.numpy())
    np.testing.assert_allclose(found["y"], y.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(found["attribution"], expected.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("operator", ["AveragePool", "MaxPool"])
@pytest.mark.parametrize("opset", [17, 22])
def test_windows_are_dropped_beside_padding_that_the_kernel_hardly_exceeds(opset, operator):
    """Once the padding was made as long as the kernel, which runtimes refuse."""
    opset = 19 if operator == "AveragePool" and opset == 17 else opset  # the first with dilations
    attrs = {"kernel_shape": [1, 2], "dilations": [1, 2], "strides": [2, 2], "pads": [0, 1, 0, 1]}
    check_rule(operator, [(1, 2, 4, 4)], opset=opset, ceil_mode=1, **attrs)


@pytest.mark.parametrize("sizes", ["6, W", "H, 6"])
@pytest.mark.parametrize("operator", ["AveragePool", "MaxPool"])
def test_windows_are_dropped_beside_an_axis_of_any_size_and_stride(operator, sizes):
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    pool (float[N, 2, {sizes}] x) => (float[N, 2, a, b] y)
    {{
        p = {operator} <kernel_shape = [2, 2], strides = [3, 3], ceil_mode = 1> (x)
        y = Mul (p, p)
    }}
    """
    made = artefact(onnx.parser.parse_model(text), select="seed")
    shape = [int(s) if s.isdigit() else 8 for s in sizes.split(", ")]
    x = torch.randn(1, 2, *shape, generator=torch.manual_seed(0), requires_grad=True)
    pool = {"AveragePool": F.avg_pool2d, "MaxPool": F.max_pool2d}[operator]
    y = pool(x, 2, 3, ceil_mode=True) ** 2
    seed = torch.randn(y.shape, generator=torch.manual_seed(1))
    (expected,) = torch.autograd.grad(y, x, seed)
    found = run(made, x=x.detach().numpy(), seed=seed.numpy())
    np.testing.assert_allclose(found["y"], y.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(found["attribution"], expected.numpy(), rtol=1e-5, atol=1e-7)
