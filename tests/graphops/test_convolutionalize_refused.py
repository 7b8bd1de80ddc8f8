"""Classifiers that cannot slide over a larger picture, each refused with the reason."""

import pytest
from artefacts import network

from onnxplain.graphops import convolutionalize
from onnxplain.graphops.errors import UnsupportedModel

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
GATED = """
gated (float[N, 3, 9, 9] x, float[4, 3, 3, 3] w1, float[4, 4, 1, 1] w2) => (float[N, 4, 1, 1] y)
{
    c = Conv (x, w1)
    m = GlobalAveragePool (c)
    e = Conv (m, w2)
    s = Sigmoid (e)
    g = Mul (c, s)
    y = GlobalAveragePool (g)
}
"""
NORMED = """
normed (float[N, 3, 9, 9] x, float[4, 3, 3, 3] w1, float[4] s, float[4] b) => (float[N, 4, 1, 1] y)
{ c = Conv (x, w1)  n = InstanceNormalization (c, s, b)  y = GlobalAveragePool (n) }
"""
PLACES = """
places (float[N, 3, 9, 9] x, float[3, 9, 9] k, float[243, 2] w) => (float[N, 2] y)
{ a = Add (x, k)  f = Flatten (a)  y = MatMul (f, w) }
"""
PRODUCT = """
product (float[N, 3, 9, 9] x) => (float[N, 9, 9] y)
{ m = ReduceMean <axes = [1], keepdims = 0> (x)  y = Relu (m) }
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GATED, "Mul 'g' brings together .* squeeze-and-excitation"),
        (NORMED, "InstanceNormalization 'n' is an operator of which"),
        (PLACES, "Add 'a' takes a constant that differs between the positions"),
        (PRODUCT, "ReduceMean 'm' does not reduce over all positions"),
    ],
)
def test_what_cannot_slide_is_refused(text, why):
    with pytest.raises(UnsupportedModel, match=f"{why}.*cut windows"):
        convolutionalize(network(HEAD + text))
