"""A ReLU that a quantisation tool fused into a QuantizeLinear: deconvnet, guided backpropagation.

The oracle is PyTorch, where fake quantisation has these rules as its backward pass.
"""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, network, run
from oracle import relative_error

METHODS = ("gradient", "deconvnet", "guided_backprop")
TEXT = """
<ir_version: 10, opset_import: ["": 21]>
net (float[N, 3, 6, 6] x, float[5, 3, 3, 3] w1, float[4, 5, 3, 3] w2) => (float[N, 4, H, W] y)
<float s0 = {0.02}, KIND z0 = {MIDDLE}, float s1 = {STEP}, KIND z1 = {LEAST}>
{
    q0 = QuantizeLinear (x, s0, z0)
    d0 = DequantizeLinear (q0, s0, z0)
    c1 = Conv <pads = [1, 1, 1, 1]> (d0, w1)
    q1 = QuantizeLinear (c1, s1, z1)
    d1 = DequantizeLinear (q1, s1, z1)
    y = Conv (d1, w2)
}
"""
KINDS = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}


class Quantized(torch.autograd.Function):
    """Fake quantisation from zero up, of which the method rectifies the signal."""

    @staticmethod
    def forward(context, x, scale, steps, method):
        context.save_for_backward(x / scale)
        context.steps, context.method = steps, method
        return (x / scale).round().clamp(0, steps) * scale

    @staticmethod
    def backward(context, g):
        rounded = context.saved_tensors[0].round()
        inside = (rounded >= 0) & (rounded <= context.steps)
        signal = g if context.method == "gradient" else g.relu()
        return signal if context.method == "deconvnet" else signal * inside, None, None, None


def models(kind, step=0.01):
    low, high = KINDS[kind]
    text = TEXT.replace("KIND", kind).replace("MIDDLE", str((low + high) // 2))
    text = text.replace("LEAST", str(low)).replace("STEP", str(step))
    return network(text)


def in_pytorch(model, kind, method, x, seed, step=0.01):
    low, high = KINDS[kind]
    weights = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer}
    leaf = torch.tensor(x).requires_grad_()
    middle = (low + high) // 2
    d0 = torch.fake_quantize_per_tensor_affine(leaf, float(np.float32(0.02)), middle, low, high)
    c1 = F.conv2d(d0, weights["w1"], padding=1)
    d1 = Quantized.apply(c1, np.float32(step), high - low, method)
    y = F.conv2d(d1, weights["w2"])
    return torch.autograd.grad(y, leaf, torch.tensor(seed))[0].numpy()


def feeds(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, 3, 6, 6), np.float32), rng.standard_normal(
        (2, 4, 4, 4), np.float32
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["uint8", "int8"])
def test_a_zero_point_at_the_end_of_its_type_rectifies(method, kind):
    """Both ends saturate."""
    x, seed = feeds()
    model = models(kind)
    expected = in_pytorch(model, kind, method, x, seed)
    made = artefact(model, "y", method, select="seed")
    assert relative_error(run(made, x=x, seed=seed)["attribution"], expected) < 1e-5


def test_the_three_methods_differ():
    x, seed = feeds()
    maps = {m: in_pytorch(models("uint8"), "uint8", m, x, seed) for m in METHODS}
    assert relative_error(maps["gradient"], maps["guided_backprop"]) > 0.1
    assert relative_error(maps["deconvnet"], maps["guided_backprop"]) > 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["uint16", "int16"])
def test_with_fine_steps_it_is_the_float_networks_relu(method, kind):
    text = TEXT[: TEXT.index("    q0")] + "c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)"
    text += " r1 = Relu (c1) y = Conv (r1, w2) }"
    text = text.replace("KIND", "uint8").replace("MIDDLE", "0").replace("LEAST", "0")
    plain = network(text.replace("STEP", "1"))
    x, seed = feeds()
    x = np.round(x / np.float32(0.02)) * np.float32(0.02)
    expected = run(artefact(plain, "y", method, select="seed"), x=x, seed=seed)["attribution"]
    model = models(kind, step=0.0005)
    found = run(artefact(model, "y", method, select="seed"), x=x, seed=seed)["attribution"]
    assert relative_error(found, expected) < 1e-4


@pytest.mark.parametrize("method", ["deconvnet", "guided_backprop"])
def test_where_nothing_is_below_zero_it_is_no_rectifier(method):
    """A picture from 0 to 1, and what pooling makes of it: the signal keeps its sign."""
    model = network("""
        <ir_version: 10, opset_import: ["": 21]>
        net (float[N, 3, 4, 4] x, float[2, 3, 1, 1] w) => (float[N, 2, 2, 2] y)
        <float s = {0.004}, uint8 z = {0}>
        {
            q = QuantizeLinear (x, s, z)
            d = DequantizeLinear (q, s, z)
            p = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (d)
            q2 = QuantizeLinear (p, s, z)
            d2 = DequantizeLinear (q2, s, z)
            y = Conv (d2, w)
        }
    """)
    x, seed = np.random.default_rng(0).random((2, 3, 4, 4), np.float32), feeds()[1][:, :2, :2, :2]
    maps = [
        run(artefact(model, "y", m, select="seed"), x=x, seed=seed)["attribution"]
        for m in ("gradient", method)
    ]
    assert maps[0].min() < 0
    np.testing.assert_array_equal(maps[1], maps[0])
