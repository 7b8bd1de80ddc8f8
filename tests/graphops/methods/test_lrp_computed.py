"""Relevance where a convolution's weight or bias comes of the network itself."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedOperator

CORRELATION = """
<ir_version: 8, opset_import: ["": 17]>
net (float[1, 4, 6, 6] s, float[3, 4, 3, 3] t) => (float[1, 3, 4, 4] y)
<float[3] one = {1, 1, 1}, float[3] none = {0, 0, 0}>
{ k = Relu (t) c = Conv <kernel_shape = [3, 3]> (s, k) %s }
"""


@pytest.mark.parametrize("method", ["lrp_epsilon", "lrp_epsilon_plus"])
def test_a_norm_behind_a_computed_weight_is_not_merged_into_the_image(method):
    """There the weight carries the signal, and the channels of the norm are not the image's."""
    rng = np.random.default_rng(0)
    feeds = {
        "s": rng.normal(size=(1, 4, 6, 6)).astype(np.float32),
        "t": rng.normal(size=(3, 4, 3, 3)).astype(np.float32),
        "seed": rng.normal(size=(1, 3, 4, 4)).astype(np.float32),
    }
    found = []
    norm = "y = BatchNormalization <epsilon = 0.0> (c, one, none, none, one)"
    for last in (norm, "y = Identity (c)"):
        model = onnx.parser.parse_model(CORRELATION % last)
        made = rewrite(model, "y", method, Options(select="seed", to="t"))
        session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        found += session.run(["attribution"], feeds)
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)
    assert np.abs(found[0]).sum() > 1


def test_a_bias_that_the_network_computes_is_refused():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[1, 4, 6, 6] x, float[4, 4, 3, 3] w) => (float[1, 4, 4, 4] y)
        <int64[1] flat = {-1}>
        { p = GlobalAveragePool (x) b = Reshape (p, flat) y = Conv (x, w, b) }
    """)
    assert "bias" in check(model, "y", "lrp_epsilon", to="x").problem
    with pytest.raises(UnsupportedOperator, match="bias that depends on 'x'.*with an Add"):
        rewrite(model, "y", "lrp_epsilon", Options(select="seed", to="x"))
    rewrite(model, "y", "gradient", Options(select="seed", to="x"))
