"""Pools with SAME padding whose windows are further apart than long run, and pad nothing there."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, run

from onnxplain.graphops.errors import UnsupportedModel

POOL = """
<ir_version: 8, opset_import: ["": OPSET]>
pool (float[N, 2, HEIGHT, WIDTH] x) => (float[N, 2, OH, OW] y)
{
    y = OPERATOR <auto_pad = "PAD", kernel_shape = [KERNEL], strides = [STRIDES], CEIL> (x)
}
"""
POOLS = {"AveragePool": F.avg_pool2d, "MaxPool": F.max_pool2d}


def check(operator, pad, size, kernel, strides, declared=None, opset=17, ceil_mode=0):
    text = POOL.replace("OPSET", str(opset)).replace("OPERATOR", operator).replace("PAD", pad)
    for name, value in zip(("HEIGHT", "WIDTH"), declared or size, strict=True):
        text = text.replace(name, str(value))
    text = text.replace("KERNEL", "{}, {}".format(*kernel))
    text = text.replace("STRIDES", "{}, {}".format(*strides))
    text = text.replace("CEIL", f"ceil_mode = {ceil_mode}")
    x = torch.randn(2, 2, *size, generator=torch.manual_seed(0), requires_grad=True)
    y = POOLS[operator](x, kernel, strides, ceil_mode=True)  # only of windows that begin inside
    seed = torch.randn(y.shape)
    (expected,) = torch.autograd.grad(y, x, seed)
    made = artefact(onnx.parser.parse_model(text), select="seed")
    found = run(made, x=x.detach().numpy(), seed=seed.numpy())
    np.testing.assert_allclose(found["y"], y.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(found["attribution"], expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("operator", POOLS)
@pytest.mark.parametrize("opset", [11, 17, 22])
def test_subsampling(opset, operator, pad):
    for strides in [(3, 3), (2, 3), (3, 1)]:
        check(operator, pad, (9, 8), (1, 1), strides, opset=opset)
    check(operator, pad, (9, 8), (1, 1), (3, 3), opset=opset, ceil_mode=1)


@pytest.mark.parametrize("operator", POOLS)
def test_subsampling_of_any_size(operator):
    check(operator, "SAME_UPPER", (9, 8), (1, 1), (3, 3), declared=("H", "W"))


@pytest.mark.parametrize("operator", POOLS)
def test_dilated_windows_are_left_alone(operator):
    """Of their size ONNX and ONNX Runtime think otherwise: no rule, and outputs as they were."""
    model = onnx.parser.parse_model(f"""
    <ir_version: 9, opset_import: ["": 19]>
    pool (float[N, 2, 9, 8] x) => (float[N, 2, OH, OW] y, float[N, 2, 9, 8] z)
    {{
        y = {operator} <auto_pad = "SAME_UPPER", kernel_shape = [2, 3], strides = [3, 2],
            dilations = [3, 2]> (x)
        z = Relu (x)
    }}
    """)
    x = np.random.default_rng(0).standard_normal((2, 2, 9, 8)).astype(np.float32)
    with pytest.raises(UnsupportedModel, match=f"{operator} '.*' is dilated and pads by auto_pad"):
        artefact(model, "y", select="seed")
    made = artefact(model, "z", select="seed")
    np.testing.assert_array_equal(run(made, x=x, seed=x)["y"], run(model, x=x)["y"])


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("operator", POOLS)
def test_windows_of_several_elements(operator, ceil_mode):
    # the formula's padding is -2 and -1, then -2 and 1
    for size in [(8, 11), (8, 9)]:
        check(operator, "SAME_UPPER", size, (2, 2), (4, 4), ceil_mode=ceil_mode)
    check(operator, "SAME_LOWER", (11, 9), (2, 1), (4, 1), declared=(11, "W"), ceil_mode=ceil_mode)
