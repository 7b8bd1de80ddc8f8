"""What the tests of views look at, and its values by ONNX's reference evaluator."""

import numpy as np
import onnx
from artefacts import value_of
from PIL import Image

from onnxplain.engine import Preprocess

UNIT = Preprocess(scale=1 / 255)
NET = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 24, 20] x, float[5, 3, 3, 3] w, float[5] b, float[6, 5, 3, 3] v, float[6, 4] d)
    => (float[N, 4] y)
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w, b)
    r = Relu (c)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    e = Conv (p, v)
    s = Relu (e)
    m = GlobalAveragePool (s)
    f = Flatten (m)
    y = MatMul (f, d)
}
"""


def pixels(path):
    return np.asarray(Image.open(path))


def values(model, tensor, picture):
    """The tensor's values for a picture, by ONNX's reference evaluator."""
    x = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    return value_of(onnx.load(model), tensor, x=x)[0].astype(np.float64)
