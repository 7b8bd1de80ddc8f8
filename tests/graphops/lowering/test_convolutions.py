"""Transposed convolutions as convolutions, against PyTorch's autograd in float64."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from artefacts import network, weights
from check_rule import relative_error, run

from onnxplain.graphops import Options, rewrite


@dataclass(frozen=True)
class Convolution:
    """A convolution of maps [N, inputs, height, width]."""

    inputs: int
    outputs: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    group: int = 1

    def __str__(self):
        return "-".join(map(str, vars(self).values())).replace(" ", "")

    @property
    def text(self):
        weight = [self.outputs, self.inputs // self.group, *self.kernel]
        attrs = {
            "kernel_shape": self.kernel, "strides": self.strides, "pads": self.pads,
            "dilations": self.dilations,
        }  # fmt: skip
        said = ", ".join(f"{name} = [{', '.join(map(str, v))}]" for name, v in attrs.items())
        return f"""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, {self.inputs}, {self.size[0]}, {self.size[1]}] x,
             float[{", ".join(map(str, weight))}] w) => (float[N, C, H, W] y)
        {{ y = Conv <group = {self.group}, {said}> (x, w) }}
        """


AS_CONVOLUTION = [
    Convolution(32, 16, (9, 8), (3, 3), pads=(1, 1, 1, 1)),
    Convolution(16, 32, (9, 8), (1, 1)),
    Convolution(16, 32, (9, 8), (5, 3), pads=(2, 0, 1, 2)),
    Convolution(16, 16, (12, 11), (3, 2), pads=(2, 1, 2, 1), dilations=(2, 3)),
    Convolution(32, 64, (9, 8), (3, 3), pads=(1, 1, 1, 1), group=4),
    Convolution(32, 32, (9, 8), (3, 3), pads=(1, 1, 1, 1), group=32),
    Convolution(16, 32, (9, 8), (3, 3), pads=(1, 1, 1, 1), group=16),  # two kernels per channel
    Convolution(32, 32, (10, 9), (3, 3), (2, 2), (1, 1, 1, 1), group=32),
    Convolution(32, 32, (11, 12), (5, 5), (2, 3), (2, 2, 2, 2), group=32),
    Convolution(32, 32, (9, 9), (3, 3), (2, 2), (0, 1, 2, 1), group=32),
    Convolution(32, 16, (10, 8), (1, 1), (2, 2)),
    Convolution(32, 16, (10, 8), (3, 3), (2, 2), (1, 1, 1, 1)),
    Convolution(32, 16, (11, 9), (3, 3), (2, 2), (1, 1, 1, 1)),
    Convolution(32, 16, (12, 13), (5, 4), (2, 3), (2, 1, 2, 1)),
    Convolution(16, 16, (12, 12), (2, 2), (2, 2)),
    Convolution(16, 16, (9, 8), (3, 3), (1, 2), (1, 1, 1, 1)),
    Convolution(16, 16, (13, 12), (7, 7), (4, 4), (3, 3, 3, 3)),
]
KEPT = [
    Convolution(3, 16, (9, 9), (3, 3), (2, 2), (1, 1, 1, 1)),  # three channels are no block
    Convolution(3, 16, (9, 9), (3, 3), pads=(1, 1, 1, 1)),
    Convolution(16, 16, (9, 9), (3, 3), (2, 2), dilations=(2, 2)),
    Convolution(16, 16, (9, 9), (2, 2), (3, 3)),  # elements that no window reaches
    Convolution(16, 16, (5, 5), (2, 2), pads=(2, 2, 2, 2)),  # windows of padding alone
]


@pytest.mark.parametrize("conv", [*AS_CONVOLUTION, *KEPT], ids=str)
def test_the_signal_is_that_of_autograd(conv):
    model, options = network(conv.text), Options(select="seed", to="x", lowering="fast")
    artefact = rewrite(model, "y", "gradient", options)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, conv.inputs, *conv.size)).astype(np.float32)
    y = run(model, {"x": x}, "y")[0]
    g = rng.standard_normal(y.shape).astype(np.float32)
    (got,) = run(artefact, {"x": x, "seed": g}, "attribution")

    weight = torch.from_numpy(np.array(weights(model)["w"], np.float64))
    source = torch.from_numpy(x.astype(np.float64)).requires_grad_(True)
    top, left, bottom, right = conv.pads
    padded = torch.nn.functional.pad(source, (left, right, top, bottom))
    result = torch.conv2d(padded, weight, None, conv.strides, 0, conv.dilations, conv.group)
    result.backward(torch.from_numpy(g.astype(np.float64)))
    assert relative_error(got, source.grad.numpy()) < 1e-6

    counts = Counter(node.op_type for node in artefact.graph.node)
    assert bool(counts["ConvTranspose"]) == (conv in KEPT)


def test_weights_stay_shared():
    """The file grows by nodes, not by flipped copies of the weights."""
    model = network(Convolution(64, 64, (8, 8), (3, 3), pads=(1, 1, 1, 1)).text)
    options = Options(select="seed", to="x", lowering="fast")
    assert rewrite(model, "y", "gradient", options).ByteSize() < 1.05 * model.ByteSize()


def test_dequantised_weights_keep_the_transposed_convolution():
    """Runtimes do not fold DequantizeLinear, so that flipping would be repeated in every run."""
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 16, 8, 8] x, int8[16, 16, 3, 3] w, float[1] s) => (float[N, 16, H, W] y)
    { v = DequantizeLinear (w, s) y = Conv <pads = [1, 1, 1, 1]> (x, v) }
    """)
    artefact = rewrite(model, "y", "gradient", Options(select="seed", to="x", lowering="fast"))
    assert any(node.op_type == "ConvTranspose" for node in artefact.graph.node)
